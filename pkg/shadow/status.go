package shadow

import (
	"cmp"
	"slices"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// States of a link.
const (
	Active      = "ACTIVE"
	Paused      = "PAUSED"
	Unreachable = "UNREACHABLE"
	Faulted     = "FAULTED"
	FailedOver  = "FAILED_OVER"
)

// States of a topic, besides those of a link.
const Backfilling = "BACKFILLING"

// State tells the link's state now, and why it is UNREACHABLE or FAULTED; nothing when the link is deleted.
func (r *Runner) State() (is, reason string) {
	seen, now := r.look(), r.cfg.Now()
	r.cfg.Metalog.With(func(st *state.State) {
		if l := st.Link(r.cfg.Link); l != nil {
			is, reason = stateOf(l.Info(), seen, now)
		}
	})
	return is, reason
}

func stateOf(info *state.LinkInfo, seen seen, now time.Time) (is, reason string) {
	is = linkState(info, seen, now)
	switch is {
	case Faulted:
		reason = info.Fault
	case Unreachable:
		reason = cmp.Or(seen.problem, "the source has not been heard of")
	}
	return is, reason
}

// Status tells how far the link is. What comes from the source carries the time at which it was true, and is unset when
// it was never seen.
func (r *Runner) Status() *adminpb.StatusResponse {
	seen := r.look()
	now := r.cfg.Now()
	var out *adminpb.StatusResponse
	r.cfg.Metalog.With(func(st *state.State) {
		if l := st.Link(r.cfg.Link); l != nil {
			out = statusOf(st, l, seen, now)
		}
	})
	return out
}

func statusOf(st *state.State, l *state.Link, seen seen, now time.Time) *adminpb.StatusResponse {
	info := l.Info()
	out := &adminpb.StatusResponse{Link: l.Name(), Role: "shadow", AppliedSeq: uint64(info.Position.Seq)}
	out.State, out.Reason = stateOf(info, seen, now)
	if out.State == FailedOver {
		out.Role = "primary"
		out.Failover = ReportOf(st, l)
	}
	if !seen.contact.IsZero() && info.Flip == nil {
		asOf, head := seen.contact.UnixMilli(), max(uint64(seen.headSeq), out.AppliedSeq)
		lag, bytes, seconds := head-out.AppliedSeq, seen.queued, secondsBehind(info, seen, out.State, now)
		out.AsOfMs, out.SourceSeq, out.LagEvents, out.LagBytes, out.LagSeconds = &asOf, &head, &lag, &bytes, &seconds
	}
	if info.Flip != nil {
		flippedStatus(st, info, out)
		return out
	}
	for _, t := range l.Image().Topics() {
		if t.Info().Visible {
			out.Topics = append(out.Topics, topicStatus(t, out, seen))
		}
	}
	return out
}

// flippedStatus tells of a link that is over. What was known of the source when it ended is in the log, and stays: what this
// region has written since then says nothing about the source.
func flippedStatus(st *state.State, info *state.LinkInfo, out *adminpb.StatusResponse) {
	asOf, head := max(info.Flip.SourceTimeMs, info.Flip.CutTimeMs), max(info.Flip.SourceSeq, info.Flip.CutSeq)
	events := head - info.Flip.CutSeq
	out.AsOfMs, out.SourceSeq, out.LagEvents, out.LagSeconds = &asOf, &head, &events, rpoSeconds(info.Flip)
	if info.Flip.Fenced {
		out.LagBytes = new(int64)
	}
	ends := endsOf(info.Flip.SourceEnds)
	boundary := map[base.TopicPartition]int64{}
	for _, b := range info.Boundary {
		boundary[b.Partition] = int64(b.End)
	}
	for _, t := range flippedTopics(st, info) {
		ts := topicStatus(t, out, seen{})
		for _, ps := range ts.Partitions {
			tp := base.TopicPartition{Topic: t.Info().ID, Partition: ps.Partition}
			end := max(boundary[tp], ends[tp])
			lost := end - boundary[tp]
			ps.SourceEndOffset, ps.LagOffsets, ps.LagSeconds = &end, &lost, new(float64)
			if lost > 0 {
				ps.LagSeconds = out.LagSeconds
			}
		}
		out.Topics = append(out.Topics, ts)
	}
}

func flippedTopics(st *state.State, info *state.LinkInfo) []*state.Topic {
	var out []*state.Topic
	for _, b := range info.Boundary {
		if t := st.Topic(b.Partition.Topic); t != nil && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

func linkState(info *state.LinkInfo, seen seen, now time.Time) string {
	switch {
	case info.Flip != nil:
		return FailedOver
	case info.Fault != "":
		return Faulted
	case info.Paused:
		return Paused
	case seen.problem != "", now.Sub(seen.contact) > unreachableAfter:
		return Unreachable
	}
	return Active
}

// secondsBehind is how old the oldest event of the source is that is not applied. While the source is silent (it ticks each
// second when it lives) the age of the last event applied is what may be lost.
func secondsBehind(info *state.LinkInfo, seen seen, linkState string, now time.Time) float64 {
	at := seen.oldestTime
	if at == 0 {
		if linkState == Active {
			return 0
		}
		at = info.PositionTime
	}
	return max(0, float64(now.UnixMilli()-at)/1000)
}

func topicStatus(t *state.Topic, out *adminpb.StatusResponse, seen seen) *adminpb.TopicStatus {
	info := t.Info()
	ts := &adminpb.TopicStatus{Name: info.Name, State: out.State, Reason: info.Fault}
	for i := range t.Partitions() {
		p := t.Partition(i)
		ps := &adminpb.PartitionStatus{Partition: i, EndOffset: int64(p.End)}
		for _, sp := range p.Spans {
			if sp.Residency == state.Local {
				out.ResidentBytes += sp.Length
			} else {
				ps.RemoteBytes += sp.Length
			}
		}
		out.RemoteBytes += ps.RemoteBytes
		if out.AsOfMs != nil {
			end := max(int64(p.End), int64(seen.queuedEnds[base.TopicPartition{Topic: info.ID, Partition: i}]))
			lag, seconds := end-int64(p.End), 0.0
			if lag > 0 && out.LagSeconds != nil {
				seconds = *out.LagSeconds
			}
			ps.SourceEndOffset, ps.LagOffsets, ps.LagSeconds, ps.AsOfMs = &end, &lag, &seconds, out.AsOfMs
		}
		if ps.RemoteBytes > 0 && ts.State == Active {
			ts.State = Backfilling
		}
		ts.Partitions = append(ts.Partitions, ps)
	}
	if info.Fault != "" {
		ts.State = Faulted
	}
	return ts
}
