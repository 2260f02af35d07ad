package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/region"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/recovery"
)

func metastoreCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "metastore",
		Short: "Restore a region's metalog from its bucket, and look at what that left in quarantine",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(metastoreRestoreCommand(env), quarantineCommand(env))
	return cmd
}

// storesFlags name a region's bucket and etcd.
type storesFlags struct {
	bucket, etcd string
	access       etcdFlags
}

func (f *storesFlags) add(env *cli.Env, cmd *cobra.Command, withEtcd bool) {
	cmd.Flags().StringVar(&f.bucket, "bucket", env.Getenv("GNOMON_BUCKET"), "bucket of the region: s3://bucket/prefix?… or file:///dir (GNOMON_BUCKET)")
	if withEtcd {
		cmd.Flags().StringVar(&f.etcd, "etcd", env.Getenv("GNOMON_ETCD"), "client URLs of the region's etcd (GNOMON_ETCD)")
		f.access.add(env, cmd)
	}
}

// open opens what the flags name.
func (f *storesFlags) open(ctx context.Context, env *cli.Env) (*region.Stores, error) {
	if f.bucket == "" {
		return nil, cli.Usage("name the region's bucket by --bucket or GNOMON_BUCKET")
	}
	endpoints, err := urlList("--etcd", f.etcd)
	if err != nil {
		return nil, err
	}
	access, err := f.access.access(env, endpoints)
	if err != nil {
		return nil, err
	}
	s, err := region.OpenStores(ctx, f.bucket, endpoints, access, slog.New(slog.DiscardHandler))
	if errors.Is(err, base.ErrNotFound) {
		return nil, cli.Fail("open the bucket", err, "no region has ever been started on it: check --bucket")
	}
	if err != nil {
		return nil, cli.Fail("open the region's bucket and etcd", err, "")
	}
	return s, nil
}

func urlList(flag, text string) ([]string, error) {
	var out []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		if u, err := url.Parse(part); err != nil || u.Host == "" {
			return nil, cli.Usage("%s has %q: use URLs such as http://10.0.0.5:2379, with commas between them", flag, part)
		}
		out = append(out, part)
	}
	return out, nil
}

// say writes progress for a person.
func say(env *cli.Env) func(string) {
	return func(text string) {
		if !env.JSON() {
			_, _ = fmt.Fprintln(env.Err, text)
		}
	}
}

type restoreFlags struct {
	storesFlags
	peers, incarnation                                   string
	peerTLS                                              tlsfiles.Files
	dryRun, yes, fromArchive, acceptDivergence, peerless bool
}

func metastoreRestoreCommand(env *cli.Env) *cobra.Command {
	var f restoreFlags
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Restore a lost etcd from the bucket's archive; what was acked behind it goes into quarantine",
		Long: `Replays the archive of the metalog in the bucket, and begins a new incarnation of it in an etcd that has lost its data. Run it with
--dry-run first: it says what would be restored, what would go into quarantine, and whether the other region is the better one to go
on with. The region's coordinators need not be stopped, but no coordinator may lead on another etcd.

  gnomon metastore restore --bucket s3://gnomon-a --etcd http://10.0.0.5:2379 --peers http://10.1.0.5:9644 --dry-run

An etcd that was set back to a backup is not empty: --from-archive drops what it has.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return metastoreRestore(cmd.Context(), env, f) },
	}
	f.add(env, cmd, true)
	flags := cmd.Flags()
	flags.StringVar(&f.peers, "peers", env.Getenv("GNOMON_PEERS"), "URLs of the other region's coordinators (GNOMON_PEERS)")
	flags.StringVar(&f.peerTLS.CA, "peer-tls-ca", env.Getenv("GNOMON_PEER_TLS_CA"), "PEM file of the other region's authorities, for https peers (GNOMON_PEER_TLS_CA)")
	flags.StringVar(&f.peerTLS.Cert, "peer-tls-cert", env.Getenv("GNOMON_PEER_TLS_CERT"), "PEM file of the certificate that they want to see (GNOMON_PEER_TLS_CERT)")
	flags.StringVar(&f.peerTLS.Key, "peer-tls-key", env.Getenv("GNOMON_PEER_TLS_KEY"), "PEM file of its key (GNOMON_PEER_TLS_KEY)")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be done, and write nothing")
	flags.BoolVar(&f.yes, "yes", false, "do it")
	flags.BoolVar(&f.fromArchive, "from-archive", false, "replace what etcd has: it was set back to a backup")
	flags.BoolVar(&f.acceptDivergence, "accept-divergence", false, "go on although the other region has more than the archive; its link will be FAULTED")
	flags.BoolVar(&f.peerless, "without-peer", false, "go on although the other region does not answer")
	flags.StringVar(&f.incarnation, "incarnation", "", "the one to restore, where the bucket has archives of several logs")
	return cmd
}

// peerSet is what the other region is asked with.
func (f *restoreFlags) peerSet(env *cli.Env) (*tlsfiles.Set, error) {
	if err := f.peerTLS.Paired("--peer-"); err != nil {
		return nil, cli.Usage("%w", err)
	}
	set, err := tlsfiles.Open(f.peerTLS, env.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, cli.Fail("use the certificates for the other region", err, "name others by --peer-tls-ca, --peer-tls-cert, --peer-tls-key")
	}
	return set, nil
}

func metastoreRestore(ctx context.Context, env *cli.Env, f restoreFlags) error {
	switch {
	case f.etcd == "":
		return cli.Usage("name the etcd to restore into by --etcd or GNOMON_ETCD")
	case f.dryRun == f.yes:
		return cli.Usage("look with --dry-run, then say --yes")
	}
	peers, err := urlList("--peers", f.peers)
	if err != nil {
		return err
	}
	set, err := f.peerSet(env)
	if err != nil {
		return err
	}
	s, err := f.open(ctx, env)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	rep, err := recovery.Restore(ctx, recovery.Options{
		Bucket: s.Bucket, Log: s.Log, Peer: region.NewPeer(peers, s.Claim.ClusterID, set), FromIncarnation: f.incarnation, FromArchive: f.fromArchive,
		AcceptDivergence: f.acceptDivergence, WithoutPeer: f.peerless, DryRun: f.dryRun, Now: env.Now, Say: say(env),
	})
	if err != nil {
		return cli.Fail("restore the metalog", err, "")
	}
	rep.Warnings = append(rep.Warnings, s.Warnings...)
	return env.Emit(rep, func(w io.Writer) { restoreText(w, rep) })
}

func restoreText(w io.Writer, r *recovery.Report) {
	verb := "would restore"
	if r.Restored {
		verb = "restored"
	}
	_, _ = fmt.Fprintf(w, "%s region %s (cluster %s) up to seq %d, %.1f s ago: %d topics, %d partitions, %d groups\n",
		verb, r.Region, r.ClusterID, r.ArchivedSeq, r.Lag().Seconds(), r.Topics, r.Partitions, r.Groups)
	_, _ = fmt.Fprintf(w, "incarnation %s behind %s, epoch %d; etcd was %s\n", r.Incarnation, r.Parent, r.Epoch, r.EtcdWas)
	if r.Fenced {
		_, _ = fmt.Fprintf(w, "FENCED: another region has taken over (%s); this one will serve reads and refuse writes\n", r.TakenOverBy)
	}
	if p := r.Peer; p != nil && p.Link != "" {
		_, _ = fmt.Fprintf(w, "link %q of the other region is at seq %d\n", p.Link, p.Seq)
	}
	quarantineText(w, r.Quarantine)
	for _, x := range r.Warnings {
		_, _ = fmt.Fprintf(w, "warning: %s\n", x)
	}
	if r.Restored {
		_, _ = fmt.Fprintf(w, "report: object %s; see what is held by `gnomon metastore quarantine list`\nstart the region's coordinators now\n", recovery.ReportKey(r.Incarnation))
	}
}

func quarantineText(w io.Writer, q recovery.QuarantineTotal) {
	_, _ = fmt.Fprintf(w, "in quarantine: %d objects, %d records, %s\n", q.Objects, q.Records, size(q.Bytes))
	if len(q.Partitions) == 0 {
		return
	}
	cli.Row(w, "  TOPIC", "PARTITION", "RECORDS", "BYTES")
	for _, p := range q.Partitions {
		name := p.Topic
		if name == "" {
			name = "(unknown topic " + p.TopicID + ")"
		}
		cli.Row(w, "  "+name, p.Partition, p.Records, p.Bytes)
	}
}

// loadHeld replays the archive and lists what is in quarantine, or was, if released is set; of one restore, if it is named.
func loadHeld(ctx context.Context, env *cli.Env, s *region.Stores, restore string, released bool) (*recovery.Loaded, []recovery.HeldObject, error) {
	l, err := recovery.Load(ctx, objstore.AsObjects(s.Bucket), "", say(env))
	if err != nil {
		return nil, nil, err
	}
	all, err := recovery.Held(ctx, s.Bucket, l.State)
	out := []recovery.HeldObject{}
	for _, o := range all {
		if (restore == "" || o.Restore == restore) && (released || !o.Released) {
			out = append(out, o)
		}
	}
	return l, out, err
}
