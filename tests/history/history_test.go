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
	w := &Workload{Brokers: []string{r.Addr}, Topic: "t", Partitions: 2, Records: 1000, For: 4 * time.Second, Rate: 1000, Final: 30 * time.Second}
	if err := recordTo(path, func(rec *Recorder) error { return w.Run(t.Context(), rec) }); err != nil {
		t.Fatal(err)
	}
	var err error
	events := slices.Collect(load(&err, path))
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
	if !clean.Clean() || clean.Acked < 500 || clean.Read < clean.Acked/2 || clean.Commits < 10 {
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
	m.tell(9)
	m.fetched("x", check.Mark{Asked: 1, End: 2, Stable: 2}) // another agent's view lags
	m.pair(check.Event{F: check.Delete, At: []check.At{{Offset: 5}}}, check.Info)
	m.pair(check.Event{F: check.Start, At: []check.At{{Offset: 5}}}, check.OK)
	m.fetched("x", check.Mark{Asked: 4, End: 9, Stable: 9, Start: 0, Refused: true})
	if r := check.Check(slices.Values(m.events)); !r.Clean() {
		t.Fatalf("%+v", r)
	}
}

// What is found is explained to operators.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/HISTORY.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kinds := range []map[string]func(*mutant) []check.Event{mutations, afterMutations} {
		for kind := range kinds {
			if !bytes.Contains(text, []byte("`"+kind+"`")) {
				t.Errorf("docs/HISTORY.md does not tell what %s is", kind)
			}
		}
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
