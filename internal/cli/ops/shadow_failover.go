package ops

import (
	"fmt"
	"io"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/shadow"
)

// failoverJSON is the documented shape of `failover --format json`.
type failoverJSON struct {
	Link       string         `json:"link"`
	DryRun     bool           `json:"dry_run"`
	Mode       string         `json:"mode"`
	Detail     string         `json:"detail,omitempty"`
	Fence      string         `json:"fence,omitempty"` // of a dry run
	Epoch      int32          `json:"epoch"`
	CutSeq     uint64         `json:"cut_seq"`
	CutTime    time.Time      `json:"cut_time"`
	SourceSeq  uint64         `json:"source_seq"`
	RPOSeconds *float64       `json:"rpo_seconds"`
	DurationMs int64          `json:"duration_ms"`
	Partitions []boundaryJSON `json:"partitions"`
}

type boundaryJSON struct {
	Topic           string `json:"topic"`
	Partition       int32  `json:"partition"`
	EndOffset       int64  `json:"end_offset"`
	SourceEndOffset *int64 `json:"source_end_offset"`
	LostOffsets     *int64 `json:"lost_offsets"`
	MissingBytes    int64  `json:"missing_bytes"`
}

func failoverOf(r *adminpb.FailoverReport) failoverJSON {
	out := failoverJSON{
		Link: r.Link, DryRun: r.DryRun, Mode: r.Mode, Detail: r.Detail, Fence: r.Fence, Epoch: r.Epoch, CutSeq: r.CutSeq,
		CutTime: time.UnixMilli(r.CutTimeMs).UTC(), SourceSeq: r.SourceSeq, RPOSeconds: r.RpoSeconds, DurationMs: r.DurationMs,
		Partitions: []boundaryJSON{},
	}
	for _, p := range r.Partitions {
		out.Partitions = append(out.Partitions, boundaryJSON{p.Topic, p.Partition, p.EndOffset, p.SourceEndOffset, p.LostOffsets, p.MissingBytes})
	}
	return out
}

func (s *shadowTool) failover() *cobra.Command {
	var yes, dryRun, missing bool
	var fence time.Duration
	cmd := &cobra.Command{
		Use:   "failover LINK",
		Short: "Make this region the primary of what the link shadows",
		Long: `Fences the source in its own etcd if that is in reach, drains what is left of its log, and flips: nothing acked is
lost. If the source's etcd is out of reach, the flip is made at the cut that this region holds. The report says which of
the two it was, and what is lost, per partition. A dry run asks the source's etcd whether this region may fence.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes && !dryRun {
				return cli.Usage("a failover takes the role from the source for good: look with --dry-run, then say --yes")
			}
			resp, err := s.client().Failover(cmd.Context(), connect.NewRequest(&adminpb.FailoverRequest{
				Link: args[0], FenceTimeoutMs: int32(fence.Milliseconds()), DryRun: dryRun, AcceptMissing: missing,
			}))
			if err != nil {
				return failed("fail over link "+args[0], s.at.url, err)
			}
			return s.env.Emit(failoverOf(resp.Msg.Report), func(w io.Writer) { failoverText(w, resp.Msg.Report) })
		},
	}
	f := cmd.Flags()
	f.BoolVar(&yes, "yes", false, "do it")
	f.BoolVar(&dryRun, "dry-run", false, "say what would happen")
	f.BoolVar(&missing, "accept-missing", false, "go on although bytes at or below the cut are not in this region's bucket, or a fenced source cannot be drained")
	f.DurationVar(&fence, "fence-timeout", 3*time.Second, "how long to try to fence the source; endpoints that refuse end it at once")
	return cmd
}

// fencing says in words what a dry run was told by the source's etcd.
var fencing = map[string]string{
	shadow.FenceAllowed: "ALLOWED, as the source's etcd says (nothing was written)",
	shadow.FenceRefused: "REFUSED by the source's etcd: correct the user, password or certificate that the link names, or its rights (`gnomon etcd users`)",
	shadow.FenceUnknown: "unknown, the source's etcd could not be asked",
}

func failoverText(w io.Writer, r *adminpb.FailoverReport) {
	verb := "failed over"
	if r.DryRun {
		verb = "would fail over"
	}
	mode := map[string]string{shadow.ModeFenced: "source fenced and drained", shadow.ModeCut: "source out of reach, cut"}[r.Mode]
	if r.Fence == shadow.FenceRefused {
		verb, mode = verb+" with --accept-missing only", "source not fenced, cut"
	}
	took := "" // it is not kept
	if r.DurationMs > 0 {
		took = fmt.Sprintf(", in %d ms", r.DurationMs)
	}
	_, _ = fmt.Fprintf(w, "link %s %s: %s, epoch %d, at seq %d of %d%s\n", r.Link, verb, mode, r.Epoch, r.CutSeq, r.SourceSeq, took)
	if r.Fence != "" {
		_, _ = fmt.Fprintf(w, "  fencing: %s\n", fencing[r.Fence])
	}
	if r.Detail != "" {
		_, _ = fmt.Fprintf(w, "  %s\n", r.Detail)
	}
	lost, missing := int64(0), int64(0)
	for _, p := range r.Partitions {
		missing += p.MissingBytes
		if p.LostOffsets != nil {
			lost += *p.LostOffsets
		}
	}
	switch {
	case r.Mode == shadow.ModeFenced && missing == 0 && r.DryRun: // the detail says so
	case r.Mode == shadow.ModeFenced && missing == 0:
		_, _ = fmt.Fprintln(w, "  nothing acked is lost")
	case r.Mode == shadow.ModeFenced:
		_, _ = fmt.Fprintf(w, "  everything acked is known here, but %s of it are not in this region's bucket\n", size(missing))
	default:
		span := ""
		if r.RpoSeconds != nil {
			span = fmt.Sprintf(" of the last %.3f s", *r.RpoSeconds)
		}
		_, _ = fmt.Fprintf(w, "  known to be lost: %d records%s; what the source acked and this region never heard of comes on top; %s missing\n", lost, span, size(missing))
	}
	cli.Row(w, "TOPIC", "PARTITION", "BOUNDARY", "SOURCE END", "LOST", "MISSING")
	for _, p := range r.Partitions {
		cli.Row(w, p.Topic, p.Partition, p.EndOffset, optional(p.SourceEndOffset, "%d"), optional(p.LostOffsets, "%d"), size(p.MissingBytes))
	}
}
