package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// testContext bounds a whole test, below the bound of go test, so that what hangs is named.
func testContext(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func newClient(t *testing.T, brokers []string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(brokers...)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func createTopic(t *testing.T, brokers []string, name string, partitions int32) {
	t.Helper()
	ctx := testContext(t, 20*time.Second)
	if _, err := kadm.NewClient(newClient(t, brokers)).CreateTopic(ctx, partitions, -1, nil, name); err != nil {
		t.Fatal(err)
	}
}

// ends gives the end offset of each partition of a topic.
func ends(t *testing.T, brokers []string, topic string) map[int32]int64 {
	t.Helper()
	listed, err := kadm.NewClient(newClient(t, brokers)).ListEndOffsets(testContext(t, 20*time.Second), topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	out := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { out[o.Partition] = o.Offset })
	return out
}

// stored is one partition's records as a reader gets them: index = offset.
type stored []*kgo.Record

// readAll reads a topic from its start to the ends that it has now. Offsets must be dense.
func readAll(t *testing.T, brokers []string, topic string, opts ...kgo.Opt) map[int32]stored {
	t.Helper()
	end := ends(t, brokers, topic)
	cl := newClient(t, brokers, append([]kgo.Opt{
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100 * time.Millisecond),
	}, opts...)...)
	ctx := testContext(t, 90*time.Second)
	out := map[int32]stored{}
	var have, want int64
	for p, e := range end {
		out[p] = nil
		want += e
	}
	for have < want {
		f := cl.PollFetches(ctx)
		if err := f.Err0(); err != nil {
			t.Fatalf("read %s at %s, %d of %d records: %v", topic, brokers, have, want, err)
		}
		f.EachRecord(func(r *kgo.Record) {
			if r.Offset != int64(len(out[r.Partition])) {
				t.Fatalf("read %s-%d: offset %d comes after %d records", topic, r.Partition, r.Offset, len(out[r.Partition]))
			}
			out[r.Partition] = append(out[r.Partition], r)
			have++
		})
	}
	return out
}

// redirect is a dialer that a test points at another region, as a change of DNS does: connections to any address that the
// first region had go to the second one.
type redirect struct {
	from    map[string]bool
	to      []string
	flipped atomic.Bool
	next    atomic.Int64
}

func newRedirect(from, to []string) *redirect {
	r := &redirect{from: map[string]bool{}, to: to}
	for _, a := range from {
		r.from[a] = true
	}
	return r
}

func (r *redirect) dial(ctx context.Context, network, host string) (net.Conn, error) {
	if r.from[host] && r.flipped.Load() {
		host = r.to[int(r.next.Add(1))%len(r.to)]
	}
	return (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, network, host)
}

func (r *redirect) option() kgo.Opt { return kgo.Dialer(r.dial) }

// produceUntilAcked sends one record again until it is acked, and returns how long that took.
func produceUntilAcked(ctx context.Context, brokers []string, record func() *kgo.Record) (time.Duration, *kgo.Record, error) {
	began := time.Now()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ProducerLinger(0), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		return 0, nil, err
	}
	defer cl.Close()
	for {
		r, err := cl.ProduceSync(ctx, record()).First()
		if err == nil {
			return time.Since(began), r, nil
		}
		if ctx.Err() != nil {
			return 0, nil, fmt.Errorf("no ack: %w", errors.Join(err, ctx.Err()))
		}
	}
}
