package shadow

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/segment"
)

// backfillPlan finds the copies that bring a region what its image shows and its bucket does not hold: the history that
// came with a snapshot. It is pure: the footers that it asks for are read by its caller.
//
// A snapshot names the chain head of each partition and not those in between, which a copy is proved by. So the footers of
// all objects of such a partition are read first, their digests are chained from offset 0 to the head that the image
// names, and each run then has a head before and after it. Footers that lie are found before a byte is copied.
type backfillPlan struct {
	partitions []*backfillPartition
	footers    []footerJob
	wanted     map[base.TopicID]bool
	whole      map[base.ObjectID]bool // of the source's objects: every extent is wanted
	sizes      map[base.ObjectID]int64
}

// backfillPartition is a partition with remote spans.
type backfillPartition struct {
	tp   base.TopicPartition
	part *state.Partition
	runs []backfillRun // parallel to part.Spans
}

// backfillRun is where a span's batches lie in its object.
type backfillRun struct {
	extent, firstBatch int32
	batches            []deepBatch
}

// footerJob asks for the footer of one object: of the source, or of this region.
type footerJob struct {
	object base.ObjectID
	remote bool
	size   int64
	spans  []backfillRef
}

type backfillRef struct {
	p    *backfillPartition
	span int
}

// newBackfillPlan looks at the image; nil when nothing is remote. Applying goroutine only.
func newBackfillPlan(st *state.State, l *state.Link) *backfillPlan {
	p := &backfillPlan{wanted: map[base.TopicID]bool{}, whole: map[base.ObjectID]bool{}, sizes: map[base.ObjectID]int64{}}
	type key struct {
		id     base.ObjectID
		remote bool
	}
	jobs := map[key]*footerJob{}
	for _, t := range l.Image().Topics() {
		info := t.Info()
		if !info.Visible || info.Fault != "" {
			continue
		}
		p.wanted[info.ID] = true
		for i := range t.Partitions() {
			bp := newBackfillPartition(base.TopicPartition{Topic: info.ID, Partition: i}, t.Partition(i))
			if bp == nil {
				continue
			}
			p.partitions = append(p.partitions, bp)
			for n, sp := range bp.part.Spans {
				k := key{sp.Object, sp.Residency == state.Remote}
				if sp.Residency == state.Absent || bp.unchained() && !k.remote {
					continue
				}
				if jobs[k] == nil {
					jobs[k] = &footerJob{object: k.id, remote: k.remote}
				}
				jobs[k].spans = append(jobs[k].spans, backfillRef{bp, n})
			}
		}
	}
	for k, j := range jobs {
		holder := st
		if k.remote {
			holder = l.Image()
		}
		if o := holder.Object(k.id); o != nil {
			j.size = o.Size
		}
		if k.remote {
			p.sizes[k.id] = j.size
		}
		p.footers = append(p.footers, *j)
	}
	slices.SortFunc(p.footers, func(a, b footerJob) int { return b.object.Compare(a.object) })
	if len(p.partitions) == 0 {
		return nil
	}
	return p
}

func newBackfillPartition(tp base.TopicPartition, part *state.Partition) *backfillPartition {
	if !slices.ContainsFunc(part.Spans, func(sp state.Span) bool { return sp.Residency == state.Remote }) {
		return nil
	}
	return &backfillPartition{tp: tp, part: part, runs: make([]backfillRun, len(part.Spans))}
}

// unchained tells whether the chain cannot be computed: records before the first span were deleted, or a span is gone.
func (p *backfillPartition) unchained() bool {
	return p.part.Spans[0].Base > 0 || slices.ContainsFunc(p.part.Spans, func(sp state.Span) bool { return sp.Residency == state.Absent })
}

// footer takes what a footerJob asked for. base.ErrCorrupt when a span's batches are not in it.
func (p *backfillPlan) footer(j footerJob, extents []segment.Extent) error {
	if j.remote {
		p.whole[j.object] = !slices.ContainsFunc(extents, func(e segment.Extent) bool { return !p.wanted[e.Topic] })
	}
	for _, ref := range j.spans {
		run, ok := findRun(extents, ref.p.tp, ref.p.part.Spans[ref.span])
		if !ok {
			return fmt.Errorf("the footer of object %s does not have offsets %d to %d of %s: %w", j.object,
				ref.p.part.Spans[ref.span].Base, ref.p.part.Spans[ref.span].Last, ref.p.tp, base.ErrCorrupt)
		}
		ref.p.runs[ref.span] = run
	}
	return nil
}

// findRun finds the batches of a span among an object's extents.
func findRun(extents []segment.Extent, tp base.TopicPartition, sp state.Span) (backfillRun, bool) {
	for i, e := range extents {
		if e.Topic != tp.Topic || e.Partition != tp.Partition {
			continue
		}
		run := backfillRun{extent: int32(i), firstBatch: -1}
		at, offset := e.Position, sp.Base
		for n, x := range e.Batches {
			if at >= sp.Position && at < sp.Position+sp.Length {
				if run.firstBatch < 0 {
					run.firstBatch = int32(n)
				}
				run.batches = append(run.batches, deepBatch{x.Records, x.Digest})
				offset += base.Offset(x.Records)
			}
			at += int64(x.Length)
		}
		if offset == sp.Last+1 {
			return run, true
		}
	}
	return backfillRun{}, false
}

// jobs gives the copies, newest first, once all footers are there. Partitions whose digests do not lead to the chain head
// that the image names are in bad, and in no copy.
func (p *backfillPlan) jobs() (jobs []CopyJob, bad map[base.TopicPartition]error) {
	bad = map[base.TopicPartition]error{}
	byObject, newest := map[base.ObjectID]*CopyJob{}, map[base.ObjectID]int64{}
	for _, bp := range p.partitions {
		spans, err := bp.spanJobs()
		if err != nil {
			bad[bp.tp] = err
			continue
		}
		for n, sj := range spans {
			sp := bp.part.Spans[n]
			if sp.Residency != state.Remote {
				continue
			}
			if byObject[sp.Object] == nil {
				byObject[sp.Object] = &CopyJob{Object: sp.Object, Size: p.sizes[sp.Object], Whole: p.whole[sp.Object]}
			}
			byObject[sp.Object].Spans = append(byObject[sp.Object].Spans, sj)
			newest[sp.Object] = max(newest[sp.Object], sp.MaxTimestamp)
		}
	}
	for _, j := range byObject {
		slices.SortFunc(j.Spans, func(a, b SpanJob) int {
			return cmp.Or(cmp.Compare(a.Extent, b.Extent), cmp.Compare(a.FirstBatch, b.FirstBatch))
		})
		// What a bad partition left out of the object must not come in with the rest.
		j.Whole = j.Whole && !slices.ContainsFunc(p.partitions, func(bp *backfillPartition) bool { return bad[bp.tp] != nil })
		jobs = append(jobs, *j)
	}
	slices.SortFunc(jobs, func(a, b CopyJob) int {
		return cmp.Or(cmp.Compare(newest[b.Object], newest[a.Object]), b.Object.Compare(a.Object))
	})
	return jobs, bad
}

// spanJobs chains the partition's digests and gives what proves each span, parallel to the spans.
func (p *backfillPartition) spanJobs() ([]SpanJob, error) {
	unchained := p.unchained()
	var chain base.Chain
	out := make([]SpanJob, len(p.runs))
	for n, run := range p.runs {
		sp := p.part.Spans[n]
		out[n] = SpanJob{
			Topic: p.tp.Topic, Partition: p.tp.Partition, Base: sp.Base, Last: sp.Last, Extent: run.extent, FirstBatch: run.firstBatch,
			Batches: int32(len(run.batches)), Position: sp.Position, Length: sp.Length, Before: chain, Unchained: unchained,
		}
		offset := sp.Base
		for _, b := range run.batches {
			chain = chain.Next(offset, b.digest)
			offset += base.Offset(b.records)
		}
		out[n].After = chain
	}
	if !unchained && chain != p.part.Chain {
		return nil, fmt.Errorf("the footers of the source's objects give chain head %s of %s, its log names %s: %w", chain, p.tp, p.part.Chain, base.ErrCorrupt)
	}
	return out, nil
}
