package agent_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/batchtest"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
	"github.com/gnomon-stream/gnomon/tests/memregion"
)

// An idempotent producer that is told REQUEST_TIMED_OUT sends again while its first attempt is still on its way, with the next batch
// behind it. Whether the first attempt becomes durable or not, nothing is doubled, nothing is lost, and the order holds.
func TestTimedOutAndSentAgain(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprintf("the first attempt fails: %v", fails), func(t *testing.T) {
			t.Parallel()
			flows := make(chan struct{})
			var once sync.Once
			puts := fault.New(memory.New(), fault.Options{
				Latency: func(op objstore.Op, _ string, phase fault.Phase) time.Duration {
					if op == objstore.OpPut && phase == fault.Before {
						return 1 // whatever: Sleep waits for the test
					}
					return 0
				},
				Sleep: func(ctx context.Context, _ time.Duration) error {
					select {
					case <-flows:
					case <-ctx.Done():
					}
					return ctx.Err()
				},
				Hook: func(op objstore.Op, _ string, phase fault.Phase) (err error) {
					if fails && op == objstore.OpPut && phase == fault.Before {
						once.Do(func() { err = fault.ErrInjected })
					}
					return err
				},
			})
			r := newRig(t, memregion.Options{Data: puts})
			id := r.CreateTopic(r.cl, "t", 1)
			begin := time.Now()
			if code, offset := r.idempotent("t", id, 0, 0); code != kerr.RequestTimedOut.Code || offset != -1 || time.Since(begin) < time.Second {
				t.Fatalf("%v, offset %d, after %v", kerr.ErrorForCode(code), offset, time.Since(begin))
			}
			var codes [2]int16
			var offsets [2]int64
			var sent sync.WaitGroup
			for sequence := range int32(2) {
				sent.Go(func() { codes[sequence], offsets[sequence] = r.idempotent("t", id, sequence, 30_000) })
				time.Sleep(50 * time.Millisecond) // the second one comes behind
			}
			close(flows)
			sent.Wait()
			for sequence := range int32(2) {
				if codes[sequence] == kerr.RequestTimedOut.Code && fails {
					codes[sequence], offsets[sequence] = r.idempotent("t", id, sequence, 30_000)
				}
				if codes[sequence] != 0 || offsets[sequence] != int64(sequence) {
					t.Errorf("batch %d: %v, offset %d", sequence, kerr.ErrorForCode(codes[sequence]), offsets[sequence])
				}
			}
			r.CaughtUp() // an ack comes before the agent's view has it
			if _, end, _ := r.fetch("t", id, 0); end != 2 {
				t.Errorf("the log ends at %d, want 2", end)
			}
		})
	}
}

// idempotent sends a batch of one record of an idempotent producer, who waits for so long.
func (r *rig) idempotent(topic string, id base.TopicID, sequence, timeoutMillis int32) (int16, int64) {
	r.t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, timeoutMillis
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.TopicID = topic, id
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = batchtest.Make(batchtest.Spec{Producer: 77, Sequence: sequence, Records: 1, Value: 'v', Timestamp: 1_700_000_000_000})
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	got := r.Ask(r.cl, req).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	return got.ErrorCode, got.BaseOffset
}
