package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain is what this program becomes when a measurement starts it again.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := play(ctx, role)
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// smoke runs measurements very briefly. How fast anything is, is not its matter.
func smoke(t *testing.T, args ...string) *report {
	t.Helper()
	o, err := parse(append([]string{"-seconds", "0.1", "-scale", "0.01", "-dir", t.TempDir()}, args...))
	if err != nil {
		t.Fatal(err)
	}
	o.log, o.out = io.Discard, io.Discard
	r, err := run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(o.dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the temporary folder: %v, %v", left, err)
	}
	for _, f := range r.Figures {
		// A time of CPU shorter than the kernel's tick counts as none, a lag may be, and memory of a few connections is noise.
		noisy := strings.Contains(f.Name, "memory") || strings.Contains(f.Name, "CPU") || strings.Contains(f.Name, "lag")
		if f.Value <= 0 && !noisy {
			t.Errorf("%s is %v", f.Name, f.Value)
		}
		for _, l := range f.Limits {
			if l.Value <= 0 && !noisy {
				t.Errorf("%s: the limit %s is %v", f.Name, l.Name, l.Value)
			}
		}
	}
	return r
}

// TestDirectory takes each measurement of a store, on a directory.
func TestDirectory(t *testing.T) {
	r := smoke(t, "-only", "^directory/")
	for _, name := range []string{
		"raw PUT of 8 MiB, 4 at once", "etcd put of 512 B, one in flight", "produce, 1 to 1", "produce, 4 to 16, CPU", "ack at 200/s, p50", "ack at 5000/s, p99",
		"consume cold, 1 of 16 partitions", "consume hot, 4 of 16 partitions", "shadow at 5 MB/s, lag p99", "link, backlog of 20.5 MiB",
	} {
		if r.find("Directory", name) == 0 {
			t.Errorf("%q was not measured", name)
		}
	}
	for _, f := range r.Figures {
		if first, _ := f.tell(); f.Target != nil && first == "" {
			t.Errorf("%s has a target that nothing is held against", f.Name)
		}
	}
}

// TestMany takes the measurements that have many of something.
func TestMany(t *testing.T) {
	r := smoke(t, "-only", "^(partitions|group|connections|sequencer|start)")
	for section, names := range map[string][]string{
		sectionMany: {"100 partitions at 1/s, ack p99", "group of 10 members, all leave: empty after", "50 idle connections, opened", "sequencer, bytes of metalog an extent"},
		"Start-up": {
			"1,000 partitions, coordinator ready after", "memory a partition, coordinator", "100,000 spans, agent ready after", "memory a span, coordinator",
			"snapshot a span",
		},
	} {
		for _, name := range names {
			if r.find(section, name) == 0 {
				t.Errorf("%s: %q was not measured", section, name)
			}
		}
	}
}

func TestFailover(t *testing.T) {
	r := smoke(t, "-only", "^failover/1$")
	for _, source := range []string{"lost", "alive"} {
		if r.find("Failover", "1 topic, source "+source+", command to first ack") == 0 {
			t.Errorf("source %s: not measured", source)
		}
	}
}

// TestLoss: a region is lost under clients; what they had and what they get is counted. That none of it may be lost or come twice is
// not this test's matter, but that of tests/e2e and tests/history.
func TestLoss(t *testing.T) {
	o, err := parse([]string{"-seconds", "0.4", "-dir", t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(o, o.dir)
	p, err := b.at(t.Context(), storeDirectory)
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.loseRegion(t.Context())
	if err := errors.Join(err, b.close()); err != nil {
		t.Fatal(err)
	}
	if out.next <= 0 || out.next > settle {
		t.Errorf("the next record came after %s", out.next)
	}
}

// TestGroup: what a group got twice, and first at the second region.
func TestGroup(t *testing.T) {
	g := &group{seen: map[uint64]bool{}}
	killed := time.Now()
	for _, n := range []uint64{1, 2, 3} {
		g.note(n, false)
	}
	if _, err := g.outcome(killed, nil); err == nil {
		t.Error("nothing new was read, and that was no error")
	}
	for _, n := range []uint64{2, 3, 4, 5} {
		g.note(n, true)
	}
	out, err := g.outcome(killed, []uint64{1, 2, 3, 4, 6})
	if err != nil || out.twice != 2 || out.lost != 1 || out.next <= 0 {
		t.Errorf("got %+v, %v, want 2 twice and 1 lost", out, err)
	}
}

// TestBeside: for each 8 MiB that pass there is one object, however the bytes come, and whoever brings them.
func TestBeside(t *testing.T) {
	ctx, fail := context.WithCancelCause(t.Context())
	defer fail(nil)
	b, err := newBeside(ctx, besidePuts, "file://"+t.TempDir(), fail)
	if err != nil {
		t.Fatal(err)
	}
	const objects, chunks = 6, 64
	var all sync.WaitGroup
	for range chunks {
		all.Go(func() { b.passed(ctx, (objects*putBytes+putBytes/2)/chunks) })
	}
	all.Wait()
	for range putsAtOnce { // all are done once all slots are had
		b.slots <- struct{}{}
	}
	if n := b.count.Load(); n != objects || ctx.Err() != nil {
		t.Errorf("%d objects, want %d: %v", n, objects, context.Cause(ctx))
	}
}

// TestWrite: what the formats print is what the report holds.
func TestWrite(t *testing.T) {
	r := &report{Machine: "a machine", Seconds: 4, Scale: 1}
	r.add("Store", "rate", 300, "MB/s", limit{Name: "most", Value: 400}, limit{Name: "disk", Value: 1000}).aim(target{First: 0.7, Goal: 0.9})
	r.add("Store", "cost", 1.5, "s/GiB").aim(target{Absolute: true, AtMost: true, First: 2, Goal: 1.3}).of(part{"one", 1}, part{"other", 0.5})
	for format, want := range map[string][]string{
		formatMarkdown: {
			"### Store\n\n| figure | value | limit | value | ratio | first target | goal |\n|---|---|---|---|---|---|---|\n",
			"| rate | 300 MB/s | most | 400 | 0.75 | ≥ 0.70 met | ≥ 0.90 missed |\n|  |  | disk | 1,000 | 0.30 |  |  |\n",
			"| cost (one 1.00, other 0.50) | 1.50 s/GiB |  |  |  | ≤ 2.00 met | ≤ 1.30 missed |\n",
		},
		formatText: {"STORE\n", "rate ", "≥ 0.70 met"},
		formatJSON: {`"name": "most"`, `"at_most": true`},
	} {
		var out bytes.Buffer
		if err := r.write(&out, format); err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s: no %q in\n%s", format, w, out.String())
			}
		}
		if format == formatJSON && !json.Valid(out.Bytes()) {
			t.Errorf("no JSON: %s", out.String())
		}
	}
}

// TestLong: what takes long is made only by name.
func TestLong(t *testing.T) {
	for _, args := range [][]string{nil, {"-only", "start/spans"}} {
		o, err := parse(args)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range measurements(o.stores) {
			if want := !m.long && args == nil || m.name == "start/spans" && args != nil; o.wants(m) != want {
				t.Errorf("bench %v: %s is wanted: %v", args, m.name, !want)
			}
		}
	}
}

func TestQuantiles(t *testing.T) {
	var all []time.Duration
	for i := 100; i >= 0; i-- {
		all = append(all, time.Duration(i)*time.Millisecond)
	}
	if q := quantilesOf(all); q.p50 != 50 || q.p99 != 99 {
		t.Errorf("got %+v, want 50 and 99", q)
	}
}
