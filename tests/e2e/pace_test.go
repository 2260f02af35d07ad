package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/witness"
)

// paced sends rows in order, a number a second, and waits for their acks.
func paced(ctx context.Context, t *testing.T, cl *kgo.Client, ledger *witness.Ledger, rows []*kgo.Record, perSecond int) {
	const slice = 20 * time.Millisecond
	tick := time.NewTicker(slice)
	defer tick.Stop()
	batch := perSecond * int(slice) / int(time.Second)
	for len(rows) > 0 && ctx.Err() == nil {
		n := min(batch, len(rows))
		for _, r := range rows[:n] {
			ledger.Produce(ctx, cl, r, nil)
		}
		rows = rows[n:]
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	if err := cl.Flush(ctx); err != nil {
		t.Error(err)
	}
}

// drip sends a record each few milliseconds until burning ends, and waits for the acks.
func drip(ctx, burning context.Context, t *testing.T, cl *kgo.Client, ledger *witness.Ledger, producer int) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; burning.Err() == nil; i++ {
		ledger.Produce(ctx, cl, &kgo.Record{Topic: oneTopic, Key: fmt.Appendf(nil, "p%d", producer), Value: fmt.Appendf(nil, "%d/%d", producer, i)}, nil)
		select {
		case <-tick.C:
		case <-burning.Done():
		}
	}
	if err := cl.Flush(ctx); err != nil {
		t.Error(err)
	}
}
