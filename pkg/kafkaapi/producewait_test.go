package kafkaapi

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// impatient is a server whose clients may wait for 20 ms, if they ask for less, with a topic whose appends are held.
func impatient(t *testing.T) (*harness, base.TopicPartition) {
	h := start(t, func(c *Config) { c.Limits.ProduceMin, c.Limits.ProduceMax = 20*time.Millisecond, 5*time.Second })
	topic := h.add("t", 2, nil)
	h.locked(func() { h.hold = true })
	return h, base.TopicPartition{Topic: topic.ID}
}

func inOrder(f []func()) []func() { return f }

// A Produce whose batches are not durable in time is answered so. Its bytes are the appender's until that is done with them, and
// hold memory until then: other requests overwrite nothing, and what was timed out is written as it was sent.
func TestProduceTimesOut(t *testing.T) {
	h, tp := impatient(t)
	w := h.dial()
	const n = 12
	for i := range n {
		req := produceRequest(9, "t", 0, makeBatch(1, fmt.Sprintf("value %d", i)))
		req.TimeoutMillis = int32(i%3) - 1 // at most a millisecond: the limit says 20
		other := kmsg.NewProduceRequestTopicPartition()
		other.Partition, other.Records = 7, makeBatch(1, "x")
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, other)
		begin := time.Now()
		got := ask[*kmsg.ProduceResponse](w, req, 9).Topics[0].Partitions
		if got[0].ErrorCode != kerr.RequestTimedOut.Code || got[0].BaseOffset != -1 || got[1].ErrorCode != kerr.UnknownTopicOrPartition.Code {
			t.Fatalf("answer %+v", got)
		}
		if d := time.Since(begin); d < 20*time.Millisecond || d > 4*time.Second {
			t.Fatalf("answered after %v", d)
		}
	}
	all := h.server.budget.max
	if h.server.budget.sem.TryAcquire(all - n*1<<bufferMinBits + 1) {
		t.Error("requests whose bytes are still read hold no memory")
	}
	h.let(inOrder)
	eventually(t, "the memory to be free", func() bool {
		ok := h.server.budget.sem.TryAcquire(all)
		if ok {
			h.server.budget.sem.Release(all)
		}
		return ok
	})
	h.locked(func() {
		log := h.logs[tp]
		if log.end != n {
			t.Fatalf("%d of %d batches are written", log.end, n)
		}
		for i, b := range log.batches {
			if want := fmt.Sprintf("value %d", i); string(b[len(b)-len(want):]) != want {
				t.Fatalf("batch %d is %q", i, b[61:])
			}
		}
	})
	if p := ask[*kmsg.ProduceResponse](w, produceRequest(9, "t", 0, makeBatch(1, "x")), 9).Topics[0].Partitions[0]; p.ErrorCode != 0 || p.BaseOffset != n {
		t.Errorf("a request in time: %+v", p)
	}
}

// The time of a request with a longer one is not over yet; one without acks is never timed out, and does not close the connection.
func TestProduceInTime(t *testing.T) {
	h, _ := impatient(t)
	silent := h.dial()
	quiet := produceRequest(9, "t", 1, makeBatch(1, "no acks"))
	quiet.Acks, quiet.TimeoutMillis = 0, 0
	silent.send(quiet, 1)
	w := h.dial()
	long := produceRequest(9, "t", 0, makeBatch(1, "x"))
	long.TimeoutMillis = 4000
	w.send(long, 2)
	eventually(t, "both to be with the appender", func() (ok bool) {
		h.locked(func() { ok = len(h.held) == 2 })
		return ok
	})
	time.Sleep(100 * time.Millisecond)
	h.let(inOrder)
	if p := w.receive(long, 2).(*kmsg.ProduceResponse).Topics[0].Partitions[0]; p.ErrorCode != 0 {
		t.Errorf("in time: %v", kerr.ErrorForCode(p.ErrorCode))
	}
	if p := ask[*kmsg.ProduceResponse](silent, produceRequest(9, "t", 1, makeBatch(1, "x")), 9).Topics[0].Partitions[0]; p.ErrorCode != 0 || p.BaseOffset != 1 {
		t.Errorf("after one without acks: %+v", p)
	}
}

func TestProduceTimeout(t *testing.T) {
	l := DefaultLimits()
	for millis, want := range map[int32]time.Duration{
		math.MinInt32: time.Second, -1: time.Second, 0: time.Second, 999: time.Second, 1500: 1500 * time.Millisecond,
		30_000: 30 * time.Second, 60_000: 30 * time.Second, math.MaxInt32: 30 * time.Second,
	} {
		if got := produceTimeout(millis, l); got != want {
			t.Errorf("%d ms: %v, want %v", millis, got, want)
		}
	}
}
