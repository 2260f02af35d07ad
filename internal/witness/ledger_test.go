package witness

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// history is a ledger of ten records of two keys in two partitions, all acked, and the contents that keep every promise.
func history() (*Ledger, Contents) {
	l, have := NewLedger(), Contents{}
	for i := range 10 {
		p := int32(i % 2)
		r := &kgo.Record{Partition: p, Offset: int64(len(have[p])), Key: []byte{byte(p)}, Value: fmt.Appendf(nil, "v%d", i)}
		l.sent[string(r.Value)] = i
		l.enter(r, nil)
		copied := *r
		have[p] = append(have[p], &copied)
	}
	return l, have
}

// renumber gives records the offsets of their places, as a reader would see them.
func renumber(records []*kgo.Record) []*kgo.Record {
	for i, r := range records {
		r.Offset = int64(i)
	}
	return records
}

// A checker that finds nothing is worth nothing: each kind of anomaly is put into a sound history, and must be found.
func TestCheckFindsAnomalies(t *testing.T) {
	if lost, found := func() (int, Findings) { l, have := history(); return l.Check(have, nil) }(); lost != 0 || found.Count != 0 {
		t.Fatalf("in a sound history: %d lost, %v", lost, found)
	}
	for name, c := range map[string]struct {
		mutate func(have Contents)
		says   string
	}{
		"a lost record at the end": {func(have Contents) { have[0] = have[0][:4] }, "is lost"},
		"a lost record":            {func(have Contents) { have[0] = renumber(append(have[0][:2:2], have[0][3:]...)) }, "is lost"},
		"a record twice": {func(have Contents) {
			have[0] = renumber(append(have[0], &kgo.Record{Key: []byte{0}, Value: []byte("v8")}))
		}, "twice"},
		"a record that was not sent": {func(have Contents) {
			have[1] = append(have[1], &kgo.Record{Partition: 1, Offset: 5, Value: []byte("x")})
		}, "never sent"},
		"a record elsewhere":         {func(have Contents) { have[0][4].Value, have[1][4].Value = have[1][4].Value, have[0][4].Value }, "was acked at"},
		"records of a key exchanged": {func(have Contents) { have[0][1].Value, have[0][2].Value = have[0][2].Value, have[0][1].Value }, "sent later"},
		"another value":              {func(have Contents) { have[0][3].Value = []byte("v6'") }, "never sent"},
	} {
		l, have := history()
		c.mutate(have)
		if _, found := l.Check(have, nil); found.Count == 0 || !strings.Contains(strings.Join(found.First, "\n"), c.says) {
			t.Errorf("%s: %v", name, found)
		}
	}
}

// Behind a cut, and nowhere else, records may be missing, and are counted; a record beyond it that is elsewhere is an anomaly.
func TestCheckCountsWhatACutLost(t *testing.T) {
	l, have := history()
	have[0] = have[0][:3]
	lost, found := l.Check(have, Boundary{0: 3, 1: 5})
	if lost != 2 || found.Count != 0 {
		t.Fatalf("%d lost, %v", lost, found)
	}
	if lost, found := l.Check(have, Boundary{0: 4, 1: 5}); lost != 1 || found.Count != 1 {
		t.Fatalf("one of them below the boundary: %d lost, %v", lost, found)
	}
	if _, found := l.Check(have, Boundary{1: 5}); found.Count != 2 {
		t.Fatalf("a partition without a boundary: %v", found)
	}
	// Sent again and written at the other region, at another offset: the ack of the first was a promise all the same.
	l.sent["new"] = 10
	have[0] = renumber(append(have[0], &kgo.Record{Key: []byte{9}, Value: []byte("new")}, &kgo.Record{Key: []byte{0}, Value: []byte("v6")}))
	if lost, found := l.Check(have, Boundary{0: 3, 1: 5}); lost != 1 || found.Count != 1 || !strings.Contains(found.First[0], "beyond the boundary") {
		t.Fatalf("%d lost, %v", lost, found)
	}
}

// W1: what failed is not acked, and is told.
func TestLedgerFailures(t *testing.T) {
	l := NewLedger()
	l.enter(&kgo.Record{Value: []byte("a")}, nil)
	cause := errors.New("gone")
	l.enter(&kgo.Record{Value: []byte("b")}, cause)
	if l.Acked() != 1 || len(l.Acks()) != 1 || !errors.Is(l.Err(), cause) {
		t.Fatalf("%d acked, %v", l.Acked(), l.Err())
	}
}

// W3: findings are counted in full and described for the first ten.
func TestFindingsAreBounded(t *testing.T) {
	var f Findings
	for i := range 25 {
		f.add("%d", i)
	}
	if f.Count != 25 || len(f.First) != findingsShown || f.First[9] != "9" {
		t.Fatalf("%+v", f)
	}
}

// SameRecord looks at everything that the bytes say.
func TestSameRecord(t *testing.T) {
	x := kgo.Record{Key: []byte("k"), Value: []byte("v"), ProducerID: 5, Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("1")}}}
	for name, change := range map[string]func(*kgo.Record){
		"key":      func(r *kgo.Record) { r.Key = []byte("l") },
		"value":    func(r *kgo.Record) { r.Value = nil },
		"time":     func(r *kgo.Record) { r.Timestamp = r.Timestamp.Add(1) },
		"producer": func(r *kgo.Record) { r.ProducerID++ },
		"epoch":    func(r *kgo.Record) { r.ProducerEpoch++ },
		"headers":  func(r *kgo.Record) { r.Headers = nil },
		"header":   func(r *kgo.Record) { r.Headers = []kgo.RecordHeader{{Key: "h", Value: []byte("2")}} },
	} {
		y := x
		if !SameRecord(&x, &y) {
			t.Fatal("a copy is another record")
		}
		if change(&y); SameRecord(&x, &y) {
			t.Errorf("another %s is not seen", name)
		}
	}
}

// Connections to one region go to the other from the flip on, and only those.
func TestRedirect(t *testing.T) {
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	a, b, c := listen(), listen(), listen()
	r := NewRedirect([]string{a.Addr().String()}, []string{b.Addr().String()})
	dialled := func(to net.Listener) string {
		conn, err := r.dial(t.Context(), "tcp", to.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		return conn.RemoteAddr().String()
	}
	if dialled(a) != a.Addr().String() {
		t.Error("led away before the flip")
	}
	r.Flip()
	if dialled(a) != b.Addr().String() || dialled(c) != c.Addr().String() {
		t.Error("not led, or a stranger was led, after the flip")
	}
}
