package shadow

import (
	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
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
	rep.RpoSeconds = rpoSeconds(info)
	for _, b := range info.Boundary {
		pb := &adminpb.PartitionBoundary{Topic: b.Partition.Topic.String(), Partition: b.Partition.Partition, EndOffset: int64(b.End)}
		if t := st.Topic(b.Partition.Topic); t != nil {
			pb.Topic = t.Info().Name
			pb.MissingBytes = notLocal(t.Partition(b.Partition.Partition))
		}
		rep.Partitions = append(rep.Partitions, pb)
	}
	return rep
}

// rpoSeconds is the age of the cut against the newest event of the source that was ever seen: what may be lost, as far
// as is known. Nothing is lost when the source was drained; unknown when the source was never heard of beyond the cut.
func rpoSeconds(info *state.LinkInfo) *float64 {
	var s float64
	switch {
	case info.Flip.Fenced:
	case info.Flip.SourceTimeMs > info.Flip.CutTimeMs:
		s = float64(info.Flip.SourceTimeMs-info.Flip.CutTimeMs) / 1000
	}
	return &s
}

// knownEnds is where the source's partitions end, as far as its log was read beyond the image, by topic name.
type knownEnds map[string]map[int32]base.Offset

// endsBeyond is taken before the flip, which empties the image.
func endsBeyond(l *state.Link, seen seen) knownEnds {
	ends := knownEnds{}
	for tp, end := range seen.queuedEnds {
		t := l.Image().Topic(tp.Topic)
		if t == nil {
			continue // created beyond the cut: status of the source is all that would know it
		}
		name := t.Info().Name
		if ends[name] == nil {
			ends[name] = map[int32]base.Offset{}
		}
		ends[name][tp.Partition] = end
	}
	return ends
}

// addKnownLoss enters what was read of the source's log beyond the cut.
func addKnownLoss(rep *adminpb.FailoverReport, ends knownEnds) {
	for _, p := range rep.Partitions {
		end := max(p.EndOffset, int64(ends[p.Topic][p.Partition]))
		lost := end - p.EndOffset
		p.SourceEndOffset, p.LostOffsets = &end, &lost
	}
}

func boundaryOfImage(l *state.Link) []*adminpb.PartitionBoundary {
	var out []*adminpb.PartitionBoundary
	for _, t := range l.Image().Topics() {
		info := t.Info()
		if !info.Visible {
			continue
		}
		for i := range t.Partitions() {
			p := t.Partition(i)
			out = append(out, &adminpb.PartitionBoundary{
				Topic: info.Name, Partition: i, EndOffset: int64(p.End), MissingBytes: notLocal(p),
			})
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
