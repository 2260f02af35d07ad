package agent_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/batchtest"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/tests/memregion"
)

// lag is a coordinator whose stream to the agent a test can hold: the agent's view then stays behind.
type lag struct {
	memregion.Coord

	mu   sync.Mutex
	held chan struct{} // nil when the stream flows; closed when it flows again
	away bool          // the head of the log cannot be asked for
	lead base.Seq      // how far the head is said to be ahead of the stream
}

func (l *lag) Follow(ctx context.Context, from base.Seq, fn func(metastore.RawEntry) error) error {
	return l.Coord.Follow(ctx, from, func(raw metastore.RawEntry) error {
		l.mu.Lock()
		held := l.held
		l.mu.Unlock()
		if held != nil {
			select {
			case <-held:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return fn(raw)
	})
}

func (l *lag) Head(ctx context.Context) (metastore.Point, error) {
	l.mu.Lock()
	away, lead := l.away, l.lead
	l.mu.Unlock()
	if away {
		return metastore.Point{}, base.ErrUnavailable
	}
	head, err := l.Coord.Head(ctx)
	head.Seq += lead
	return head, err
}

func (l *lag) setAway(away bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away = away
}

// hold stops the view where it is, until release is called.
func (l *lag) hold() (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := make(chan struct{})
	l.held = held
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.held = nil
		close(held)
	})
}

// rig is a region and a client of its agent.
type rig struct {
	*memregion.Region
	t   *testing.T
	lag *lag
	cl  *kgo.Client
}

func newRig(t *testing.T, o memregion.Options) *rig { return newLaggingRig(t, o, 0) }

// newLaggingRig has an agent that starts with a view that lead entries are missing from.
func newLaggingRig(t *testing.T, o memregion.Options, lead base.Seq) *rig {
	r := &rig{t: t, lag: &lag{lead: lead}}
	o.Wrap = func(c memregion.Coord) memregion.Coord {
		r.lag.Coord = c
		return r.lag
	}
	r.Region = memregion.Start(t, o)
	r.cl = r.Client()
	return r
}

// produce sends a batch of n records to partition 0, and returns the error code and the base offset.
func (r *rig) produce(topic string, id base.TopicID, n int32) (int16, int64) {
	r.t.Helper()
	return r.produceTo(topic, id, 0, n)
}

func (r *rig) produceTo(topic string, id base.TopicID, partition, n int32) (int16, int64) {
	r.t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 5000
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.TopicID = topic, id
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition = partition
	p.Records = batchtest.Make(batchtest.Spec{Records: n, Value: 'v', Timestamp: 1_700_000_000_000})
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	got := r.Ask(r.cl, req).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	return got.ErrorCode, got.BaseOffset
}

func (r *rig) acked(topic string, id base.TopicID, n int32) {
	r.t.Helper()
	if code, _ := r.produce(topic, id, n); code != 0 {
		r.t.Fatalf("produce: code %d", code)
	}
}

// fetch asks for partition 0 from an offset on, without waiting, and returns the code, the high watermark and the bytes.
func (r *rig) fetch(topic string, id base.TopicID, offset int64) (code int16, end int64, n int) {
	r.t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 0, 1, 1<<20, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = topic, id
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = offset, 1<<20
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	got := r.Ask(r.cl, req).(*kmsg.FetchResponse).Topics[0].Partitions[0]
	return got.ErrorCode, got.HighWatermark, len(got.RecordBatches)
}

// offset asks for partition 0's offset at a timestamp.
func (r *rig) offset(topic string, timestamp int64) (code int16, offset int64) {
	r.t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp = timestamp
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	got := r.Ask(r.cl, req).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
	return got.ErrorCode, got.Offset
}

func (r *rig) epochEnd(topic string, epoch int32) (code int16, end int64) {
	r.t.Helper()
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.ReplicaID = -1
	t := kmsg.NewOffsetForLeaderEpochRequestTopic()
	t.Topic = topic
	p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	p.CurrentLeaderEpoch, p.LeaderEpoch = -1, epoch
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	got := r.Ask(r.cl, req).(*kmsg.OffsetForLeaderEpochResponse).Topics[0].Partitions[0]
	return got.ErrorCode, got.EndOffset
}

func (r *rig) metadata(topic string) int16 {
	r.t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr(topic)
	req.Topics = append(req.Topics, t)
	return r.Ask(r.cl, req).(*kmsg.MetadataResponse).Topics[0].ErrorCode
}

// waits asks a question while the view is held, and checks that it is answered only once the view goes on.
func (r *rig) waits(what string, release func(), ask func()) {
	r.t.Helper()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		ask()
	}()
	select {
	case <-answered:
		r.t.Errorf("%s: answered from a view that is behind", what)
	case <-time.After(60 * time.Millisecond):
	}
	release()
	<-answered
}
