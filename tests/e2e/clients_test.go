package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/witness"
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

func ends(t *testing.T, brokers []string, topic string) map[int32]int64 {
	t.Helper()
	out, err := witness.Ends(testContext(t, 20*time.Second), brokers, topic)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func readAll(t *testing.T, brokers []string, topic string, opts ...kgo.Opt) witness.Contents {
	t.Helper()
	out, err := witness.ReadAll(testContext(t, 90*time.Second), brokers, topic, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// checkLedger fails the test for every broken promise, and returns how many acked records the cut leaves out.
func checkLedger(t *testing.T, l *witness.Ledger, have witness.Contents, cut witness.Boundary) int {
	t.Helper()
	lost, found := l.Check(have, cut)
	if found.Count > 0 {
		t.Errorf("%d broken promises, such as %q", found.Count, found.First)
	}
	if err := l.Err(); err != nil {
		t.Error(err)
	}
	return lost
}

func startReader(t *testing.T, brokers []string, topic, group string, opts ...kgo.Opt) *witness.Reader {
	t.Helper()
	r, err := witness.StartReader(brokers, topic, group, time.Now, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// produceUntilAcked sends one record again until it is acked, and returns how long that took.
func produceUntilAcked(ctx context.Context, l *witness.Ledger, brokers []string, record *kgo.Record) (time.Duration, error) {
	began := time.Now()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ProducerLinger(0), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	done := make(chan error, 1)
	l.Produce(ctx, cl, record, func(_ *kgo.Record, err error) { done <- err })
	if err := <-done; err != nil {
		return 0, fmt.Errorf("no ack: %w", errors.Join(err, ctx.Err()))
	}
	return time.Since(began), nil
}
