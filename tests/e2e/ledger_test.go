package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ledger is what producers know: which records were acked, and where. Values must be unique within a ledger.
type ledger struct {
	mu     sync.Mutex
	sent   map[string]int // value to order of sending
	acks   map[string]*kgo.Record
	failed []error
}

func newLedger() *ledger { return &ledger{sent: map[string]int{}, acks: map[string]*kgo.Record{}} }

// produce sends r; it blocks while the client's buffer is full.
func (l *ledger) produce(ctx context.Context, cl *kgo.Client, r *kgo.Record) {
	l.mu.Lock()
	l.sent[string(r.Value)] = len(l.sent)
	l.mu.Unlock()
	cl.Produce(ctx, r, func(r *kgo.Record, err error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if err != nil {
			l.failed = append(l.failed, err)
			return
		}
		l.acks[string(r.Value)] = r
	})
}

func (l *ledger) acked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acks)
}

func (l *ledger) failures() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failed) == 0 {
		return nil
	}
	return fmt.Errorf("%d records failed, the first: %w", len(l.failed), l.failed[0])
}

// check holds what a region has against the ledger: every acked record is there once, at the partition and offset that
// the ack named, except those that lost picks; nothing is there that was not sent, and nothing twice; records of a key come
// in the order of sending. It returns the acked records that are missing and were to be.
func (l *ledger) check(t *testing.T, have map[int32]stored, lost func(ack *kgo.Record) bool) (missing int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[string]*kgo.Record{}
	last := map[string]int{}
	for p := range have {
		for _, r := range have[p] {
			value := string(r.Value)
			order, sent := l.sent[value]
			if !sent {
				t.Fatalf("%d:%d was never sent: %q", p, r.Offset, value)
			}
			if other := seen[value]; other != nil {
				t.Fatalf("%q is there twice, at %d:%d and %d:%d", value, other.Partition, other.Offset, p, r.Offset)
			}
			seen[value] = r
			key := fmt.Sprintf("%d/%s", p, r.Key)
			if before, ok := last[key]; ok && order < before {
				t.Fatalf("%d:%d (%q) comes after one that was sent later", p, r.Offset, value)
			}
			last[key] = order
		}
	}
	wrong := 0
	for value, ack := range l.acks {
		got := seen[value]
		gone := lost != nil && lost(ack)
		switch {
		case gone && got == nil:
			missing++
			continue
		case gone:
			t.Errorf("%q was acked at %d:%d, beyond the boundary, and is there at %d:%d", value, ack.Partition, ack.Offset, got.Partition, got.Offset)
		case got == nil:
			t.Errorf("%q was acked at %d:%d and is lost", value, ack.Partition, ack.Offset)
		case got.Partition != ack.Partition || got.Offset != ack.Offset:
			t.Errorf("%q was acked at %d:%d and is at %d:%d", value, ack.Partition, ack.Offset, got.Partition, got.Offset)
		default:
			continue
		}
		if wrong++; wrong == 10 {
			t.Fatal("and so on")
		}
	}
	return missing
}
