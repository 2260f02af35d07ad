package shadow

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// ReportOf is the report of a failover that is in the state.
func ReportOf(st *state.State, l *state.Link) *adminpb.FailoverReport {
	info := l.Info()
	rep := &adminpb.FailoverReport{
		Link: l.Name(), Mode: ModeCut, Epoch: info.Flip.Epoch, CutSeq: info.Flip.CutSeq, CutTimeMs: info.Flip.CutTimeMs,
		SourceSeq: info.Flip.SourceSeq,
	}
	if info.Flip.Fenced {
		rep.Mode = ModeFenced
	}
	rep.RpoSeconds, rep.Detail = rpoSeconds(info.Flip), detailOf(info)
	ends := endsOf(info.Flip.SourceEnds)
	for _, b := range info.Boundary {
		pb := &adminpb.PartitionBoundary{Topic: b.Partition.Topic.String(), Partition: b.Partition.Partition, EndOffset: int64(b.End)}
		if t := st.Topic(b.Partition.Topic); t != nil {
			pb.Topic = t.Info().Name
			pb.MissingBytes = notLocal(t.Partition(b.Partition.Partition))
		}
		ends.addLoss(pb, b.Partition)
		rep.Partitions = append(rep.Partitions, pb)
	}
	return rep
}

// detailOf is what the log knows of why a failover took the cut.
func detailOf(info *state.LinkInfo) string {
	if info.Flip.Fenced {
		return ""
	}
	detail := "the source was not fenced, or could not be drained to its end"
	if info.Paused {
		detail = sayPaused + "; " + detail
	}
	if info.Fault != "" {
		detail = "the link was FAULTED: " + info.Fault + "; " + detail
	}
	return detail
}

const sayPaused = "the link was paused: what the source took since then was never heard of"

// rpoSeconds is the age of the cut against the newest event of the source that was ever seen: what may be lost, as far
// as is known. Nothing is lost when the source was drained; nil, unknown, when it was never heard of beyond the cut.
func rpoSeconds(flip *metalogpb.RegionFlipped) *float64 {
	var s float64
	switch {
	case flip.Fenced:
	case flip.SourceTimeMs > flip.CutTimeMs:
		s = float64(flip.SourceTimeMs-flip.CutTimeMs) / 1000
	default:
		return nil
	}
	return &s
}

// endsBeyond is where the source's partitions end that end beyond the image, as far as its log was read.
func endsBeyond(l *state.Link, seen seen) []*metalogpb.SourceEnd {
	var ends []*metalogpb.SourceEnd
	for tp, end := range seen.queuedEnds {
		// A topic that was created beyond the cut is not in the image, and nor is its name.
		t := l.Image().Topic(tp.Topic)
		if t == nil || !t.Info().Visible {
			continue
		}
		if p := t.Partition(tp.Partition); p == nil || p.End < end {
			ends = append(ends, &metalogpb.SourceEnd{TopicId: tp.Topic[:], Partition: tp.Partition, EndOffset: int64(end)})
		}
	}
	slices.SortFunc(ends, func(x, y *metalogpb.SourceEnd) int {
		return cmp.Or(bytes.Compare(x.TopicId, y.TopicId), cmp.Compare(x.Partition, y.Partition))
	})
	return ends[:min(len(ends), sourceEndsMax)]
}

// sourceEndsMax keeps the event of a flip well below the size of an entry. What is left out is reported as not known to be
// lost.
const sourceEndsMax = 10_000

// knownEnds is what a flip's event, or endsBeyond, says about the source.
type knownEnds map[base.TopicPartition]int64

func endsOf(ends []*metalogpb.SourceEnd) knownEnds {
	known := knownEnds{}
	for _, e := range ends {
		if len(e.TopicId) == len(base.TopicID{}) {
			known[base.TopicPartition{Topic: base.TopicID(e.TopicId), Partition: e.Partition}] = e.EndOffset
		}
	}
	return known
}

// addLoss enters what was read of the source's log beyond the boundary of a partition.
func (k knownEnds) addLoss(pb *adminpb.PartitionBoundary, tp base.TopicPartition) {
	end := max(pb.EndOffset, k[tp])
	lost := end - pb.EndOffset
	pb.SourceEndOffset, pb.LostOffsets = &end, &lost
}

// boundaryOfImage is where a failover would cut now; if it drains the source, at the ends that are known of it or above.
func boundaryOfImage(l *state.Link, ends knownEnds, drained bool) []*adminpb.PartitionBoundary {
	var out []*adminpb.PartitionBoundary
	for _, t := range l.Image().Topics() {
		info := t.Info()
		if !info.Visible {
			continue
		}
		for i := range t.Partitions() {
			p := t.Partition(i)
			pb := &adminpb.PartitionBoundary{Topic: info.Name, Partition: i, EndOffset: int64(p.End), MissingBytes: notLocal(p)}
			tp := base.TopicPartition{Topic: info.ID, Partition: i}
			if drained {
				pb.EndOffset = max(pb.EndOffset, ends[tp])
			}
			ends.addLoss(pb, tp)
			out = append(out, pb)
		}
	}
	return out
}

// notLocal is how many bytes of a partition are not in this region's bucket.
func notLocal(p *state.Partition) int64 {
	var n int64
	if p == nil {
		return 0
	}
	for _, sp := range p.Spans {
		if sp.Residency != state.Local {
			n += sp.Length
		}
	}
	return n
}

func missingBytes(l *state.Link) int64 {
	var n int64
	for _, t := range l.Image().Topics() {
		if !t.Info().Visible {
			continue
		}
		for i := range t.Partitions() {
			n += notLocal(t.Partition(i))
		}
	}
	return n
}
