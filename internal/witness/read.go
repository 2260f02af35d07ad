package witness

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Ends gives the end offset of each partition of a topic.
func Ends(ctx context.Context, brokers []string, topic string) (map[int32]int64, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	listed, err := kadm.NewClient(cl).ListEndOffsets(ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list the ends of %s: %w", topic, err)
	}
	out := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { out[o.Partition] = o.Offset })
	return out, nil
}

// ReadAll reads a topic from its start to the ends that it has when the call begins. ErrGap when an offset is missing or
// comes twice.
func ReadAll(ctx context.Context, brokers []string, topic string, opts ...kgo.Opt) (Contents, error) {
	ends, err := Ends(ctx, brokers, topic)
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100 * time.Millisecond),
	}, opts...)...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	out := Contents{}
	var have, want int64
	for p, e := range ends {
		out[p] = make([]*kgo.Record, 0, e)
		want += e
	}
	for have < want {
		f := cl.PollFetches(ctx)
		if err := f.Err0(); err != nil {
			return out, fmt.Errorf("read %s, %d of %d records: %w", topic, have, want, err)
		}
		var gap error
		f.EachRecord(func(r *kgo.Record) {
			if r.Offset != int64(len(out[r.Partition])) && gap == nil {
				gap = fmt.Errorf("read %s-%d: offset %d comes after %d records: %w", topic, r.Partition, r.Offset, len(out[r.Partition]), ErrGap)
			}
			out[r.Partition] = append(out[r.Partition], r)
			have++
		})
		if gap != nil {
			return out, gap
		}
	}
	return out, nil
}

// SameRecord tells whether two regions give the same record: everything that its bytes say.
func SameRecord(x, y *kgo.Record) bool {
	if !bytes.Equal(x.Key, y.Key) || !bytes.Equal(x.Value, y.Value) || !x.Timestamp.Equal(y.Timestamp) ||
		x.ProducerID != y.ProducerID || x.ProducerEpoch != y.ProducerEpoch || len(x.Headers) != len(y.Headers) {
		return false
	}
	for i := range x.Headers {
		if x.Headers[i].Key != y.Headers[i].Key || !bytes.Equal(x.Headers[i].Value, y.Headers[i].Value) {
			return false
		}
	}
	return true
}
