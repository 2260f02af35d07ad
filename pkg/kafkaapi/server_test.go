package kafkaapi

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// alive tells that the server still serves.
func (h *harness) alive() {
	h.t.Helper()
	resp := ask[*kmsg.MetadataResponse](h.dial(), kmsg.NewPtrMetadataRequest(), 12)
	if len(resp.Brokers) != 1 {
		h.t.Fatalf("metadata: %+v", resp)
	}
}

func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// header is size, key, version, correlation id.
func prefix(size uint32, key, version uint16) []byte {
	b := binary.BigEndian.AppendUint16(u32(size), key)
	return append(binary.BigEndian.AppendUint16(b, version), 0, 0, 0, 1)
}

// Bytes that are no request cost their sender its connection, and nobody else anything.
func TestGarbageClosesTheConnection(t *testing.T) {
	metadata := encodeRequest(&kmsg.MetadataRequest{Version: 9}, 1)
	tags := append(slices.Clone(metadata[:len(metadata)-1]), 0xff, 0xff, 0xff, 0xff, 0x0f)
	binary.BigEndian.PutUint32(tags, uint32(len(tags)-4))
	short := slices.Clone(metadata[:len(metadata)-2])
	binary.BigEndian.PutUint32(short, uint32(len(short)-4))
	cases := map[string][]byte{
		"2 GiB prefix":            prefix(0x7fffffff, 0, 9),
		"negative prefix":         prefix(0xffffffff, 0, 9),
		"zero prefix":             prefix(0, 0, 9),
		"nine bytes":              prefix(9, 3, 9),
		"unknown key":             prefix(100, 999, 0),
		"negative key":            prefix(100, 0xffff, 0),
		"version too new":         prefix(100, 3, 99),
		"version too old":         prefix(100, 1, 3),
		"negative version":        prefix(100, 18, 0xffff),
		"http":                    []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"tls":                     {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03, 1, 2, 3},
		"4 billion tagged":        tags,
		"body too short":          short,
		"client id runs out":      append(prefix(20, 3, 9), 0x7f, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
		"client id negative":      append(prefix(20, 3, 9), 0x80, 0x00, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
		"large control request":   prefix(50<<20, 3, 9),
		"metadata count lies":     append(append(prefix(14, 3, 0), 0xff, 0xff), u32(1<<30)...),
		"produce count lies":      append(append(prefix(20, 0, 3), 0xff, 0xff, 0xff, 0xff, 0, 1), append(u32(1000), u32(1<<30)...)[:6]...),
		"future api versions cut": prefix(10, 18, 77)[:8],
	}
	h := start(t, nil)
	for name, b := range cases {
		t.Run(name, func(t *testing.T) {
			w := h.dial()
			w.t = t
			w.raw(b)
			if name == "future api versions cut" {
				_ = w.nc.Close()
			} else if !w.closed() {
				t.Error("the connection is still open")
			}
		})
	}
	h.alive()
	if !h.out.has("connection closed") {
		t.Error("nothing in the log")
	}
}

func TestRandomBytes(t *testing.T) {
	h := start(t, nil)
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		w := h.dial()
		b := make([]byte, r.IntN(400))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if len(b) > 8 && r.IntN(2) == 0 {
			// Something that gets past the prefix.
			a := apis()[r.IntN(len(apis()))]
			copy(b, prefix(uint32(len(b)-4), uint16(a.key), uint16(a.min+int16(r.IntN(int(a.max-a.min+1))))))
		}
		_, _ = w.nc.Write(b)
		_ = w.nc.Close()
	}
	h.alive()
	eventually(t, "connections to end", func() bool {
		h.server.mu.Lock()
		defer h.server.mu.Unlock()
		return h.server.open <= 1
	})
	if h.out.has("panic in a handler") {
		t.Error("a handler panicked")
	}
}

// K3: who announces 100 MiB and sends nothing holds no 100 MiB.
func TestLyingLengthAllocatesNothing(t *testing.T) {
	h := start(t, nil)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 20 {
		h.dial().raw(append(prefix(100<<20, 0, 9), 1, 2, 3))
	}
	eventually(t, "connections", func() bool {
		h.server.mu.Lock()
		defer h.server.mu.Unlock()
		return h.server.open == 20
	})
	time.Sleep(50 * time.Millisecond) // for the readers to take their first step
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Fatalf("20 connections that sent 11 bytes each hold %d MiB", grown>>20)
	}
	h.alive()
}

// K1: answers leave in the order of the requests, whatever is done first.
func TestAnswersInOrder(t *testing.T) {
	h := start(t, nil)
	h.add("t", 1, nil)
	h.locked(func() { h.hold = true })
	w := h.dial()
	const n = 5
	for i := range n {
		w.send(produceRequest(9, "t", 0, makeBatch(1, fmt.Sprint(i))), int32(i))
	}
	meta := &kmsg.MetadataRequest{Version: 12}
	w.send(meta, n)
	// All of them were read and started before the first is done: the pipe is full.
	eventually(t, "all produces to be started", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return len(h.held) == n })
	h.let(func(f []func()) []func() { slices.Reverse(f); return f })
	for i := range n {
		resp := w.receive(&kmsg.ProduceRequest{Version: 9}, int32(i)).(*kmsg.ProduceResponse)
		if p := resp.Topics[0].Partitions[0]; p.ErrorCode != 0 || p.BaseOffset != int64(n-1-i) {
			t.Fatalf("answer %d: %+v", i, p)
		}
	}
	w.receive(meta, n)
}

// A request of another kind waits for the produces before it, as behind Kafka's muted channel.
func TestOthersSeeEarlierProduces(t *testing.T) {
	h := start(t, nil)
	h.add("t", 1, nil)
	h.locked(func() { h.hold = true })
	w := h.dial()
	w.send(produceRequest(9, "t", 0, makeBatch(3, "x")), 1)
	list := listRequest("t", 0, -1)
	w.send(list, 2)
	eventually(t, "the produce", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return len(h.held) == 1 })
	h.let(func(f []func()) []func() { return f })
	w.receive(&kmsg.ProduceRequest{Version: 9}, 1)
	if resp := w.receive(list, 2).(*kmsg.ListOffsetsResponse); resp.Topics[0].Partitions[0].Offset != 3 {
		t.Fatalf("%+v", resp.Topics)
	}
}

// K4: at its bounds a connection is not read any more, and read again once an answer has left.
func TestInFlightBounds(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"requests": func(c *Config) { c.Limits.InFlightRequests = 3 },
		"bytes":    func(c *Config) { c.Limits.InFlightBytes = 3_200 },
		"all":      func(c *Config) { c.Limits.BufferedBytes = 3 * bufferRoom(1000); c.Limits.RequestBytes = 3_200 },
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, change)
			h.add("t", 1, nil)
			h.locked(func() { h.hold = true })
			w := h.dial()
			const n = 8
			body := string(make([]byte, 900))
			for i := range n {
				w.send(produceRequest(9, "t", 0, makeBatch(1, body)), int32(i))
			}
			held := func() int { h.mu.Lock(); defer h.mu.Unlock(); return len(h.held) }
			eventually(t, "three produces", func() bool { return held() == 3 })
			time.Sleep(50 * time.Millisecond) // a fourth would come now
			if got := held(); got != 3 {
				t.Fatalf("%d requests are in flight", got)
			}
			h.let(func(f []func()) []func() { return f })
			for i := range n {
				w.receive(&kmsg.ProduceRequest{Version: 9}, int32(i))
			}
		})
	}
}

// A handler's panic costs one connection; what was asked before it is answered.
func TestPanicCostsOneConnection(t *testing.T) {
	h := start(t, nil)
	h.add("t", 2, nil)
	h.locked(func() { h.poison = true })
	w := h.dial()
	meta := &kmsg.MetadataRequest{Version: 12}
	w.send(meta, 1)
	w.send(fetchRequest(13, 0, h.topics["t"].ID, 0, 0), 2)
	w.receive(meta, 1)
	if !w.closed() {
		t.Error("the connection is still open")
	}
	h.alive()
	if !h.out.has("panic in a handler") {
		t.Error("nothing in the log")
	}
	// Nor does one in a look-up that runs beside others: its partition says so.
	list := listRequest("t", 0, -1)
	list.Topics[0].Partitions = append(list.Topics[0].Partitions, kmsg.ListOffsetsRequestTopicPartition{Partition: 1, Timestamp: -1})
	resp := ask[*kmsg.ListOffsetsResponse](h.dial(), list, 7)
	if p := resp.Topics[0].Partitions; p[0].ErrorCode != 0 || p[1].ErrorCode != 56 {
		t.Errorf("%+v", p)
	}
}

func TestConnectionLimits(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"all":     func(c *Config) { c.Limits.Connections = 2 },
		"address": func(c *Config) { c.Limits.ConnectionsPerAddress = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, change)
			a, b := h.dial(), h.dial()
			ask[*kmsg.MetadataResponse](a, kmsg.NewPtrMetadataRequest(), 12)
			ask[*kmsg.MetadataResponse](b, kmsg.NewPtrMetadataRequest(), 12)
			if !h.dial().closed() {
				t.Fatal("a third connection was let in")
			}
			_ = a.nc.Close()
			eventually(t, "the first to leave", func() bool { h.server.mu.Lock(); defer h.server.mu.Unlock(); return h.server.open == 1 })
			h.alive()
		})
	}
}

func TestIdleAndSlowConnectionsAreClosed(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.Idle = 30 * time.Millisecond; c.Limits.FrameRead = 30 * time.Millisecond })
	if !h.dial().closed() {
		t.Error("an idle connection stays")
	}
	w := h.dial()
	w.raw(prefix(100, 3, 9))
	if !w.closed() {
		t.Error("half a request stays")
	}
	w = h.dial()
	w.raw([]byte{0, 0})
	if !w.closed() {
		t.Error("half a prefix stays")
	}
	// A connection that waits for its answer is not idle.
	topic := h.add("t", 1, nil)
	w = h.dial()
	fetch := fetchRequest(13, 150, topic.ID, 0, 0)
	begin := time.Now()
	w.send(fetch, 1)
	w.receive(fetch, 1)
	if took := time.Since(begin); took < 140*time.Millisecond {
		t.Errorf("the fetch was given up after %v", took)
	}
}

// At shutdown waiting fetches are answered at once, and produces in flight are let settle.
func TestShutdownDrains(t *testing.T) {
	h := start(t, nil)
	topic := h.add("t", 1, nil)
	h.locked(func() { h.hold = true })
	producer, consumer := h.dial(), h.dial()
	producer.send(produceRequest(9, "t", 0, makeBatch(1, "x")), 1)
	fetch := fetchRequest(13, 60_000, topic.ID, 0, 0)
	consumer.send(fetch, 2)
	eventually(t, "the produce", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return len(h.held) == 1 })
	h.stop()
	begin := time.Now()
	if _, _, err := consumer.frame(); err == nil && time.Since(begin) > 5*time.Second {
		t.Error("the fetch waited on")
	}
	h.let(func(f []func()) []func() { return f })
	resp := producer.receive(&kmsg.ProduceRequest{Version: 9}, 1).(*kmsg.ProduceResponse)
	if resp.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("%+v", resp.Topics)
	}
	if !producer.closed() {
		t.Error("the connection is still open")
	}
}

// Produces that never settle do not hold the shutdown up for longer than Drain.
func TestShutdownCutsWhatDoesNotSettle(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.Drain = 20 * time.Millisecond })
	h.add("t", 1, nil)
	h.locked(func() { h.hold = true })
	w := h.dial()
	w.send(produceRequest(9, "t", 0, makeBatch(1, "x")), 1)
	eventually(t, "the produce", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return len(h.held) == 1 })
	h.stop()
	if !w.closed() {
		t.Error("an answer came from nowhere")
	}
	h.served <- <-h.served
	h.let(func(f []func()) []func() { return f }) // too late: nobody listens, nothing breaks
}
