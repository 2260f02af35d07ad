package witness

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Ledger is what producers of one topic know: which records were acked, and where. Values must be unique within a ledger.
type Ledger struct {
	mu       sync.Mutex
	sent     map[string]int // value to order of sending
	acks     map[string]*kgo.Record
	failures int
	failed   error // the first
}

// NewLedger returns an empty one.
func NewLedger() *Ledger { return &Ledger{sent: map[string]int{}, acks: map[string]*kgo.Record{}} }

// Produce sends r, and enters it. It blocks while the client's buffer is full. done, if not nil, is called after the record
// is entered as acked or failed.
func (l *Ledger) Produce(ctx context.Context, cl *kgo.Client, r *kgo.Record, done func(*kgo.Record, error)) {
	l.mu.Lock()
	l.sent[string(r.Value)] = len(l.sent)
	l.mu.Unlock()
	cl.Produce(ctx, r, func(r *kgo.Record, err error) {
		l.enter(r, err)
		if done != nil {
			done(r, err)
		}
	})
}

func (l *Ledger) enter(r *kgo.Record, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failures++
		if l.failed == nil {
			l.failed = err
		}
		return
	}
	l.acks[string(r.Value)] = r
}

// Acked is how many records were acked.
func (l *Ledger) Acked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acks)
}

// Acks gives all of them.
func (l *Ledger) Acks() []*kgo.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]*kgo.Record, 0, len(l.acks))
	for _, r := range l.acks {
		out = append(out, r)
	}
	return out
}

// Err is nil as long as no record has failed for good.
func (l *Ledger) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		return nil
	}
	return fmt.Errorf("%d records failed, the first: %w", l.failures, l.failed)
}

// Contents are a topic's records as a reader gets them: by partition, the index being the offset.
type Contents map[int32][]*kgo.Record

// ErrGap says that a reader was given an offset that was not due.
var ErrGap = errors.New("offsets are not dense")

// Boundary is where a failover cut the partitions of a topic: the first offset that the second region did not have.
type Boundary map[int32]int64

// Lost tells whether an acked record is one that a cut leaves out: it is at or beyond the boundary, and its offset was not
// given to it by the region that took over.
func (b Boundary) Lost(ack *kgo.Record, have Contents) bool {
	end, known := b[ack.Partition]
	if !known || ack.Offset < end {
		return false
	}
	records := have[ack.Partition]
	return ack.Offset >= int64(len(records)) || string(records[ack.Offset].Value) != string(ack.Value)
}

// Check holds what a region has against the ledger: every acked record is there once, at the partition and offset that the
// ack named, except those that the boundary (nil: none) leaves out, which are counted as lost; nothing is there that was not
// sent, and nothing twice; records of a key come in the order of sending.
func (l *Ledger) Check(have Contents, cut Boundary) (lost int, found Findings) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := l.scan(have, &found)
	for value, ack := range l.acks {
		got, gone := seen[value], cut.Lost(ack, have)
		switch {
		case gone && got == nil:
			lost++
		case gone:
			found.add("%q was acked at %d:%d, beyond the boundary, and is at %d:%d", value, ack.Partition, ack.Offset, got.Partition, got.Offset)
		case got == nil:
			found.add("%q was acked at %d:%d and is lost", value, ack.Partition, ack.Offset)
		case got.Partition != ack.Partition || got.Offset != ack.Offset:
			found.add("%q was acked at %d:%d and is at %d:%d", value, ack.Partition, ack.Offset, got.Partition, got.Offset)
		}
	}
	return lost, found
}

// scan looks for what was not sent, what is there twice, and keys out of order.
func (l *Ledger) scan(have Contents, found *Findings) map[string]*kgo.Record {
	type place struct {
		partition int32
		key       string
	}
	seen, last := map[string]*kgo.Record{}, map[place]int{}
	for p, records := range have {
		for _, r := range records {
			value := string(r.Value)
			order, sent := l.sent[value]
			switch other := seen[value]; {
			case !sent:
				found.add("%d:%d was never sent: %q", p, r.Offset, value)
			case other != nil:
				found.add("%q is there twice, at %d:%d and %d:%d", value, other.Partition, other.Offset, p, r.Offset)
			}
			seen[value] = r
			at := place{p, string(r.Key)}
			if before, ok := last[at]; ok && order < before {
				found.add("%d:%d (%q) comes after a record of its key that was sent later", p, r.Offset, value)
			}
			last[at] = order
		}
	}
	return seen
}
