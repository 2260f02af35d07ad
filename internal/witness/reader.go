package witness

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Reader is a member of a consumer group that reads one topic, commits after every poll, and watches what it is given:
// within an assignment offsets are dense, and after a new one they go on at a committed offset.
type Reader struct {
	topic, group string
	client       *kgo.Client
	done         chan struct{}
	stop         context.CancelFunc
	// Now is the clock.
	now func() time.Time

	mu        sync.Mutex
	next      map[int32]int64 // the offset that is due, by partition; missing after an assignment
	committed map[int32]int64 // by the last commit that succeeded
	attempted map[int32]int64 // by the last commit that was sent
	highest   map[int32]int64 // of what was delivered
	// resume is what the second region had committed when it took over, for partitions that were not delivered from since.
	resume map[int32]int64
	// cut is where the second region's history parts from the first one's. A reader that had read beyond it goes back there,
	// once: so clients do that find the boundary by OffsetForLeaderEpoch (KIP-320).
	cut      map[int32]int64
	flipped  bool
	progress Progress
	found    Findings
}

// Progress of a reader.
type Progress struct {
	Delivered int // records
	Again     int // deliveries of an offset that was delivered before
	Skipped   int // offsets that were due and were passed over
	Below     int // records below the committed offset that were delivered again
	// FirstAfterFlip is when the first record came after Flip; zero before.
	FirstAfterFlip time.Time
}

// StartReader joins the group. Close leaves it.
func StartReader(brokers []string, topic, group string, now func() time.Time, opts ...kgo.Opt) (*Reader, error) {
	ctx, stop := context.WithCancel(context.Background())
	r := &Reader{
		topic: topic, group: group, done: make(chan struct{}), stop: stop, now: now, next: map[int32]int64{},
		committed: map[int32]int64{}, attempted: map[int32]int64{}, highest: map[int32]int64{},
	}
	var err error
	r.client, err = kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.OnPartitionsAssigned(r.forget), kgo.OnPartitionsRevoked(r.forget), kgo.OnPartitionsLost(r.forget),
	}, opts...)...)
	if err != nil {
		stop()
		return nil, err
	}
	go func() {
		defer close(r.done)
		for ctx.Err() == nil {
			r.poll(ctx)
		}
	}()
	return r, nil
}

// leavePatience is how long the reader tries to leave its group: of a region that is gone nobody answers.
const leavePatience = 10 * time.Second

// Close ends the reader.
func (r *Reader) Close() {
	r.stop()
	<-r.done
	ctx, cancel := context.WithTimeout(context.Background(), leavePatience)
	defer cancel()
	_ = r.client.LeaveGroupContext(ctx) // a test asks for what was read, not for who is in the group
	r.client.Close()
}

func (r *Reader) forget(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range partitions[r.topic] {
		delete(r.next, p)
	}
}

func (r *Reader) poll(ctx context.Context) {
	f := r.client.PollFetches(ctx)
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	f.EachRecord(r.take)
	attempt := maps.Clone(r.next)
	maps.Copy(r.attempted, attempt)
	r.mu.Unlock()
	if err := r.client.CommitUncommittedOffsets(ctx); err != nil {
		return // the group is moving, or the region is gone: what is not committed is delivered again
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.Copy(r.committed, attempt)
}

// take judges one delivery. Called with mu held.
func (r *Reader) take(record *kgo.Record) {
	p, offset := record.Partition, record.Offset
	r.progress.Delivered++
	if r.flipped && r.progress.FirstAfterFlip.IsZero() {
		r.progress.FirstAfterFlip = r.now()
	}
	if seen, ok := r.highest[p]; ok && offset <= seen {
		r.progress.Again++
	}
	r.highest[p] = max(r.highest[p], offset)
	due, known := r.next[p]
	r.next[p] = offset + 1
	if !known {
		r.takeFirst(p, offset)
		return
	}
	if at, ok := r.cut[p]; ok && offset == at && due > at {
		delete(r.cut, p)
		return
	}
	switch {
	case offset > due:
		r.progress.Skipped += int(offset - due)
		r.found.add("%d:%d was delivered, %d was due", p, offset, due)
	case offset < due:
		r.progress.Below++
		r.found.add("%d:%d was delivered again in one assignment, %d was due", p, offset, due)
	}
}

// takeFirst judges the first delivery after an assignment.
func (r *Reader) takeFirst(p int32, offset int64) {
	lowest, highest := r.committed[p], r.attempted[p]
	if at, ok := r.resume[p]; ok {
		lowest, highest = at, at
		delete(r.resume, p)
	}
	switch {
	case offset > highest:
		r.progress.Skipped += int(offset - highest)
		r.found.add("%d:%d is the first after an assignment, the committed offset is %d", p, offset, highest)
	case offset < lowest:
		r.progress.Below++
		r.found.add("%d:%d is the first after an assignment, below the committed offset %d", p, offset, lowest)
	}
}

// Flip tells the reader that another region has taken over, and where: what that region has committed for the group is
// where each partition must go on.
func (r *Reader) Flip(ctx context.Context, brokers []string, cut Boundary) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		return err
	}
	defer cl.Close()
	offsets, err := kadm.NewClient(cl).FetchOffsets(ctx, r.group)
	if err != nil {
		return fmt.Errorf("fetch what group %s has committed: %w", r.group, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resume, r.cut, r.flipped = map[int32]int64{}, maps.Clone(cut), true
	for p := range cut {
		at := int64(0)
		if o, ok := offsets.Lookup(r.topic, p); ok && o.At >= 0 {
			at = o.At
		}
		if at > r.attempted[p] {
			r.found.add("partition %d: the second region has %d committed, the group has committed at most %d", p, at, r.attempted[p])
		}
		if seen, ok := r.highest[p]; ok { // beyond the cut, offsets are given again, to other records
			r.highest[p] = min(seen, cut[p]-1)
		}
		r.resume[p], r.committed[p], r.attempted[p] = at, at, at
	}
	return nil
}

// Progress is how far the reader is, and what it found.
func (r *Reader) Progress() (Progress, Findings) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.progress, r.found
}

// Behind tells, in words, what of a topic with these ends the reader has not got yet; empty when nothing.
func (r *Reader) Behind(ends map[int32]int64) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, end := range ends {
		if seen, ok := r.highest[p]; end > 0 && (!ok || seen < end-1) {
			return fmt.Sprintf("partition %d: read to %d of %d", p, seen, end)
		}
	}
	return ""
}
