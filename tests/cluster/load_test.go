package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

const (
	topic      = "t"
	partitions = 6
	producers  = 3
	// period is the time between two records of a producer.
	period = 3 * time.Millisecond
)

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

func createTopic(t *testing.T, brokers []string) {
	t.Helper()
	if _, err := kadm.NewClient(newClient(t, brokers)).CreateTopic(testContext(t, 20*time.Second), partitions, -1, nil, topic); err != nil {
		t.Fatal(err)
	}
}

// load is a number of producers, with the client's defaults, that send a record each few milliseconds, and a group that
// reads them. Every record has a key, so that the order of each key can be checked.
type load struct {
	t      *testing.T
	rows   *witness.Ledger
	stop   context.CancelFunc
	ended  sync.WaitGroup
	reader *witness.Reader

	mu    sync.Mutex
	acked []time.Time
}

func startLoad(t *testing.T, brokers []string, opts ...kgo.Opt) *load {
	t.Helper()
	ctx, stop := context.WithCancel(testContext(t, 3*time.Minute))
	l := &load{t: t, rows: witness.NewLedger(), stop: stop}
	var err error
	if l.reader, err = witness.StartReader(brokers, topic, "readers", time.Now, opts...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.reader.Close)
	whole := testContext(t, 4*time.Minute)
	for p := range producers {
		cl := newClient(t, brokers, opts...)
		l.ended.Go(func() {
			tick := time.NewTicker(period)
			defer tick.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				r := &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "%d/%d", p, n%10), Value: fmt.Appendf(nil, "%d/%d", p, n)}
				l.rows.Produce(whole, cl, r, func(_ *kgo.Record, err error) { l.note(err) })
				select {
				case <-ctx.Done():
				case <-tick.C:
				}
			}
			if err := cl.Flush(whole); err != nil {
				t.Errorf("producer %d: %v", p, err)
			}
		})
	}
	t.Cleanup(func() { stop(); l.ended.Wait() })
	return l
}

func (l *load) note(err error) {
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.acked = append(l.acked, time.Now())
	}
}

// more waits until n more records were acked.
func (l *load) more(n int) {
	l.t.Helper()
	from := l.rows.Acked()
	harness.Eventually(l.t, 30*time.Second, fmt.Sprint(n, " more records are acked"), func() string {
		if have := l.rows.Acked() - from; have < n {
			return fmt.Sprint(have)
		}
		return ""
	})
}

// stall is the longest time without an ack since then.
func (l *load) stall(since time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	longest, last := time.Duration(0), since
	for _, at := range l.acked[max(0, slices.IndexFunc(l.acked, func(x time.Time) bool { return x.After(since) })):] {
		if at.Before(since) {
			continue
		}
		longest, last = max(longest, at.Sub(last)), at
	}
	return longest
}

// finish ends the producers and checks every promise: what was acked is there once, in order, through each of the agents,
// and no producer saw an error; the group has read all of it, and nothing but what was not committed twice.
func (l *load) finish(brokers []string, opts ...kgo.Opt) {
	l.t.Helper()
	l.stop()
	l.ended.Wait()
	if err := l.rows.Err(); err != nil {
		l.t.Errorf("producers saw errors: %v", err)
	}
	for _, addr := range brokers {
		have, err := witness.ReadAll(testContext(l.t, 60*time.Second), []string{addr}, topic, opts...)
		if err != nil {
			l.t.Fatal(err)
		}
		if _, found := l.rows.Check(have, nil); found.Count > 0 {
			l.t.Errorf("through %s: %d broken promises, such as %q", addr, found.Count, found.First)
		}
	}
	end, err := witness.Ends(testContext(l.t, 20*time.Second), brokers, topic)
	if err != nil {
		l.t.Fatal(err)
	}
	harness.Eventually(l.t, 30*time.Second, "the group reads to the end", func() string { return l.reader.Behind(end) })
	if _, found := l.reader.Progress(); found.Count > 0 {
		l.t.Errorf("the group: %d broken promises, such as %q", found.Count, found.First)
	}
	l.reader.Close() // while there is a leader to say good-bye to
}
