package sim

import (
	"sort"
	"strconv"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// logged is a batch as it lies in a partition: what readers are to be given.
type logged struct {
	key       batchKey
	offset    base.Offset
	records   int32
	digest    base.Digest
	timestamp int64 // of its newest record
	size      int64
}

func (l logged) next() base.Offset { return l.offset + base.Offset(l.records) }

// deletion is a request to delete what lies below an offset; endOffset for all that is there.
type deletion struct {
	tp     base.TopicPartition
	offset int64
}

const endOffset = -1

// recordsDeleted holds K14: a log start rises only, never beyond the end, and only because somebody asked for just this or because the
// topic's settings, as they are at this place of the log, keep no more.
func (c *checker) recordsDeleted(r *Region, ev *metalogpb.RecordsDeleted) {
	b := c.book(r)
	tp := base.TopicPartition{Topic: base.TopicID(ev.TopicId), Partition: ev.Partition}
	c.changeTopic(r, ev.TopicId, func(t *topicModel) {
		p := &t.partitions[ev.Partition]
		start := base.Offset(ev.LogStart)
		asked := b.deletions[deletion{tp, ev.LogStart}] || start == p.end && b.deletions[deletion{tp, endOffset}]
		switch {
		case start < p.start:
			c.w.fail("K14: region %s: the log start of %s goes back from %d to %d", r.name, tp, p.start, start)
		case start > p.end:
			c.w.fail("K14: region %s: the log start of %s becomes %d, beyond its end %d", r.name, tp, start, p.end)
		case !asked:
			c.retained(r, tp, t, start)
		}
		c.w.logf("region %s: %s begins at %d (asked for: %v)", r.name, tp, start, asked)
		p.start = start
	})
}

// retained holds K14 of the leader's own retention: each batch below the new start is too old, or what is left without it is still
// as much as the topic keeps. (By the clock, not by the time of the event's entry, which another event may have begun long ago.)
func (c *checker) retained(r *Region, tp base.TopicPartition, t *topicModel, start base.Offset) {
	limit := func(name string, otherwise int64) int64 {
		if n, err := strconv.ParseInt(t.configs[name], 10, 64); err == nil {
			return n
		}
		return otherwise
	}
	ms, bytes := limit("retention.ms", 7*24*3_600_000), limit("retention.bytes", -1)
	log, now := c.book(r).logs[tp], c.w.now
	left := int64(0)
	for i := len(log) - 1; i >= 0 && log[i].offset >= t.partitions[tp.Partition].start; i-- {
		x := log[i]
		if old, much := x.timestamp < now-ms, bytes >= 0 && left >= bytes; x.offset < start && !old && !much {
			c.w.fail("K14: region %s deletes %s up to %d: nobody asked, and offset %d is %d ms old with %d bytes behind it; the topic has %v",
				r.name, tp, start, x.offset, now-x.timestamp, left, t.configs)
			return
		}
		left += x.size
	}
}

// from returns the batches from the one that holds offset on.
func (b *book) from(tp base.TopicPartition, offset base.Offset) []logged {
	log := b.logs[tp]
	return log[sort.Search(len(log), func(i int) bool { return log[i].next() > offset }):]
}

// copied enters batches of A that the image has deleted again in the very step that brought them: nobody can read them at B.
func (c *checker) copied(tp base.TopicPartition, from, last base.Offset) {
	for _, x := range c.book(c.w.a).from(tp, from) {
		if x.offset > last {
			return
		}
		c.batch(c.w.b, tp, x)
	}
}
