package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/region"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
)

func etcdCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "etcd",
		Short: "Prepare the etcd of a region",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(etcdUsersCommand(env))
	return cmd
}

// etcdFlags name what an etcd is shown. Their names, and those of the variables, are the coordinators' settings.
type etcdFlags struct {
	files              tlsfiles.Files
	user, passwordFile string
}

func (f *etcdFlags) add(env *cli.Env, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.files.CA, "etcd-tls-ca", env.Getenv("GNOMON_ETCD_TLS_CA"), "PEM file of the authorities of etcd's certificates, for https (GNOMON_ETCD_TLS_CA)")
	flags.StringVar(&f.files.Cert, "etcd-tls-cert", env.Getenv("GNOMON_ETCD_TLS_CERT"), "PEM file of the certificate that etcd wants to see (GNOMON_ETCD_TLS_CERT)")
	flags.StringVar(&f.files.Key, "etcd-tls-key", env.Getenv("GNOMON_ETCD_TLS_KEY"), "PEM file of its key (GNOMON_ETCD_TLS_KEY)")
	flags.StringVar(&f.user, "etcd-user", env.Getenv("GNOMON_ETCD_USER"), "user of etcd (GNOMON_ETCD_USER)")
	flags.StringVar(&f.passwordFile, "etcd-password-file", env.Getenv("GNOMON_ETCD_PASSWORD_FILE"), "file with its password (GNOMON_ETCD_PASSWORD_FILE); or GNOMON_ETCD_PASSWORD, the password itself")
}

// access reads what the flags name.
func (f *etcdFlags) access(env *cli.Env, endpoints []string) (a region.EtcdAccess, err error) {
	if err := f.files.Paired("--etcd-"); err != nil {
		return a, cli.Usage("%w", err)
	}
	for _, e := range endpoints {
		if strings.HasPrefix(e, "https:") && a.TLS == nil {
			if a.TLS, err = tlsfiles.Open(f.files, env.Now, slog.New(slog.DiscardHandler)); err != nil {
				return a, cli.Fail("use the certificates for etcd", err, "name others by --etcd-tls-ca, --etcd-tls-cert, --etcd-tls-key")
			}
		}
	}
	a.User, a.Password = f.user, strings.TrimSpace(env.Getenv("GNOMON_ETCD_PASSWORD"))
	if f.passwordFile != "" {
		if a.Password, err = readPassword("--etcd-password-file", f.passwordFile); err != nil {
			return a, err
		}
	}
	return a, nil
}

func readPassword(flag, path string) (string, error) {
	if path == "" {
		return "", cli.Usage("name a file with the password by %s", flag)
	}
	text, err := tlsfiles.ReadSecret(path)
	if err != nil {
		return "", cli.Fail("read a password", err, "name its file by "+flag)
	}
	return text, nil
}

// usersFlags of `gnomon etcd users`.
type usersFlags struct {
	etcdFlags
	etcd, cluster, rootFile, linkUser, linkFile string
	timeout                                     time.Duration
}

func etcdUsersCommand(env *cli.Env) *cobra.Command {
	f := &usersFlags{}
	cmd := &cobra.Command{
		Use:   "users",
		Short: "Make the users of a region's etcd, and turn its authentication on",
		Long: `Makes etcd's user root, the user of the region's coordinators, and, with --link-user, the user that the other region's link is given:
it may read the region's keys and write its fence, nothing else. Then it turns authentication on. It may run again: passwords are set to what the
files hold then.

  gnomon etcd users --etcd https://10.0.0.21:2379 --cluster-id 6b1f0c3de2a94b58a7d05c41f39e8712 --root-password-file root.password \
    --etcd-user gnomon --etcd-password-file region.password --link-user gnomon-link --link-password-file link.password`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return makeUsers(cmd.Context(), env, f) },
	}
	f.add(env, cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.etcd, "etcd", env.Getenv("GNOMON_ETCD"), "client URLs of the region's etcd (GNOMON_ETCD)")
	flags.StringVar(&f.cluster, "cluster-id", env.Getenv("GNOMON_CLUSTER_ID"), "of the region, 32 hexadecimal digits (GNOMON_CLUSTER_ID)")
	flags.StringVar(&f.rootFile, "root-password-file", "", "file with the password of etcd's user root")
	flags.StringVar(&f.linkUser, "link-user", "", "user for the other region's link; none is made without")
	flags.StringVar(&f.linkFile, "link-password-file", "", "file with its password")
	flags.DurationVar(&f.timeout, "timeout", time.Minute, "how long to wait for an etcd that does not answer")
	return cmd
}

func makeUsers(ctx context.Context, env *cli.Env, f *usersFlags) error {
	endpoints, err := urlList("--etcd", f.etcd)
	if err != nil {
		return err
	}
	id, err := region.ParseClusterID(f.cluster)
	switch {
	case len(endpoints) == 0:
		return cli.Usage("name the region's etcd by --etcd or GNOMON_ETCD")
	case err != nil:
		return cli.Usage("--cluster-id is %q: %w", f.cluster, err)
	case f.user == "" || f.user == "root" || f.user == f.linkUser:
		return cli.Usage("name the region's user by --etcd-user: neither root nor the link's")
	case f.timeout <= 0:
		return cli.Usage("--timeout is %s: use a time such as 60s", f.timeout)
	}
	access, err := f.access(env, endpoints)
	if err != nil {
		return err
	}
	if access.Password == "" {
		return cli.Usage("name a file with the region's password by --etcd-password-file")
	}
	u := region.EtcdUsers{Region: access.User, RegionPassword: access.Password, Link: f.linkUser}
	if u.RootPassword, err = readPassword("--root-password-file", f.rootFile); err != nil {
		return err
	}
	if f.linkUser != "" {
		if u.LinkPassword, err = readPassword("--link-password-file", f.linkFile); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	already, err := region.InitEtcdUsers(ctx, endpoints, access.TLS, id, u)
	switch {
	case errors.Is(err, base.ErrUnavailable):
		return cli.Fail("make the users", err, "start etcd, or correct --etcd and --etcd-tls-ca")
	case err != nil:
		return cli.Fail("make the users", err, "")
	}
	return env.Emit(etcdUsersJSON{access.User, f.linkUser, already}, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "users root, %s", access.User)
		if f.linkUser != "" {
			_, _ = fmt.Fprintf(w, ", and %s for the other region", f.linkUser)
		}
		_, _ = fmt.Fprintf(w, "; authentication is on (before: %v)\n", already)
	})
}

// etcdUsersJSON is what `etcd users` prints.
type etcdUsersJSON struct {
	User       string `json:"user"`
	LinkUser   string `json:"link_user"`
	AuthBefore bool   `json:"authentication_was_on"`
}
