package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"strings"
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

// TestSmoke takes each measurement very briefly. How fast anything is, is not its matter.
func TestSmoke(t *testing.T) {
	o, err := parse([]string{"-seconds", "0.1", "-scale", "0.02", "-dir", t.TempDir(), "-format", "json"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	o.log, o.out = io.Discard, &out
	r, err := run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.write(o.out, o.format); err != nil {
		t.Fatal(err)
	}
	var read report
	if err := json.Unmarshal(out.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	// Two limits with 7 figures, 4 loads with 3, 2 rates with 2, a shadow with 2, a share.
	if len(read.Figures) != 51 {
		t.Errorf("%d figures, want 51", len(read.Figures))
	}
	for _, f := range read.Figures {
		// A time of CPU shorter than the kernel's tick counts as none, a lag may be, and memory of a few connections is noise.
		if f.Value <= 0 && !strings.Contains(f.Name, "memory") && !strings.Contains(f.Name, "CPU") && !strings.Contains(f.Name, "lag") {
			t.Errorf("%s is %v", f.Name, f.Value)
		}
		for _, l := range f.Limits {
			if l.Value <= 0 && !strings.Contains(f.Name, "CPU") {
				t.Errorf("%s: the limit %s is %v", f.Name, l.Name, l.Value)
			}
		}
	}
	left, err := os.ReadDir(o.dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the temporary folder: %v, %v", left, err)
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
