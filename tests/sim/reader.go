package sim

import (
	"context"
	"errors"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/fetcher"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// follow moves an agent's view on by some entries: from a snapshot if the agent is new, then from the log, or the archive behind it.
func (a *agent) follow(most int) error {
	ctx, objects := context.Background(), objstore.AsObjects(a.store)
	pos, err := a.log.Position(ctx)
	if err != nil {
		return err
	}
	if err := a.recognise(pos); err != nil {
		return err
	}
	if a.view == nil {
		view := state.NewServing()
		if pos.Snapshot != nil {
			payload, err := archive.GetSnapshot(ctx, objects, pos.Snapshot)
			if err != nil {
				return err
			}
			if view, err = state.RestoreServing(payload); err != nil {
				return err
			}
		}
		view.SetIncarnation(pos.Incarnation)
		a.view = view
	}
	if a.view.Head().Seq == pos.Head.Seq {
		return nil
	}
	entries, err := readLog(a.log, objects, pos.Incarnation, a.view.Head().Seq+1)
	if err == nil && len(entries) == 0 {
		err = fmt.Errorf("neither log nor archive has seq %d: %w", a.view.Head().Seq+1, base.ErrUnavailable)
	}
	if err != nil {
		return err
	}
	for _, raw := range entries[:min(len(entries), most)] {
		in, err := replica.Prepare(ctx, objects, raw)
		if err != nil {
			return err
		}
		if _, err := a.view.Apply(in); err != nil {
			a.r.w.fail("%s cannot apply entry %d: %v", a, raw.Seq, err)
			return err
		}
	}
	a.view.SetIncarnation(pos.Incarnation) // the archive may tell of earlier restores
	return nil
}

// reader reads somewhere, through an agent of some region whose view lags, as pkg/agent's read path does.
type reader struct {
	pause
	w *World
}

func (x *reader) String() string { return "reader" }

func (x *reader) step() {
	w := x.w
	r := []*Region{w.a, w.b}[w.rng.IntN(2)]
	if len(r.agents) == 0 || r.dead() {
		return
	}
	a := r.agents[w.rng.IntN(len(r.agents))]
	if err := a.follow(1 + w.rng.IntN(30)); err != nil || w.rng.IntN(2) == 0 {
		return // the view lags
	}
	shown := a.view.ShowAll()
	if len(shown) == 0 {
		return
	}
	t := shown[w.rng.IntN(len(shown))]
	p := w.rng.Int32N(t.Partitions())
	part := t.Partition(p)
	offset := part.LogStart
	if part.End > part.LogStart && w.rng.IntN(3) > 0 {
		offset += base.Offset(w.rng.Int64N(int64(part.End - part.LogStart)))
	}
	_, err := a.read(t, p, offset, 1+w.rng.IntN(400))
	if err != nil && !errors.Is(err, base.ErrUnavailable) {
		w.fail("K14: %s: offset %d of %s-%d: %v", a, offset, t.Info().Name, p, err)
	}
}

// read reads from an offset on, and compares what it finds with what was written there (K14). It returns the offset after it.
func (a *agent) read(t state.Shadowed, p int32, offset base.Offset, bytes int) (base.Offset, error) {
	w, part := a.r.w, t.Partition(p)
	tp := base.TopicPartition{Topic: t.Info().ID, Partition: p}
	of, at := a.r, a.view.Head()
	if t.Link != nil {
		of, at = w.a, t.Link.Image().Head()
	}
	m := w.check.book(of).at(at.Hash).topics[tp.Topic]
	if m == nil || int(p) >= len(m.partitions) || m.partitions[p].start != part.LogStart || m.partitions[p].end != part.End {
		return 0, fmt.Errorf("the view at seq %d has it from %d to %d, the log has %+v", at.Seq, part.LogStart, part.End, m)
	}
	want := w.check.book(a.r).from(tp, offset) // a shadow may hold what its source has lost
	for i := part.FindSpan(offset); i < len(part.Spans) && bytes > 0; i++ {
		sp := part.Spans[i]
		if sp.Residency != state.Local {
			return offset, fmt.Errorf("offsets %d to %d are not in the bucket yet: %w", sp.Base, sp.Last, base.ErrUnavailable)
		}
		batches, next, lease, err := a.fetcher.Read(context.Background(), fetcher.Request{
			Object: sp.Object, Position: sp.Position, Length: sp.Length, Base: sp.Base, From: offset,
			MaxBytes: bytes, AtLeastOne: true, Wait: true, Epoch: part.EpochOf(sp.Base),
		})
		if err != nil {
			return offset, err
		}
		for _, b := range batches {
			h, _, err := batch.Parse(b)
			if err != nil || len(want) == 0 || want[0].digest != batch.Digest(b) || want[0].offset != h.BaseOffset {
				lease.Release()
				return offset, fmt.Errorf("a batch at %d is not what was written there: %v", h.BaseOffset, err)
			}
			bytes -= len(b)
			want = want[1:]
		}
		lease.Release()
		if len(batches) == 0 {
			return offset, fmt.Errorf("span %d to %d has no batch", sp.Base, sp.Last)
		}
		if offset = next; offset <= sp.Last {
			break
		}
	}
	return offset, nil
}

// readAll holds K14 at the end: through a new agent, all that is there is read, from each log start to its end.
func (r *Region) readAll() {
	a := r.startAgent(0)
	for a.view == nil || a.view.Head() != r.oracle.Head() {
		if err := a.follow(1 << 30); err != nil {
			r.w.fail("S1: a new agent of region %s: %v", r.name, err)
			return
		}
	}
	for _, t := range a.view.ShowAll() {
		for p := range t.Partitions() {
			for offset := t.Partition(p).LogStart; offset < t.Partition(p).End; {
				next, err := a.read(t, p, offset, 1<<20)
				if t.Link != nil && t.Link.Info().Fault != "" && errors.Is(err, base.ErrUnavailable) {
					break // the backfill of a link that is FAULTED has ended, too
				}
				if err != nil || next <= offset {
					r.w.fail("K14: region %s: offset %d of %s-%d: %v", r.name, offset, t.Info().Name, p, err)
					return
				}
				offset = next
			}
		}
	}
}
