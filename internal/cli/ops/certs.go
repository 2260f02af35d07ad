package ops

import (
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/devcerts"
)

func certsCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "certs",
		Short: "Make certificates for tests and trials",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(certsDevCommand(env))
	return cmd
}

// certsLife is how long test certificates are valid if nothing is said.
const certsLife = 90 * 24 * time.Hour

var hostName = regexp.MustCompile(`^(\*\.)?[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*$`)

func certsDevCommand(env *cli.Env) *cobra.Command {
	var o devcerts.Options
	var ifNotExists bool
	cmd := &cobra.Command{
		Use:   "dev --out DIR",
		Short: "Make an authority, certificates and secrets of one region, for tests only",
		Long: `Makes a set for one region: an authority (ca.pem), a certificate for each kind of process with its role, a token of operators, and
passwords of etcd users. For tests and trials only: the authority's key lies unprotected beside the rest.

  gnomon certs dev --out certs-a --host coordinator-1.example --host 10.0.0.11`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if o.Dir == "" {
				return cli.Usage("name a folder for the certificates with --out")
			}
			for _, h := range o.Hosts {
				if net.ParseIP(h) == nil && !hostName.MatchString(h) {
					return cli.Usage("--host is %q: use a name or an address, without a port", h)
				}
			}
			if o.Life <= 0 {
				return cli.Usage("--valid is %s: use a time such as 720h", o.Life)
			}
			o.Now = env.Now
			set, err := devcerts.Make(o)
			switch {
			case errors.Is(err, devcerts.ErrExists) && ifNotExists:
				return env.Emit(&devcerts.Set{Dir: o.Dir, Hosts: []string{}, Files: []devcerts.File{}}, func(w io.Writer) {
					_, _ = fmt.Fprintf(w, "%s holds files already: nothing was made\n", o.Dir)
				})
			case errors.Is(err, devcerts.ErrExists):
				return cli.Fail("make certificates", err, "name another folder, or replace what is there with --force")
			case err != nil:
				return cli.Fail("make certificates", err, "")
			}
			return env.Emit(set, func(w io.Writer) {
				for _, f := range set.Files {
					cli.Row(w, f.Name, f.Purpose)
				}
				_, _ = fmt.Fprintf(w, "\nin %s, for tests only (the key of the authority is unprotected); valid until %s\n", set.Dir, set.Expires.Format(time.RFC3339))
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Dir, "out", "", "folder for the files; made if it is not there")
	f.StringArrayVar(&o.Hosts, "host", nil, "name or address of a server, besides localhost; may be given several times")
	f.DurationVar(&o.Life, "valid", certsLife, "how long the certificates are valid")
	f.BoolVar(&o.Force, "force", false, "replace files that are there")
	f.BoolVar(&ifNotExists, "if-not-exists", false, "a folder that holds files is no error, and is left as it is")
	return cmd
}
