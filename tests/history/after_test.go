package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/tests/harness"
	"github.com/gnomon-stream/gnomon/tests/history/check"
)

// lifetime is how long region A lives; beyond a moment, both regions have faults meanwhile.
//
//	go test ./tests/history -run TestAfter -v -timeout 30m -lifetime 3m -seed 7
var lifetime = flag.Duration("lifetime", faultRoom, "how long the first region lives before it is lost, with faults in both but for the last moment")

const faultRoom = 2 * time.Second

// flipped runs the workload in A until A dies, by a cut or fenced, has B asked as an operator would, and returns the files.
func flipped(t *testing.T, cut bool) (report check.Report, files []string) {
	t.Helper()
	cfg := harness.ClusterConfig{Agents: 2, Coordinators: 2, Coordinator: []string{"--snapshot-every", "500"}}
	x := harness.NewClusterPair(t, cfg, cfg)
	dir := t.TempDir()
	files = []string{filepath.Join(dir, "history.jsonl"), filepath.Join(dir, "after.jsonl")}
	w := &Workload{Brokers: x.A.Kafka(), Topic: "t", Partitions: 3, Records: 1_000_000, For: time.Hour, Rate: 600}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- recordTo(files[0], func(rec *Recorder) error { return w.Run(ctx, rec) }) }()
	r := rand.New(rand.NewPCG(*seed, 0))
	for began := time.Now(); time.Since(began) < *lifetime-faultRoom; {
		befall(t, r, began, []*harness.Cluster{x.A, x.B}[r.IntN(2)])
	}
	time.Sleep(min(*lifetime, faultRoom))
	if cut {
		if r := x.B.TryAdmin(x.B.Leader(), "shadow", "pause", harness.Link); r.Code != 0 {
			t.Fatalf("the link is not paused: %s%s", r.Out, r.Err)
		}
		time.Sleep(time.Second) // of what B does not get
	}
	x.A.Kill()
	if cut {
		x.A.Etcd.Kill()
	}
	f, result := x.Failover()
	if want := map[bool]string{true: "cut", false: "fenced"}[cut]; f.Mode != want {
		t.Fatalf("the failover is %q, want %q", f.Mode, want)
	}
	path := filepath.Join(dir, "failover.json")
	if err := os.WriteFile(path, []byte(result.Out), 0o600); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	args := []string{"-check", files[0], "-brokers", x.B.Kafka()[0] + "," + x.B.Kafka()[1], "-failover", path, "-out", files[1]}
	for _, format := range []string{"text", "json"} { // twice: nothing is changed by it
		var out bytes.Buffer
		clean, err := command(t.Context(), append(args, "-format", format), &out)
		if err != nil || !clean {
			t.Fatalf("%v\n%s", err, out.String())
		}
		t.Log(out.String())
		if err := json.Unmarshal(out.Bytes(), &report); format == "json" && err != nil {
			t.Fatal(err)
		}
	}
	if got := report.Failover; got.Read < 200 || got.Resumed != len(groups)*2*3 || (got.Beyond > 0) != cut {
		t.Errorf("%+v", got)
	}
	return report, files
}

// All of region A's processes die under load: B has everything that was acked, at its offset, and groups go on where they were.
func TestAfterFencedFailover(t *testing.T) {
	t.Parallel()
	flipped(t, false)
}

// A dies with its etcd while B lags: B has a cut. Each way in which it could be none, put into the real history, is found.
func TestAfterCut(t *testing.T) {
	t.Parallel()
	_, files := flipped(t, true)
	var err error
	events := slices.Collect(load(&err, files...))
	if err != nil {
		t.Fatal(err)
	}
	for kind, mutate := range afterMutations {
		r := check.Check(slices.Values(mutate(newMutant(clone(t, events)))))
		if len(r.Counts) != 1 || r.Counts[kind] == 0 {
			t.Errorf("%s: found %v, first %+v", kind, r.Counts, r.First)
		}
	}
	strict := clone(t, events)
	strict[newMutant(strict).marker()+1].Mode = "fenced"
	if r := check.Check(slices.Values(strict)); r.Clean() {
		t.Error("a cut passes for a failover that loses nothing")
	}
	var out bytes.Buffer
	if _, err := command(t.Context(), []string{"-check", files[1], "-brokers", "127.0.0.1:1"}, io.Discard); err == nil {
		t.Error("a history that does not say what it is about is no error")
	}
	if clean, err := command(t.Context(), []string{"-check", files[0] + "," + files[1]}, &out); err != nil || !clean {
		t.Errorf("checked again: %v\n%s", err, out.String())
	}
}

// marker is where the failover is invoked.
func (m *mutant) marker() int {
	return slices.IndexFunc(m.events, func(e check.Event) bool { return e.F == check.Failover })
}

// boundary is that of partition 0.
func (m *mutant) boundary() int64 {
	at := m.events[m.marker()].At
	return at[slices.IndexFunc(at, func(a check.At) bool { return a.Partition == 0 })].Offset
}

// at has a change append at another place than the end.
func (m *mutant) at(n int, change func()) {
	rest := slices.Clone(m.events[n:])
	m.events = slices.Clip(m.events[:n])
	change()
	m.events = append(m.events, rest...)
}

// atB changes what region B gave at offset 5 of partition 0.
func (m *mutant) atB(change func(records []check.Record, i int) []check.Record) []check.Event {
	for n := m.marker(); n < len(m.events); n++ {
		e := &m.events[n]
		if i := slices.IndexFunc(e.Records, func(r check.Record) bool { return r.Partition == 0 && r.Offset == 5 }); i >= 0 {
			e.Records = change(e.Records, i)
		}
	}
	return m.events
}

var afterMutations = map[string]func(m *mutant) []check.Event{
	check.Lost: func(m *mutant) []check.Event {
		return m.atB(func(r []check.Record, i int) []check.Record { return slices.Delete(r, i, i+1) })
	},
	check.Inconsistent: func(m *mutant) []check.Event {
		m.at(2, func() {
			m.pair(check.Event{F: check.Send, Records: []check.Record{{Offset: -1, Value: alien}}}, check.Info)
		})
		return m.atB(func(r []check.Record, i int) []check.Record { r[i].Value = alien; return r })
	},
	check.EndBack:   func(m *mutant) []check.Event { m.tell(m.boundary() - 1); return m.events },
	check.BeyondCut: func(m *mutant) []check.Event { m.tell(m.boundary() + 1); return m.events },
	check.GroupApart: func(m *mutant) []check.Event {
		m.pair(check.Event{F: check.Resume, Process: "mutant", Group: "eager", At: []check.At{{Offset: 1}}}, check.OK)
		return m.events
	},
	check.CommitAlien: func(m *mutant) []check.Event { m.committed(1); return m.events },
	check.CommitBack: func(m *mutant) []check.Event {
		m.at(2, func() { m.commit(1, check.OK); m.commit(2, check.OK) })
		m.committed(2)
		m.committed(1)
		return m.events
	},
	check.Torn: func(m *mutant) []check.Event {
		m.at(m.marker(), func() { m.commit(1, check.OK) })
		m.committed(1)
		return m.events
	},
	check.StartBeyond: func(m *mutant) []check.Event {
		m.pair(check.Event{F: check.Start, At: []check.At{{Offset: 3}}}, check.OK)
		return m.events
	},
}
