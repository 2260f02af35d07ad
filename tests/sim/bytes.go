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
		c.batch(r, tp, logged{batchKey{h.ProducerID, h.BaseSequence}, offset, h.Records, batch.Digest(raw[:h.Length]), h.MaxTimestamp, int64(h.Length)})
		offset += base.Offset(h.Records)
		raw = rest
	}
	if offset != sp.Last+1 {
		c.w.fail("K3: region %s: offsets %d to %d of %s have records up to %d", r.name, sp.Base, sp.Last, tp, offset-1)
	}
}

// forgetMs is how long the leader remembers a producer at least.
const forgetMs = 24 * 3_600_000

// atA tells whether A has the batch at just this offset: it was judged there.
func (c *checker) atA(tp base.TopicPartition, x logged) bool {
	log := c.book(c.w.a).from(tp, x.offset)
	return len(log) > 0 && log[0] == x
}

// batch enters one batch: once, in order, and with the bytes that its producer sent.
func (c *checker) batch(r *Region, tp base.TopicPartition, x logged) {
	b, key, s := c.book(r), x.key, stream{x.key.producer, tp}
	w := written{tp, x.offset, x.digest, r.oracle.Time()}
	b.logs[tp] = append(b.logs[tp], x)
	if next, known := b.last[s]; known && c.w.now-next.at >= forgetMs {
		delete(b.last, s) // so long after its last write, by the leader's clock, a producer is forgotten: anything goes
		b.forgotten[s] = c.w.now
	}
	other, twice := b.batches[key]
	if twice && (other.at <= b.forgotten[s]-forgetMs || r == c.w.b && c.atA(tp, x)) {
		b.last[s] = lastWrite{key.seq + x.records, w.at} // what it had in flight then may all come
		return
	}
	if twice {
		c.w.fail("K2: region %s has sequence %d of producer %d at offset %d and at %d", r.name, key.seq, key.producer&0xffff, other.offset, w.offset)
	}
	copied := r == c.w.b && c.book(c.w.a).restored && c.atA(tp, x) // a gap that a restore left was judged there
	if next, known := b.last[s]; known && key.seq != next.sequence && !copied {
		if key.seq < next.sequence || b.gaps[s] || r.flip() == nil && !(r == c.w.a && b.restored) {
			c.w.fail("K3: region %s: producer %d goes from sequence %d to %d at offset %d of %s", r.name, key.producer&0xffff, next.sequence, key.seq, w.offset, w.tp)
		}
		b.gaps[s] = true
	}
	if r == c.w.b {
		if at, same := c.book(c.w.a).batches[key]; same && at.offset == w.offset && at.digest != w.digest {
			c.w.fail("K6: offset %d of %s has other bytes at B", w.offset, w.tp)
		}
	}
	c.w.logf("region %s: producer %d sequence %d (%d records) at %s offset %d", r.name, key.producer&0xffff, key.seq, x.records, w.tp, w.offset)
	b.batches[key], b.last[s] = w, lastWrite{key.seq + x.records, w.at}
}
