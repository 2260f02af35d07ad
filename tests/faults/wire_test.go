package faults

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

// agents is one region that bad clients meet, with the topic "t".
type agents struct {
	*harness.Process
	dev   *harness.Dev
	kafka []string
	admin string
	id    [16]byte // of topic "t"
}

func startAgents(t *testing.T) *agents {
	t.Helper()
	d := harness.NewDev(t)
	p := start(t, d, "--region", "a")
	e := d.Endpoints("a")
	return &agents{Process: p, dev: d, kafka: e.Kafka, admin: e.Admin, id: createTopic(t, e.Kafka, "t", nil)}
}

// TestBadInput has one process meet everything that a client or an operator can get wrong, one after the other: what one
// of them broke would show in the next. What looks at the memory comes first, while there is little of it.
func TestBadInput(t *testing.T) {
	t.Parallel()
	a := startAgents(t)
	for _, part := range []struct {
		name string
		run  func(t *testing.T, a *agents)
	}{
		{"many connections", testManyBadConnections},
		{"flood of large requests", testFlood},
		{"frames", testBadFrames},
		{"frame by frame", testFrameByFrame},
		{"api versions of the future", testAPIVersionsOfTheFuture},
		{"produce", testBadProduce},
		{"acks", testAcks},
		{"fetch", testBadFetch},
		{"starts", testRefusedStarts},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, a) })
	}
}

// unharmed wants the process to serve a client, and no handler to have panicked.
func (a *agents) unharmed(t *testing.T) {
	t.Helper()
	serves(t, a.kafka[:1], "t")
	if n := metric(t, a.admin, "gnomon_kafka_panics_total", ""); n != 0 {
		t.Fatalf("%v handlers panicked\n%s", n, a.Log())
	}
}

// memory is what the process has from its operating system, but for what the race detector takes.
func (a *agents) memory(t *testing.T) float64 {
	t.Helper()
	return metric(t, a.admin, "go_memstats_sys_bytes", "")
}

func (a *agents) grewBy(t *testing.T, before float64, mib int) {
	t.Helper()
	now := a.memory(t)
	t.Logf("memory grew from %.0f to %.0f MiB", before/(1<<20), now/(1<<20))
	if now > before+float64(mib<<20) {
		t.Errorf("memory grew by more than %d MiB", mib)
	}
}

// refused is how many connections were closed for what the client did.
func (a *agents) refused(t *testing.T, reason string) float64 {
	t.Helper()
	return metric(t, a.admin, "gnomon_kafka_connections_refused_total", `reason="`+reason+`"`)
}

// hangUps are what no Kafka client sends, and why the connection is closed.
func hangUps() map[string]struct {
	bytes  []byte
	reason string
} {
	garbage := make([]byte, 4096)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(garbage) // never fails
	manyTopics := binary.BigEndian.AppendUint32(nil, 0x7fffffff)
	type sent = struct {
		bytes  []byte
		reason string
	}
	return map[string]sent{
		"random bytes":              {garbage, "garbage"},
		"HTTP":                      {[]byte("GET / HTTP/1.1\r\nHost: gnomon\r\n\r\n"), "garbage"},
		"TLS":                       {append([]byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, garbage[:501]...), "garbage"},
		"zeroes":                    {make([]byte, 4096), "garbage"},
		"negative length":           {append([]byte{0xff, 0xff, 0xff, 0xff}, frame(3, 9)[4:]...), "garbage"},
		"length below a header":     {header(9, 3, 9), "garbage"},
		"2 GiB of Metadata":         {header(0x7fffffff, 3, 9), "toolarge"},
		"2 GiB of Produce":          {header(0x7fffffff, 0, 9), "toolarge"},
		"100 MiB + 1 of Produce":    {header(100<<20+1, 0, 9), "toolarge"},
		"4 MiB + 1 of CreateTopics": {header(4<<20+1, 19, 5), "toolarge"},
		"unknown key":               {frame(999, 0), "garbage"},
		"negative key":              {frame(-1, 0), "garbage"},
		"unknown version":           {frame(1, 99), "garbage"},
		"negative version":          {frame(18, -1), "garbage"},
		"client id out of bounds":   {append(header(10, 3, 1)[:12], 0x7f, 0xff), "garbage"},
		"array of 2^31-1":           {frame(3, 1, manyTopics...), "garbage"},
		"body cut off":              {frame(1, 12, 0, 0, 0), "garbage"},
		"2^28 tagged fields":        {frame(3, 9, 0xff, 0xff, 0xff, 0xff, 0x00), "garbage"},
	}
}

func testBadFrames(t *testing.T, a *agents) {
	for name, sent := range hangUps() {
		t.Run(name, func(t *testing.T) {
			before := a.refused(t, sent.reason)
			w := dial(t, a.kafka[0])
			w.send(sent.bytes)
			w.closed()
			harness.Eventually(t, patience, "the refusal is counted", func() string {
				if a.refused(t, sent.reason) != before+1 {
					return "not counted as " + sent.reason
				}
				return ""
			})
			a.unharmed(t)
		})
	}
	for _, want := range []string{"connection closed", "reason=garbage", "reason=toolarge"} {
		if !strings.Contains(a.Log(), want) {
			t.Errorf("the log does not say %q:\n%s", want, a.Log())
		}
	}
}

// testFrameByFrame sends a request in pieces, and one after a piece of which the client goes away.
func testFrameByFrame(t *testing.T, a *agents) {
	whole := request(kmsg.NewPtrMetadataRequest(), 9)
	for cut := 1; cut < len(whole); cut += 3 {
		w := dial(t, a.kafka[0])
		w.send(whole[:cut])
		w.close()
	}
	w := dial(t, a.kafka[0])
	for i := range whole {
		w.send(whole[i : i+1])
	}
	w.answer()
	a.unharmed(t)
}

// testManyBadConnections has 200 bad clients at once: a third sends garbage and must be thrown out, a third hangs in the
// middle of a large request, and a third connects and says nothing. Meanwhile others are served, and memory stays bounded.
func testManyBadConnections(t *testing.T, a *agents) {
	before := a.memory(t)
	open := metric(t, a.admin, "gnomon_kafka_connections", "")
	large := append(header(90<<20, 0, 9), make([]byte, 64<<10)...)
	bad := hangUps()
	var names []string
	for name := range bad {
		names = append(names, name)
	}
	var all []*wire
	for range 200 {
		all = append(all, dial(t, a.kafka[0]))
	}
	var clients sync.WaitGroup
	for i, w := range all {
		clients.Go(func() {
			switch i % 3 {
			case 0:
				w.send(bad[names[i%len(names)]].bytes)
			case 1:
				w.send(large)
			}
		})
	}
	clients.Wait()
	for i, w := range all {
		if i%3 == 0 {
			w.closed()
		}
	}
	a.unharmed(t)
	// What all connections may hold is 256 MiB (kafkaapi.Limits.BufferedBytes); as much again is room for the collector.
	a.grewBy(t, before, 512)
	// Who hangs within a request would be thrown out after 30 s: kafkaapi has a test of that, with a shorter limit.
	for _, w := range all {
		w.close()
	}
	harness.Eventually(t, patience, "the connections are given back", func() string {
		if n := metric(t, a.admin, "gnomon_kafka_connections", ""); n > open {
			return "there are more than at the start"
		}
		return ""
	})
	a.unharmed(t)
}

// testFlood sends complete requests of 20 MiB on 16 connections, all of them refused, and looks at the memory: 320 MiB are
// on their way, above what may be buffered.
func testFlood(t *testing.T, a *agents) {
	before := a.memory(t)
	body := request(produceRequest("t", a.id, 1, batchOf(nil, strings.Repeat("x", 20<<20))), 9)
	var clients sync.WaitGroup
	var all []*wire
	for range 16 {
		w := dial(t, a.kafka[0])
		all = append(all, w)
		clients.Go(func() { w.send(body) })
	}
	clients.Wait()
	for _, w := range all {
		var resp kmsg.ProduceResponse
		resp.SetVersion(9)
		if err := resp.ReadFrom(w.answer()[1:]); err != nil { // behind no tagged fields
			t.Fatal(err)
		}
		if code := resp.Topics[0].Partitions[0].ErrorCode; code != kerr.MessageTooLarge.Code {
			t.Errorf("%v, want MESSAGE_TOO_LARGE", kerr.ErrorForCode(code))
		}
	}
	a.unharmed(t)
	a.grewBy(t, before, 1024)
}

// testAPIVersionsOfTheFuture is KAFKA.md's row 13: version 99 is answered in version 0, with the list.
func testAPIVersionsOfTheFuture(t *testing.T, a *agents) {
	w := dial(t, a.kafka[0])
	// Nobody knows what a request of version 99 looks like behind its header, which ends in tagged fields (KIP-511).
	w.send(frame(18, 99, append([]byte{0}, bytes.Repeat([]byte{0xee}, 40)...)...))
	var resp kmsg.ApiVersionsResponse
	if err := resp.ReadFrom(w.answer()); err != nil {
		t.Fatal(err)
	}
	if resp.ErrorCode != kerr.UnsupportedVersion.Code {
		t.Errorf("error code %d, want UNSUPPORTED_VERSION", resp.ErrorCode)
	}
	newest := int16(-1)
	for _, k := range resp.ApiKeys {
		if k.ApiKey == 18 {
			newest = k.MaxVersion
		}
	}
	if newest < 3 {
		t.Fatalf("the list says that ApiVersions goes up to %d", newest)
	}
	// The client asks again on the same connection.
	again := w.ask(&kmsg.ApiVersionsRequest{ClientSoftwareName: "faults", ClientSoftwareVersion: "1"}, newest).(*kmsg.ApiVersionsResponse)
	if again.ErrorCode != 0 || len(again.ApiKeys) != len(resp.ApiKeys) {
		t.Errorf("second answer: error code %d, %d keys", again.ErrorCode, len(again.ApiKeys))
	}
}
