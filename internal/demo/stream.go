package demo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/witness"
)

// stream is the producer: one idempotent client that is paced, and that never learns that regions exist.
type stream struct {
	client *kgo.Client
	ledger *witness.Ledger
	now    func() time.Time
	done   chan struct{}

	mu       sync.Mutex
	ackedAt  map[string]time.Time // by value
	lastAck  time.Time
	firstAck time.Time // after flipped
	flipped  bool
}

func createTopic(ctx context.Context, brokers []string, topic string, partitions int32) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return err
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, partitions, -1, nil, topic); err != nil {
		return fmt.Errorf("create topic %s: %w", topic, err)
	}
	return nil
}

// startStream sends the records at a rate (records a second), and ends when all were sent and answered, or with ctx.
func startStream(ctx context.Context, brokers []string, path *witness.Redirect, rows []*kgo.Record, rate int, now func() time.Time) (*stream, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), path.Option(), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		return nil, err
	}
	s := &stream{client: cl, ledger: witness.NewLedger(), now: now, done: make(chan struct{}), ackedAt: map[string]time.Time{}}
	go func() {
		defer close(s.done)
		s.send(ctx, rows, rate)
	}()
	return s, nil
}

func (s *stream) send(ctx context.Context, rows []*kgo.Record, rate int) {
	const every = 10 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	began, sent := s.now(), 0
	for sent < len(rows) {
		due := min(len(rows), int(s.now().Sub(began).Seconds()*float64(rate))+1)
		for ; sent < due; sent++ {
			s.ledger.Produce(ctx, s.client, rows[sent], s.acked)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	_ = s.client.Flush(ctx) // its only error is ctx's; what is then open is not acked
}

func (s *stream) acked(r *kgo.Record, err error) {
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.now()
	s.ackedAt[string(r.Value)], s.lastAck = at, at
	if s.flipped && s.firstAck.IsZero() {
		s.firstAck = at
	}
}

// quiet is how long ago the last ack came.
func (s *stream) quiet() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now().Sub(s.lastAck)
}

// flip says that acks from now on are the second region's, and returns those before.
func (s *stream) flip() []*kgo.Record {
	s.mu.Lock()
	s.flipped = true
	s.mu.Unlock()
	return s.ledger.Acks()
}

// times gives when a record was acked, and when the first ack after the flip came.
func (s *stream) times(r *kgo.Record) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ackedAt[string(r.Value)]
}

func (s *stream) firstAfterFlip() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.firstAck
}
