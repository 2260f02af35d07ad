package ops

import (
	"fmt"
	"io"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
)

// statusJSON is the documented shape of `status --format json`: what comes from the source carries as_of and is null
// when it was never seen.
type statusJSON struct {
	Link     string           `json:"link"`
	State    string           `json:"state"`
	Role     string           `json:"role"`
	Reason   string           `json:"reason,omitempty"`
	AsOf     *time.Time       `json:"as_of"`
	Position positionJSON     `json:"position"`
	Lag      lagJSON          `json:"lag"`
	Bytes    map[string]int64 `json:"bytes"`
	Topics   []topicJSON      `json:"topics"`
	Failover *failoverJSON    `json:"failover,omitempty"`
}

type positionJSON struct {
	AppliedSeq uint64  `json:"applied_seq"`
	SourceSeq  *uint64 `json:"source_seq"`
}

type lagJSON struct {
	Events  *uint64  `json:"events"`
	Bytes   *int64   `json:"bytes"`
	Seconds *float64 `json:"seconds"`
}

type topicJSON struct {
	Name       string          `json:"name"`
	State      string          `json:"state"`
	Reason     string          `json:"reason,omitempty"`
	Partitions []partitionJSON `json:"partitions"`
}

type partitionJSON struct {
	Partition       int32      `json:"partition"`
	SourceEndOffset *int64     `json:"source_end_offset"`
	EndOffset       int64      `json:"end_offset"`
	LagOffsets      *int64     `json:"lag_offsets"`
	LagSeconds      *float64   `json:"lag_seconds"`
	AsOf            *time.Time `json:"as_of"`
	RemoteBytes     int64      `json:"remote_bytes"`
}

func at(ms *int64) *time.Time {
	if ms == nil {
		return nil
	}
	t := time.UnixMilli(*ms).UTC()
	return &t
}

func statusOf(m *adminpb.StatusResponse) statusJSON {
	out := statusJSON{
		Link: m.Link, State: m.State, Role: m.Role, Reason: m.Reason, AsOf: at(m.AsOfMs),
		Position: positionJSON{m.AppliedSeq, m.SourceSeq}, Lag: lagJSON{m.LagEvents, m.LagBytes, m.LagSeconds},
		Bytes: map[string]int64{"resident": m.ResidentBytes, "remote": m.RemoteBytes}, Topics: []topicJSON{},
	}
	for _, t := range m.Topics {
		tj := topicJSON{Name: t.Name, State: t.State, Reason: t.Reason, Partitions: []partitionJSON{}}
		for _, p := range t.Partitions {
			tj.Partitions = append(tj.Partitions, partitionJSON{
				p.Partition, p.SourceEndOffset, p.EndOffset, p.LagOffsets, p.LagSeconds, at(p.AsOfMs), p.RemoteBytes,
			})
		}
		out.Topics = append(out.Topics, tj)
	}
	if m.Failover != nil {
		f := failoverOf(m.Failover)
		out.Failover = &f
	}
	return out
}

func (s *shadowTool) status() *cobra.Command {
	return &cobra.Command{
		Use:   "status LINK",
		Short: "Show how far a link is behind its source, in events, bytes, offsets and seconds",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			resp, err := s.client().Status(cmd.Context(), connect.NewRequest(&adminpb.StatusRequest{Link: args[0]}))
			if err != nil {
				return failed("show the status of link "+args[0], s.at.url, err)
			}
			m := resp.Msg
			return s.env.Emit(statusOf(m), func(w io.Writer) { statusText(w, m) })
		},
	}
}

func statusText(w io.Writer, m *adminpb.StatusResponse) {
	_, _ = fmt.Fprintf(w, "link %s: %s, this region is %s\n", m.Link, m.State, m.Role)
	if m.Reason != "" {
		_, _ = fmt.Fprintf(w, "  because: %s\n", m.Reason)
	}
	asOf := "never heard of the source"
	if m.AsOfMs != nil {
		asOf = "source as of " + time.UnixMilli(*m.AsOfMs).Format(time.TimeOnly)
	}
	_, _ = fmt.Fprintf(w, "  applied seq %d of %s, lag %s events, %s bytes, %s s (%s)\n", m.AppliedSeq, optional(m.SourceSeq, "%d"),
		optional(m.LagEvents, "%d"), optional(m.LagBytes, "%d"), optional(m.LagSeconds, "%.3f"), asOf)
	_, _ = fmt.Fprintf(w, "  %s here, %s not here yet\n", size(m.ResidentBytes), size(m.RemoteBytes))
	cli.Row(w, "TOPIC", "PARTITION", "STATE", "SOURCE END", "END", "LAG", "LAG s", "NOT HERE")
	for _, t := range m.Topics {
		for _, p := range t.Partitions {
			cli.Row(w, t.Name, p.Partition, t.State, optional(p.SourceEndOffset, "%d"), p.EndOffset,
				optional(p.LagOffsets, "%d"), optional(p.LagSeconds, "%.3f"), size(p.RemoteBytes))
		}
	}
	if m.Failover != nil {
		failoverText(w, m.Failover)
	}
}

// verifyJSON is the documented shape of `verify --format json`.
type verifyJSON struct {
	Equal       bool           `json:"equal"`
	Partitions  int32          `json:"partitions"`
	Mismatches  []mismatchJSON `json:"mismatches"`
	AtSeq       uint64         `json:"at_seq"`
	BytesRead   int64          `json:"bytes_read"`
	Unreachable bool           `json:"source_unreachable"`
	Detail      string         `json:"detail,omitempty"`
}

type mismatchJSON struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Reason    string `json:"reason"`
}

// Exit codes of verify.
const (
	exitDiffers     = 1
	exitUnreachable = 2
)

func (s *shadowTool) verify() *cobra.Command {
	var deep bool
	cmd := &cobra.Command{
		Use:   "verify LINK",
		Short: "Prove that this region holds what its source holds: exit code 0 only when equal, 2 when the source is out of reach",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			resp, err := s.client().Verify(cmd.Context(), connect.NewRequest(&adminpb.VerifyRequest{Link: args[0], Deep: deep}))
			if err != nil {
				return failed("verify link "+args[0], s.at.url, err)
			}
			return s.verified(args[0], resp.Msg)
		},
	}
	cmd.Flags().BoolVar(&deep, "deep", false, "re-read this region's bucket and recompute every chain; works without the source")
	return cmd
}

func (s *shadowTool) verified(link string, m *adminpb.VerifyResponse) error {
	v := verifyJSON{m.Equal, m.Partitions, []mismatchJSON{}, m.AtSeq, m.BytesRead, m.SourceUnreachable, m.Detail}
	for _, x := range m.Mismatches {
		v.Mismatches = append(v.Mismatches, mismatchJSON{x.Topic, x.Partition, x.Offset, x.Reason})
	}
	err := s.env.Emit(v, func(w io.Writer) {
		for _, x := range v.Mismatches {
			cli.Row(w, x.Topic, x.Partition, x.Offset, x.Reason)
		}
		if v.Equal {
			_, _ = fmt.Fprintf(w, "equal: %d partitions at seq %d, %s read\n", v.Partitions, v.AtSeq, size(v.BytesRead))
		}
	})
	switch {
	case err != nil || v.Equal:
		return err
	case v.Unreachable:
		return coded{cli.Fail("verify link "+link, fmt.Errorf("%s", v.Detail), "verify what is here with --deep"), exitUnreachable}
	}
	return coded{cli.Fail("call link "+link+" equal", fmt.Errorf("%d mismatches", len(v.Mismatches)), "do not fail over to this region before they are explained"), exitDiffers}
}
