package agent_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
	"github.com/gnomon-stream/gnomon/tests/memregion"
)

// crowd is a store whose first GETs wait until so many are under way, or for a while.
type crowd struct {
	objstore.Store
	want int

	mu       sync.Mutex
	underWay int
	most     int
	all      int
	there    chan struct{} // closed when enough are under way
}

func newCrowd(want int) *crowd {
	return &crowd{Store: memory.New(), want: want, there: make(chan struct{})}
}

func (c *crowd) GetRange(ctx context.Context, key string, offset int64, dst []byte) error {
	c.mu.Lock()
	c.all++
	c.underWay++
	if c.most = max(c.most, c.underWay); c.underWay == c.want {
		close(c.there)
	}
	c.mu.Unlock()
	select {
	case <-c.there:
	case <-time.After(3 * time.Second): // a test that fails ends too
	}
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.underWay--
	}()
	return c.Store.GetRange(ctx, key, offset, dst)
}

func (c *crowd) gets() (all, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all, c.most
}

// A Fetch asks the store for all that it needs at once, and for what the next one will need.
func TestReadAhead(t *testing.T) {
	const partitions, batches = 2, 3 // each batch in an object of its own
	store := newCrowd(4)             // two partitions with the batch of this Fetch, and of the next
	r := newRig(t, memregion.Options{Data: store})
	id := r.CreateTopic(r.cl, "t", partitions)
	for range batches {
		for p := range int32(partitions) {
			r.ackedTo("t", id, p, 1)
		}
	}
	r.CaughtUp()
	size := r.fetchAll("t", id, partitions, 0, 1) // the first batch of the first partition, as nothing fits
	if all, most := store.gets(); size == 0 || most != 4 || all != 4 {
		t.Fatalf("%d bytes by %d GETs, of which %d at once; want 4 at once", size, all, most)
	}
	// All that fits: the first two of each are there, the third has to be read, and nothing comes after it.
	if got := r.fetchAll("t", id, partitions, 0, 1<<20); got != partitions*batches*size {
		t.Errorf("%d bytes, want %d batches of %d", got, partitions*batches, size)
	}
	if all, _ := store.gets(); all != partitions*batches {
		t.Errorf("%d GETs for %d batches", all, partitions*batches)
	}
}

func (r *rig) ackedTo(topic string, id base.TopicID, partition, n int32) {
	r.t.Helper()
	if code, _ := r.produceTo(topic, id, partition, n); code != 0 {
		r.t.Fatalf("produce: code %d", code)
	}
}

// fetchAll asks for so many partitions from an offset on, and returns the bytes of them all.
func (r *rig) fetchAll(topic string, id base.TopicID, partitions int32, offset int64, partitionMaxBytes int32) (n int) {
	r.t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 0, 1, 1<<20, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = topic, id
	for i := range partitions {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = i, offset, partitionMaxBytes
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	for _, p := range r.Ask(r.cl, req).(*kmsg.FetchResponse).Topics[0].Partitions {
		if p.ErrorCode != 0 {
			r.t.Fatalf("fetch partition %d: code %d", p.Partition, p.ErrorCode)
		}
		n += len(p.RecordBatches)
	}
	return n
}
