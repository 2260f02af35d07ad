package kafkaapi

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
)

func (h *harness) connections() int {
	h.server.mu.Lock()
	defer h.server.mu.Unlock()
	return h.server.open
}

// A client that goes away ends its waiting fetch: nothing is held for it until max_wait.
func TestGoneClientEndsItsFetch(t *testing.T) {
	h := start(t, nil)
	topic := h.add("t", 1, nil)
	w := h.dial()
	w.send(fetchRequest(13, 250_000, topic.ID, 0, 0), 1)
	eventually(t, "the fetch to wait", func() bool { return h.waiting() == 1 })
	_ = w.nc.Close()
	eventually(t, "the connection to end", func() bool { return h.connections() == 0 && h.waiting() == 0 })
}

// K3, K7: a request of many steps arrives whole, byte for byte.
func TestLargeRequest(t *testing.T) {
	h := start(t, nil)
	topic := h.add("t", 1, map[string]string{maxMessageBytesName: "50000000"})
	value := make([]byte, 9_000_001)
	for i := range value {
		value[i] = byte(i * 31)
	}
	b := makeBatch(1, string(value))
	w := h.dial()
	for range 3 { // the second and third meet buffers that were used before
		resp := ask[*kmsg.ProduceResponse](w, produceRequest(9, "t", 0, slices.Clone(b)), 9)
		if p := resp.Topics[0].Partitions[0]; p.ErrorCode != 0 {
			t.Fatalf("%+v", p)
		}
	}
	h.locked(func() {
		for _, stored := range h.logs[base.TopicPartition{Topic: topic.ID}].batches {
			if !slices.Equal(stored[16:], b[16:]) {
				t.Error("the bytes changed on the way")
			}
		}
	})
}

// K4: all budgets are free again when nothing is in flight, also after requests that broke off.
func TestBudgetComesBack(t *testing.T) {
	h := start(t, nil)
	h.add("t", 1, nil)
	for range 5 {
		w := h.dial()
		ask[*kmsg.ProduceResponse](w, produceRequest(9, "t", 0, makeBatch(1, "x")), 9)
		w.raw(append(prefix(90<<20, 0, 9), make([]byte, 3<<20)...))
		_ = w.nc.Close()
		garbage := h.dial()
		garbage.raw(append(prefix(100, 0, 9), make([]byte, 100)...))
		_ = garbage.nc.Close()
	}
	eventually(t, "the connections to end", func() bool { return h.connections() == 0 })
	if !h.server.budget.sem.TryAcquire(h.server.budget.max) {
		t.Fatal("bytes are held for nobody")
	}
}

// K3, K4: many clients that stop in the middle of a large request are all thrown out, and what they held is free again.
func TestManySlowRequests(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.FrameRead = 300 * time.Millisecond })
	const n = 60
	for range n {
		h.dial().raw(append(prefix(90<<20, 0, 9), make([]byte, 64<<10)...))
	}
	eventually(t, "the slow connections to be closed", func() bool {
		return h.metric("gnomon_kafka_connections_refused_total", "reason="+reasonSlow) == n && h.connections() == 0
	})
	if !h.server.budget.sem.TryAcquire(h.server.budget.max) {
		t.Fatal("bytes are held for nobody")
	}
	h.server.budget.release(h.server.budget.max)
	h.alive()
}

// An Appender that gives too few results breaks nothing but its own answer.
func TestAppenderThatMiscounts(t *testing.T) {
	h := start(t, nil)
	h.add("t", 1, nil)
	h.server.deps.Appender = badAppender{}
	resp := ask[*kmsg.ProduceResponse](h.dial(), produceRequest(9, "t", 0, makeBatch(1, "x")), 9)
	if p := resp.Topics[0].Partitions[0]; p.ErrorCode == 0 {
		t.Fatalf("%+v", p)
	}
	h.alive()
}

type badAppender struct{ Appender }

func (badAppender) Append(_ context.Context, _ []ProduceBatch, done func([]ProduceResult)) {
	done(nil)
}

func TestServerCloses(t *testing.T) {
	h := start(t, nil)
	w := h.dial()
	ask[*kmsg.MetadataResponse](w, kmsg.NewPtrMetadataRequest(), 12)
	begin := time.Now()
	if err := h.server.Close(); err != nil {
		t.Fatal(err)
	}
	if !w.closed() || time.Since(begin) > 5*time.Second {
		t.Errorf("closed after %v", time.Since(begin))
	}
}

// K4: large requests of many connections, together far more than may be buffered, all come through: none waits for what another holds.
func TestLargeRequestsDoNotWaitForEachOther(t *testing.T) {
	h := start(t, func(c *Config) {
		c.Limits.BufferedBytes, c.Limits.RequestBytes, c.MaxMessageBytes = 16<<20, 8<<20, 8<<20
	})
	h.add("t", 1, nil)
	const n = 20
	body := makeBatch(1, string(make([]byte, 4<<20-4096)))
	done := make(chan int16, n)
	for i := range n {
		w := h.dial()
		go func() {
			w.send(produceRequest(9, "t", 0, body), int32(i))
			done <- w.receive(&kmsg.ProduceRequest{Version: 9}, int32(i)).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode
		}()
	}
	for range n {
		select {
		case code := <-done:
			if code != 0 {
				t.Errorf("code %d", code)
			}
		case <-time.After(15 * time.Second):
			t.Fatal("large requests wait for each other")
		}
	}
}
