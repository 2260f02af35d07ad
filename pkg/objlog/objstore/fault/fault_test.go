package fault_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/storetest"
)

// TestAcceptance: without faults the wrapper is a store like any other.
func TestAcceptance(t *testing.T) {
	storetest.Run(t, func(*testing.T) objstore.Store { return fault.New(memory.New(), fault.Options{}) })
}

// calls makes each call once and returns its error.
func calls(ctx context.Context, s objstore.Store) map[objstore.Op]error {
	errs := map[objstore.Op]error{
		objstore.OpPut:      s.Put(ctx, "new", objstore.Payload{[]byte("x")}),
		objstore.OpGetRange: s.GetRange(ctx, "there", 0, make([]byte, 1)),
		objstore.OpDelete:   s.Delete(ctx, "victim"),
	}
	_, errs[objstore.OpGet] = s.Get(ctx, "there", 10)
	_, errs[objstore.OpHead] = s.Head(ctx, "there")
	_, errs[objstore.OpList] = s.List(ctx, "t", "", 10)
	return errs
}

func TestPhases(t *testing.T) {
	ctx := context.Background()
	for _, phase := range []fault.Phase{fault.Before, fault.After} {
		inner := memory.New()
		for _, key := range []string{"there", "victim"} {
			if err := inner.Put(ctx, key, objstore.Payload{[]byte("x")}); err != nil {
				t.Fatal(err)
			}
		}
		var seen []string
		s := fault.New(inner, fault.Options{Hook: func(op objstore.Op, key string, at fault.Phase) error {
			seen = append(seen, fmt.Sprint(op, " ", key, " ", at))
			if at == phase {
				return fault.ErrInjected
			}
			return nil
		}})
		for op, err := range calls(ctx, s) {
			if !errors.Is(err, fault.ErrInjected) || !errors.Is(err, base.ErrUnavailable) {
				t.Errorf("%s %s: %v, want ErrInjected", phase, op, err)
			}
			if got, want := errors.Is(err, objstore.ErrAmbiguous), op == objstore.OpPut && phase == fault.After; got != want {
				t.Errorf("%s %s: ambiguous is %v, want %v", phase, op, got, want)
			}
		}
		infos, err := inner.List(ctx, "", "", 10)
		want := map[fault.Phase]string{fault.Before: "[{there 1} {victim 1}]", fault.After: "[{new 1} {there 1}]"}[phase]
		if err != nil || fmt.Sprint(infos) != want {
			t.Errorf("errors %s the call leave %v, want %s", phase, infos, want)
		}
		if phases := strings.Count(strings.Join(seen, "\n"), "after"); (phases == 0) != (phase == fault.Before) {
			t.Errorf("the hook saw %q", seen)
		}
		s.SetHook(nil)
		if err := s.Put(ctx, "healed", nil); err != nil {
			t.Errorf("without a hook: %v", err)
		}
	}
}

// TestDeleteInTheMiddle: a Delete of many keys may stop at any of them.
func TestDeleteInTheMiddle(t *testing.T) {
	ctx, inner := context.Background(), memory.New()
	for _, key := range []string{"a", "b", "c"} {
		if err := inner.Put(ctx, key, nil); err != nil {
			t.Fatal(err)
		}
	}
	s := fault.New(inner, fault.Options{Hook: func(_ objstore.Op, key string, _ fault.Phase) error {
		if key == "b" {
			return fault.ErrInjected
		}
		return nil
	}})
	if err := s.Delete(ctx, "a", "b", "c"); !errors.Is(err, fault.ErrInjected) {
		t.Fatal(err)
	}
	if infos, err := inner.List(ctx, "", "", 10); err != nil || fmt.Sprint(infos) != "[{b 0} {c 0}]" {
		t.Fatalf("%v, %v", infos, err)
	}
}

func TestLate(t *testing.T) {
	ctx, inner := context.Background(), memory.New()
	s := fault.New(inner, fault.Options{Hook: func(_ objstore.Op, _ string, phase fault.Phase) error {
		if phase == fault.Before {
			return fault.ErrLate
		}
		return nil
	}})
	content := []byte("x")
	for _, key := range []string{"a", "a", "b"} {
		if err := s.Put(ctx, key, objstore.Payload{content}); !errors.Is(err, objstore.ErrAmbiguous) {
			t.Fatalf("%v, want ErrAmbiguous", err)
		}
	}
	content[0] = 'y' // the request is on its way: what the caller does now is too late
	if infos, err := inner.List(ctx, "", "", 10); err != nil || len(infos) != 0 {
		t.Fatalf("stored too early: %v, %v", infos, err)
	}
	if n, err := s.Land(ctx); n != 2 || err != nil {
		t.Fatalf("landed %d, %v; want 2", n, err)
	}
	if got, err := inner.Get(ctx, "a", 1); string(got) != "x" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	if n, err := s.Land(ctx); n != 0 || err != nil {
		t.Fatalf("landed %d again, %v", n, err)
	}
}

func TestLatency(t *testing.T) {
	var slept time.Duration
	s := fault.New(memory.New(), fault.Options{
		Latency: func(op objstore.Op, _ string, phase fault.Phase) time.Duration {
			return time.Second * time.Duration(1+int(op)+int(phase))
		},
		Sleep: func(_ context.Context, d time.Duration) error { slept += d; return nil },
	})
	if _, err := s.List(context.Background(), "", "", 1); err != nil || slept != 11*time.Second {
		t.Fatalf("slept %v, %v; want 11s", slept, err)
	}

	cut := fault.New(memory.New(), fault.Options{
		Latency: func(_ objstore.Op, _ string, phase fault.Phase) time.Duration { return time.Duration(phase) },
		Sleep:   func(context.Context, time.Duration) error { return context.DeadlineExceeded },
	})
	if err := cut.Put(context.Background(), "k", nil); !errors.Is(err, objstore.ErrAmbiguous) {
		t.Fatalf("ctx ended after the call: %v, want ErrAmbiguous", err)
	}
}

// TestDeterministic: one seed, one run.
func TestDeterministic(t *testing.T) {
	run := func(seed uint64) string {
		random := rand.New(rand.NewPCG(seed, 0))
		s := fault.New(memory.New(), fault.Options{Hook: func(objstore.Op, string, fault.Phase) error {
			if random.IntN(3) == 0 {
				return fault.ErrInjected
			}
			return nil
		}})
		var out strings.Builder
		for i := range 200 {
			key := fmt.Sprintf("k/%d", random.IntN(20))
			fmt.Fprintln(&out, i, s.Put(context.Background(), key, nil), s.Delete(context.Background(), key, "k/1"))
		}
		return out.String()
	}
	first := run(1)
	if again := run(1); again != first {
		t.Error("one seed, two runs")
	}
	if other := run(2); other == first {
		t.Error("two seeds, one run")
	}
}

// TestConcurrent is for the race detector: a hook without locks of its own is safe.
func TestConcurrent(t *testing.T) {
	asked := 0
	s := fault.New(memory.New(), fault.Options{Hook: func(objstore.Op, string, fault.Phase) error { asked++; return nil }})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 100 {
				if err := s.Put(context.Background(), fmt.Sprintf("%d/%d", w, i), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if asked != 1600 {
		t.Errorf("the hook was asked %d times, want 1600", asked)
	}
}
