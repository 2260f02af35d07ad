package sim

import (
	"context"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// span reads a span's bytes, and enters its batches into the region's book.
func (c *checker) span(r *Region, tp base.TopicPartition, sp state.Span) {
	raw := make([]byte, sp.Length)
	if err := r.bucket.GetRange(context.Background(), sp.Object.Key(), sp.Position, raw); err != nil {
		c.w.fail("K4: region %s: the log names offsets %d to %d of %s: %v", r.name, sp.Base, sp.Last, tp, err)
		return
	}
	offset := sp.Base
	for len(raw) > 0 {
		h, rest, err := batch.Parse(raw)
		if err != nil || !batch.CheckCRC(h, raw) {
			c.w.fail("K4: region %s: offset %d of %s: %v", r.name, offset, tp, err)
			return
		}
		c.batch(r, written{tp, offset, batch.Digest(raw[:h.Length]), r.oracle.Time()}, h)
		offset += base.Offset(h.Records)
		raw = rest
	}
	if offset != sp.Last+1 {
		c.w.fail("K3: region %s: offsets %d to %d of %s have records up to %d", r.name, sp.Base, sp.Last, tp, offset-1)
	}
}

// forgetMs is how long the leader remembers a producer at least.
const forgetMs = 24 * 3_600_000

// batch enters one batch: once, in order, and with the bytes that its producer sent.
func (c *checker) batch(r *Region, w written, h batch.Header) {
	b, key, s := c.book(r), batchKey{h.ProducerID, h.BaseSequence}, stream{h.ProducerID, w.tp}
	if next, known := b.last[s]; known && w.at-next.at >= forgetMs {
		delete(b.last, s) // so long after its last write a producer is forgotten: anything goes
		if _, twice := b.batches[key]; twice {
			return
		}
	}
	if other, twice := b.batches[key]; twice {
		c.w.fail("K2: region %s has sequence %d of producer %d at offset %d and at %d", r.name, key.seq, key.producer&0xffff, other.offset, w.offset)
	}
	if next, known := b.last[s]; known && h.BaseSequence != next.sequence {
		if h.BaseSequence < next.sequence || b.gaps[s] || r.flip() == nil {
			c.w.fail("K3: region %s: producer %d goes from sequence %d to %d at offset %d of %s", r.name, h.ProducerID&0xffff, next.sequence, h.BaseSequence, w.offset, w.tp)
		}
		b.gaps[s] = true
	}
	if r == c.w.b {
		if at, same := c.book(c.w.a).batches[key]; same && at.offset == w.offset && at.digest != w.digest {
			c.w.fail("K6: offset %d of %s has other bytes at B", w.offset, w.tp)
		}
	}
	c.w.logf("region %s: producer %d sequence %d (%d records) at %s offset %d", r.name, h.ProducerID&0xffff, h.BaseSequence, h.Records, w.tp, w.offset)
	b.batches[key], b.last[s] = w, lastWrite{h.BaseSequence + h.Records, w.at}
}
