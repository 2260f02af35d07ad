package e2e

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// reader is a member of a consumer group that commits after every poll, and watches what it is given: within an assignment
// offsets are dense, and after a new one they go on at a committed offset.
type reader struct {
	topic, group string
	client       *kgo.Client
	done         chan struct{}

	mu        sync.Mutex
	next      map[int32]int64 // the offset that is due, by partition; missing after an assignment
	committed map[int32]int64 // by the last commit that succeeded
	attempted map[int32]int64 // by the last commit that was sent
	delivered int
	again     int // deliveries of what had been delivered before, at or above the committed offset
	highest   map[int32]int64
	problems  []string
	// boundary holds what the second region had committed when it took over; nil before.
	boundary map[int32]int64
	// cut is where the second region's history parts from the first one's. A reader that had read beyond it goes back there,
	// once: so clients do that find the boundary by OffsetForLeaderEpoch (KIP-320).
	cut map[int32]int64
}

func startReader(ctx context.Context, t *testing.T, brokers []string, topic, group string, opts ...kgo.Opt) *reader {
	t.Helper()
	r := &reader{
		topic: topic, group: group, done: make(chan struct{}), next: map[int32]int64{}, committed: map[int32]int64{},
		attempted: map[int32]int64{}, highest: map[int32]int64{},
	}
	forget := func(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, p := range gone[topic] {
			delete(r.next, p)
		}
	}
	r.client = newClient(t, brokers, append([]kgo.Opt{
		kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(forget), kgo.OnPartitionsRevoked(forget), kgo.OnPartitionsLost(forget),
		kgo.MetadataMinAge(100_000_000),
	}, opts...)...)
	go func() {
		defer close(r.done)
		for ctx.Err() == nil {
			r.poll(ctx)
		}
	}()
	return r
}

func (r *reader) poll(ctx context.Context) {
	f := r.client.PollFetches(ctx)
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	f.EachRecord(r.take)
	for p, next := range r.next {
		r.attempted[p] = next
	}
	attempt := map[int32]int64{}
	for p, next := range r.next {
		attempt[p] = next
	}
	r.mu.Unlock()
	if err := r.client.CommitUncommittedOffsets(ctx); err != nil {
		return // the group is moving, or the region is gone: what is not committed is delivered again
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, next := range attempt {
		r.committed[p] = next
	}
}

// take checks one delivery. The caller holds the lock.
func (r *reader) take(record *kgo.Record) {
	p, offset := record.Partition, record.Offset
	r.delivered++
	due, known := r.next[p]
	r.next[p] = offset + 1
	if seen, ok := r.highest[p]; ok && offset <= seen {
		r.again++
	}
	r.highest[p] = max(r.highest[p], offset)
	if known {
		if at, ok := r.cut[p]; ok && offset == at && due > at {
			delete(r.cut, p)
			return
		}
		if offset != due {
			r.problem("%d:%d was delivered, %d was due", p, offset, due)
		}
		return
	}
	lowest, highest := r.committed[p], r.attempted[p]
	if at, flipped := r.boundary[p]; flipped {
		lowest, highest = at, at
		delete(r.boundary, p)
	}
	if offset < lowest || offset > highest {
		r.problem("%d:%d is the first after an assignment, the committed offset is between %d and %d", p, offset, lowest, highest)
	}
}

func (r *reader) problem(format string, args ...any) {
	if len(r.problems) < 10 {
		r.problems = append(r.problems, fmt.Sprintf(format, args...))
	}
}

// flip tells the reader what the second region has committed for the group, by asking it.
func (r *reader) flip(ctx context.Context, t *testing.T, brokers []string, partitions int32, cut map[int32]int64) {
	t.Helper()
	offsets, err := kadm.NewClient(newClient(t, brokers)).FetchOffsets(ctx, r.group)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.boundary, r.cut = map[int32]int64{}, maps.Clone(cut)
	for p := range partitions {
		o, ok := offsets.Lookup(r.topic, p)
		if !ok || o.At < 0 {
			r.boundary[p] = 0
			continue
		}
		r.boundary[p] = o.At
		if o.At > r.attempted[p] {
			r.problem("partition %d: the second region has %d committed, the group has committed at most %d", p, o.At, r.attempted[p])
		}
		r.committed[p], r.attempted[p] = o.At, o.At
	}
}

// commits is what the group has committed for sure.
func (r *reader) commits() map[int32]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[int32]int64{}
	for p, at := range r.committed {
		out[p] = at
	}
	return out
}

// position is the next offset of each partition.
func (r *reader) reached(ends map[int32]int64) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, end := range ends {
		if end > 0 && r.highest[p] < end-1 {
			return fmt.Sprintf("partition %d: read to %d of %d", p, r.highest[p]+1, end)
		}
	}
	return ""
}
