package state

import (
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

func (s *State) applySessionOpened(ev *metalogpb.SessionOpened) error {
	id := base.SessionID(ev.Session)
	if s.sessions[id] != nil {
		return fmt.Errorf("open session %x a second time: %w", ev.Session, base.ErrCorrupt)
	}
	s.nextSession = max(s.nextSession, ev.Session&(1<<40-1))
	s.sessions[id] = &Session{ID: id, NodeID: ev.NodeId, Link: ev.Link, Results: map[base.ObjectNumber]*metalogpb.StoredResult{}}
	return nil
}

func (s *State) applySessionFenced(ev *metalogpb.SessionFenced) error {
	x := s.sessions[base.SessionID(ev.Session)]
	if x == nil {
		return fmt.Errorf("fence session %x, which was never opened: %w", ev.Session, base.ErrCorrupt)
	}
	x.Fenced = true
	clear(x.Results)
	return nil
}

func (s *State) applyObjectCommitted(ev *metalogpb.ObjectCommitted, ctx *eventContext) error {
	x := s.sessions[base.SessionID(ev.Session)]
	id := base.ObjectID{Session: base.SessionID(ev.Session), Number: base.ObjectNumber(ev.Number)}
	if x == nil || x.Fenced || id.Number <= x.Floor {
		return fmt.Errorf("commit of object %s outside its session: %w", id, base.ErrCorrupt)
	}
	s.objects[id] = &Object{Size: ev.Size}
	stored := &metalogpb.StoredResult{Number: ev.Number, Outcomes: ev.Outcomes}
	for _, te := range ev.Topics {
		for _, sc := range te.Spans {
			if err := s.applySpan(id, te.TopicId, sc, ctx); err != nil {
				return err
			}
			if !s.serving {
				stored.Runs = append(stored.Runs, &metalogpb.ResultRun{
					Extent: sc.Extent, FirstBatch: sc.FirstBatch, Batches: sc.Batches, BaseOffset: sc.BaseOffset,
				})
			}
		}
	}
	x.Floor = id.Number
	x.resolve(base.ObjectNumber(ev.ResolvedBelow))
	if !s.serving && id.Number >= x.ResolvedBelow {
		x.Results[id.Number] = stored
	}
	return nil
}

func (x *Session) resolve(below base.ObjectNumber) {
	if below <= x.ResolvedBelow {
		return
	}
	x.ResolvedBelow = below
	for n := range x.Results {
		if n < below {
			delete(x.Results, n)
		}
	}
}

func (s *State) applySpan(object base.ObjectID, topic []byte, sc *metalogpb.SpanCommitted, ctx *eventContext) error {
	c, id, err := s.cellOf(topic, sc.Partition)
	if err != nil {
		return err
	}
	p := *c.now.Load()
	if base.Offset(sc.BaseOffset) != p.End || sc.LastOffset < sc.BaseOffset {
		return fmt.Errorf("span %d..%d of %s-%d does not continue its end %d: %w",
			sc.BaseOffset, sc.LastOffset, id, sc.Partition, p.End, base.ErrCorrupt)
	}
	chain, err := base.ChainFromBytes(sc.Chain)
	if err != nil {
		return err
	}
	span := Span{
		Base: base.Offset(sc.BaseOffset), Last: base.Offset(sc.LastOffset), MaxTimestamp: sc.MaxTimestampMs,
		Object: object, Position: sc.Position, Length: sc.Length,
	}
	if s.link != nil {
		span = ctx.placed.place(id, sc.Partition, span)
	}
	s.retain(span)
	// Readers hold the old slice with its old length: appending behind it disturbs nobody.
	p.Spans = append(p.Spans, span)
	if epoch := s.Region().Epoch; len(p.Epochs) == 0 || p.Epochs[len(p.Epochs)-1].Epoch < epoch {
		p.Epochs = append(p.Epochs[:len(p.Epochs):len(p.Epochs)], EpochStart{Epoch: epoch, Start: span.Base})
	}
	p.End = span.Last + 1
	p.LastStable = p.End
	p.MaxTimestamp = max(p.MaxTimestamp, span.MaxTimestamp)
	p.Chain = chain
	if !s.serving {
		s.noteProducers(c, sc.Producers)
	}
	c.now.Store(&p)
	ctx.changes.partition(id, sc.Partition)
	return nil
}

func (s *State) noteProducers(c *cell, batches []*metalogpb.ProducerBatch) {
	before := len(c.producers)
	for _, b := range batches {
		if c.producers == nil {
			c.producers = map[int64]*Producer{}
		}
		p := c.producers[b.ProducerId]
		if p == nil || p.Epoch != int16(b.ProducerEpoch) {
			p = NewProducer(b.ProducerId, int16(b.ProducerEpoch), s.Region().Epoch)
			c.producers[b.ProducerId] = p
		}
		p.Note(b)
		p.LastWrite = s.time
	}
	s.counts.Producers += len(c.producers) - before
}

func (s *State) applyProducersExpired(ev *metalogpb.ProducersExpired) {
	if s.serving {
		return
	}
	for _, t := range s.Topics() {
		for _, c := range *t.cells.Load() {
			for id, p := range c.producers {
				if p.LastWrite < ev.LastWriteBeforeMs {
					delete(c.producers, id)
					s.counts.Producers--
				}
			}
		}
	}
}
