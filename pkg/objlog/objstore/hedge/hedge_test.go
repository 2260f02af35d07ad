package hedge

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/storetest"
)

var errFailed = errors.New("failed")

// after is a request that takes d, unless ctx ends, and then gives err.
func after(d time.Duration, err error, running *atomic.Int64) func(context.Context) error {
	return func(ctx context.Context) error {
		running.Add(1)
		defer running.Add(-1)
		select {
		case <-time.After(d):
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestDo(t *testing.T) {
	const delay = 100 * time.Millisecond
	for name, test := range map[string]struct {
		first, second       time.Duration
		firstErr, secondErr error
		share               float64
		want                Outcome
		err                 error
		took                time.Duration
	}{
		"fast":               {first: 10 * time.Millisecond, took: 10 * time.Millisecond},
		"fast failure":       {first: 10 * time.Millisecond, firstErr: errFailed, err: errFailed, took: 10 * time.Millisecond},
		"second wins":        {first: time.Hour, second: time.Millisecond, want: Outcome{true, true}, took: delay + time.Millisecond},
		"first wins":         {first: 150 * time.Millisecond, second: time.Hour, want: Outcome{Sent: true}, took: 150 * time.Millisecond},
		"second fails":       {first: time.Second, second: time.Millisecond, secondErr: errFailed, want: Outcome{Sent: true}, took: time.Second},
		"first fails later":  {first: 150 * time.Millisecond, firstErr: errFailed, second: time.Second, want: Outcome{true, true}, took: delay + time.Second},
		"both fail":          {first: 150 * time.Millisecond, firstErr: errFailed, second: time.Second, secondErr: errors.New("other"), want: Outcome{Sent: true}, err: errFailed, took: delay + time.Second},
		"no budget":          {first: time.Second, second: 0, share: 0.001, took: time.Second},
		"no budget, failure": {first: time.Second, firstErr: errFailed, share: 0.001, err: errFailed, took: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := New(Options{Now: time.Now, DelayFirst: delay, Share: max(test.share, 0.001)})
				if test.share == 0 {
					p.tokens = 1
				}
				var running atomic.Int64
				start := time.Now()
				got, err := p.Do(t.Context(), after(test.first, test.firstErr, &running), after(test.second, test.secondErr, &running))
				if got != test.want || !errors.Is(err, test.err) || time.Since(start) != test.took {
					t.Errorf("%+v, %v after %v; want %+v, %v after %v", got, err, time.Since(start), test.want, test.err, test.took)
				}
				if running.Load() != 0 {
					t.Error("a request still runs (invariant 1)")
				}
			})
		})
	}
}

// Invariant 2, and that what is slow follows what is usual.
func TestPolicyFollowsTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Now: time.Now})
		var running atomic.Int64
		run := func(n int, d time.Duration) (sent int) {
			for range n {
				if out, err := p.Do(t.Context(), after(d, nil, &running), after(d, nil, &running)); err != nil {
					t.Fatal(err)
				} else if out.Sent {
					sent++
				}
			}
			return sent
		}
		if n := run(200, 40*time.Millisecond); n != 0 || p.Delay() != 80*time.Millisecond {
			t.Errorf("%d requests of 40 ms were hedged, and %v counts as slow, want 0 and 80ms", n, p.Delay())
		}
		if n := run(1000, time.Second); n < 1 || n > 55 || p.Delay() != 2*time.Second {
			t.Errorf("a store that became slow got %d second requests for 1,000, and %v counts as slow, want 1 to 55 and 2s", n, p.Delay())
		}
	})
}

func TestReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		content := []byte("0123456789")
		var reads atomic.Int64
		slow := fault.New(memory.New(), fault.Options{Latency: func(op objstore.Op, _ string, phase fault.Phase) time.Duration {
			if op == objstore.OpGetRange && phase == fault.Before && reads.Add(1) == 1 {
				return time.Minute
			}
			return time.Millisecond
		}})
		r := prometheus.NewRegistry()
		m, err := NewMetrics(r)
		if err != nil {
			t.Fatal(err)
		}
		p := New(Options{Now: time.Now})
		p.tokens = 1
		s := NewReads(slow, p, m)
		if err := s.Put(t.Context(), "k", objstore.Payload{content}); err != nil {
			t.Fatal(err)
		}
		dst := make([]byte, 5)
		start := time.Now()
		if err := s.GetRange(t.Context(), "k", 3, dst); err != nil || !bytes.Equal(dst, content[3:8]) || time.Since(start) > 2*time.Second {
			t.Errorf("%q, %v after %v", dst, err, time.Since(start))
		}
		if n := won(t, r); n != 1 {
			t.Errorf("%v second requests counted as won, want 1", n)
		}
	})
}

// won sums gnomon_store_hedges_won_total up.
func won(t *testing.T, r *prometheus.Registry) (n float64) {
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "gnomon_store_hedges_won_total" {
			continue
		}
		for _, m := range f.Metric {
			n += m.Counter.GetValue()
		}
	}
	return n
}

// The wrapper is a store like any other.
func TestReadsAcceptance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objstore.Store {
		return NewReads(memory.New(), New(Options{Now: time.Now, DelayFirst: time.Nanosecond, DelayMin: time.Nanosecond, Share: 1}), nil)
	})
}
