package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/tests/harness"
	"github.com/gnomon-stream/gnomon/tests/history/check"
	"github.com/gnomon-stream/gnomon/tests/memregion"
)

func TestMain(m *testing.M) { harness.Main(m) }

// record gives the history of a short run against a region in memory.
func record(t *testing.T) []check.Event {
	t.Helper()
	r := memregion.Start(t, memregion.Options{})
	path := filepath.Join(t.TempDir(), "h")
	w := Workload{Brokers: []string{r.Addr}, Topic: "t", Partitions: 2, Records: 1000, For: 4 * time.Second}
	if err := recordTo(t.Context(), path, w); err != nil {
		t.Fatal(err)
	}
	var err error
	events := slices.Collect(load(path, &err))
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func clone(t *testing.T, events []check.Event) (out []check.Event) {
	t.Helper()
	raw, err := json.Marshal(events)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A checker that finds nothing is worth nothing: each anomaly, put into a real history, is found, and nothing else is.
func TestCheckFindsEachAnomaly(t *testing.T) {
	events := record(t)
	clean := check.Check(slices.Values(events))
	if !clean.Clean() || clean.Acked < 500 || clean.Read != clean.Acked || clean.Commits < 10 {
		t.Fatalf("the untouched history: %+v", clean)
	}
	for kind, mutate := range mutations {
		r := check.Check(slices.Values(mutate(newMutant(clone(t, events)))))
		if len(r.Counts) != 1 || r.Counts[kind] == 0 {
			t.Errorf("%s: found %v, first %+v", kind, r.Counts, r.First)
		}
	}
}

// What nobody knows may have happened, and later: none of it is an anomaly.
func TestCheckToleratesWhatNobodyKnows(t *testing.T) {
	m := newMutant(nil)
	m.pair(check.Event{F: check.Send, Records: []check.Record{{Offset: -1, Value: check.Value{Number: 1}}}}, check.Info)
	m.pair(check.Event{F: check.Commit, Group: "g", At: []check.At{{Offset: 1}}}, check.Info)
	m.read(check.Record{Value: check.Value{Number: 1}})
	m.commit(0, check.OK)
	m.committed(0)
	m.committed(1) // the one that nobody knew
	if r := check.Check(slices.Values(m.events)); !r.Clean() {
		t.Fatalf("%+v", r)
	}
}

// The command reads a history, tells what is wrong by its answer, and shows the events.
func TestReport(t *testing.T) {
	m := newMutant(nil)
	path := filepath.Join(t.TempDir(), "h")
	for _, broken := range []bool{false, true} {
		if broken {
			m.read(check.Record{Value: check.Value{Number: 7}})
		}
		var b bytes.Buffer
		for _, e := range m.events {
			if err := json.NewEncoder(&b).Encode(e); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, format := range []string{"text", "json"} {
			var out bytes.Buffer
			clean, err := command(t.Context(), []string{"-check", path, "-format", format}, &out)
			if err != nil || clean == broken || broken != bytes.Contains(out.Bytes(), []byte(check.Unsent)) {
				t.Errorf("broken %v, %s: clean %v, %v\n%s", broken, format, clean, err, out.String())
			}
		}
	}
	if _, err := command(t.Context(), []string{"-check", path + "x"}, io.Discard); err == nil {
		t.Error("a file that is not there is no error")
	}
}

// Three agents and two coordinators, killed and paused while the workload runs: the history has no anomaly.
func TestHistoryUnderFaults(t *testing.T) {
	c := harness.NewCluster(t, harness.ClusterConfig{})
	path := filepath.Join(t.TempDir(), "h")
	done := make(chan error, 1)
	go func() {
		done <- recordTo(t.Context(), path, Workload{Brokers: c.Kafka(), Topic: "t", Partitions: 3, Records: 100_000, For: 14 * time.Second})
	}()
	for i := range 2 {
		time.Sleep(time.Second) // between faults
		c.Agents[i].Kill()
		time.Sleep(300 * time.Millisecond) // how long it is away
		c.Agents[i].Start()
		leader := c.Leader()
		leader.Pause()
		time.Sleep(time.Second)
		leader.Resume()
		c.Agents[2].Pause()
		time.Sleep(time.Second)
		c.Agents[2].Resume()
		leader = c.Leader()
		leader.Kill()
		leader.Start()
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	clean, err := report(&out, path, "text")
	if err != nil || !clean {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Log(out.String())
}
