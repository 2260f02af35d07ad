package recovery

import (
	"context"
	"errors"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/segment"
)

// deepSpan is a span to be proved, and the digests of its batches once its object was read.
type deepSpan struct {
	topic     base.TopicID
	partition int32
	where     string
	state.Span
	batches []deepBatch
	proved  bool
}

type deepBatch struct {
	records int32
	digest  base.Digest
}

// deep reads every object that spans lie in, whole: footer, digests and CRC of each batch, the batches that each span is to have, and,
// for partitions that have their first record still, the chain from there to the head.
func (c *checking) deep(ctx context.Context) error {
	if !c.Deep {
		return nil
	}
	byObject, chains := map[base.ObjectID][]*deepSpan{}, map[*state.Partition][]*deepSpan{}
	for _, t := range topicsOf(c.loaded.State) {
		for i := range t.Partitions() {
			p := t.Partition(i)
			for _, sp := range p.Spans {
				x := &deepSpan{topic: t.Info().ID, partition: i, where: fmt.Sprintf("%s/%d", t.Info().Name, i), Span: sp}
				chains[p] = append(chains[p], x)
				if sp.Residency == state.Local {
					byObject[sp.Object] = append(byObject[sp.Object], x)
				}
			}
		}
	}
	done := 0
	for _, id := range c.loaded.State.Objects() {
		spans := byObject[id]
		if len(spans) == 0 || !c.seen[id] {
			continue
		}
		if done++; done%checkStep == 0 {
			c.Say(fmt.Sprintf("read %d of %d objects", done, len(byObject)))
		}
		if err := c.readObject(ctx, id, spans); err != nil {
			return err
		}
	}
	for p, spans := range chains {
		c.checkChain(p, spans)
	}
	return nil
}

func (c *checking) readObject(ctx context.Context, id base.ObjectID, spans []*deepSpan) error {
	whole, err := c.Bucket.Get(ctx, id.Key(), c.loaded.State.Object(id).Size)
	switch {
	case errors.Is(err, base.ErrNotFound): // since the listing
		c.doubt(FindMissing, id.Key(), "%d spans lie in it, and it is not in the bucket", len(spans))
		return nil
	case errors.Is(err, base.ErrTooLarge): // a size that was doubted
		return nil
	case err != nil:
		return fmt.Errorf("read %s: %w", id.Key(), err)
	}
	c.report.BytesRead += int64(len(whole))
	_, extents, err := segment.Verify(whole)
	if err != nil {
		c.doubt(FindDamaged, id.Key(), "%v", err)
		return nil
	}
	for _, sp := range spans {
		if err := sp.take(extents); err != nil {
			c.doubt(FindDamaged, id.Key(), "%s, span %d to %d: %v", sp.where, sp.Base, sp.Last, err)
		}
	}
	return nil
}

// take finds the span's batches in its object.
func (x *deepSpan) take(extents []segment.Extent) error {
	for _, e := range extents {
		if e.Topic != x.topic || e.Partition != x.partition {
			continue
		}
		at, records := e.Position, int64(0)
		for _, b := range e.Batches {
			if at >= x.Position && at < x.Position+x.Length {
				x.batches = append(x.batches, deepBatch{b.Records, b.Digest})
				records += int64(b.Records)
			}
			at += int64(b.Length)
		}
		if want := int64(x.Last-x.Base) + 1; records != want {
			return fmt.Errorf("it has %d records there, the index says %d", records, want)
		}
		x.proved = true
		return nil
	}
	return errors.New("the object has nothing of the partition")
}

// checkChain chains the batches from the first offset on. Where that is gone, or bytes are not here, nothing can be said.
func (c *checking) checkChain(p *state.Partition, spans []*deepSpan) {
	var chain base.Chain
	for i, x := range spans {
		if !x.proved || i == 0 && x.Base > 0 {
			return
		}
		at := x.Base
		for _, b := range x.batches {
			chain = chain.Next(at, b.digest)
			at += base.Offset(b.records)
		}
	}
	if len(spans) > 0 && chain != p.Chain {
		c.find(FindChain, spans[0].where, "its batches give chain head %s, the index has %s", chain, p.Chain)
	}
}
