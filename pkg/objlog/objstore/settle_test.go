package objstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
)

var errFinal = errors.New("denied")

// step is one scripted phase: of which operation, and what happens.
type step struct {
	op    objstore.Op
	phase fault.Phase
	err   error
}

// script answers each phase of the operations in it in their order, and lets the rest pass.
func script(steps ...step) fault.Hook {
	return func(op objstore.Op, _ string, phase fault.Phase) error {
		for i, s := range steps {
			if s.op == op && s.phase == phase {
				steps = append(steps[:i:i], steps[i+1:]...)
				return s.err
			}
		}
		return nil
	}
}

func put(phase fault.Phase, err error) step  { return step{objstore.OpPut, phase, err} }
func head(phase fault.Phase, err error) step { return step{objstore.OpHead, phase, err} }

func noWait(ctx context.Context, _ time.Duration) error { return ctx.Err() }

var fast = objstore.Backoff{Attempts: 5, Sleep: noWait}

// TestPutSettled walks the race of the comment of PutSettled.
func TestPutSettled(t *testing.T) {
	const before, after = fault.Before, fault.After
	ours, others, longer := "our bytes", "not yours", "somebody else's"
	for name, test := range map[string]struct {
		there string
		steps []step
		want  error
		holds string
	}{
		"at once":                            {"", nil, nil, ours},
		"unavailable, then stored":           {"", []step{put(before, fault.ErrInjected), put(before, fault.ErrInjected)}, nil, ours},
		"answer lost, stored":                {"", []step{put(after, fault.ErrInjected)}, nil, ours},
		"answer lost, not stored":            {"", []step{put(before, objstore.ErrAmbiguous)}, nil, ours},
		"answer lost, head unanswered":       {"", []step{put(after, fault.ErrInjected), head(before, fault.ErrInjected), head(after, fault.ErrInjected)}, nil, ours},
		"lost, unavailable, then it is ours": {"", []step{put(before, objstore.ErrAmbiguous), put(before, fault.ErrInjected)}, nil, ours},
		"twice lost":                         {"", []step{put(before, objstore.ErrAmbiguous), put(after, fault.ErrInjected)}, nil, ours},
		"taken":                              {others, nil, objstore.ErrExists, others},
		"unavailable, then taken":            {others, []step{put(before, fault.ErrInjected)}, objstore.ErrExists, others},
		"lost, there with another size":      {longer, []step{put(before, objstore.ErrAmbiguous)}, objstore.ErrExists, longer},
		"final":                              {"", []step{put(before, errFinal)}, errFinal, ""},
		"lost, then final":                   {"", []step{put(before, objstore.ErrAmbiguous), put(before, errFinal)}, objstore.ErrAmbiguous, ""},
		"lost, head final":                   {"", []step{put(after, fault.ErrInjected), head(before, errFinal)}, objstore.ErrAmbiguous, ours},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, inner := context.Background(), memory.New()
			if test.there != "" {
				if err := inner.Put(ctx, "k", objstore.Payload{[]byte(test.there)}); err != nil {
					t.Fatal(err)
				}
			}
			s := fault.New(inner, fault.Options{Hook: script(test.steps...)})
			err := fast.PutSettled(ctx, s, "k", objstore.Payload{[]byte("our "), []byte("bytes")})
			if !errors.Is(err, test.want) || (test.want == nil) != (err == nil) {
				t.Errorf("%v, want %v", err, test.want)
			}
			if exists := errors.Is(err, objstore.ErrExists); exists && test.want != objstore.ErrExists {
				t.Errorf("%v is an ErrExists", err)
			}
			got, _ := inner.Get(ctx, "k", 100)
			if string(got) != test.holds {
				t.Errorf("the key holds %q, want %q", got, test.holds)
			}
		})
	}
}

// TestPutSettledLate: step 4 of the walk. The first attempt lands between the Head that did not see it and the second.
func TestPutSettledLate(t *testing.T) {
	ctx, inner := context.Background(), memory.New()
	s := fault.New(inner, fault.Options{Hook: script(put(fault.Before, fault.ErrLate))})
	b := objstore.Backoff{Sleep: func(ctx context.Context, _ time.Duration) error {
		if n, err := s.Land(ctx); err != nil || n != 1 {
			t.Errorf("land: %d, %v", n, err)
		}
		return nil
	}}
	if err := b.PutSettled(ctx, s, "k", objstore.Payload{[]byte("x")}); err != nil {
		t.Fatal(err)
	}
	infos, err := inner.List(ctx, "", "", 10)
	if err != nil || len(infos) != 1 {
		t.Fatalf("%v, %v", infos, err)
	}
}

func TestPutSettledEnds(t *testing.T) {
	always := func(puts, rest error) fault.Hook {
		return func(op objstore.Op, _ string, _ fault.Phase) error {
			if op == objstore.OpPut {
				return puts
			}
			return rest
		}
	}
	for name, test := range map[string]struct {
		hook      fault.Hook
		ambiguous bool
	}{
		"never sent":    {always(fault.ErrInjected, fault.ErrInjected), false},
		"never settled": {always(objstore.ErrAmbiguous, fault.ErrInjected), true},
	} {
		for _, how := range []string{"attempts", "context"} {
			t.Run(name+", "+how, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				b := objstore.Backoff{Sleep: noWait, Attempts: 3}
				if how == "context" {
					waits := 0
					b = objstore.Backoff{Sleep: func(ctx context.Context, _ time.Duration) error {
						if waits++; waits == 2 {
							cancel()
						}
						return ctx.Err()
					}}
				}
				err := b.PutSettled(ctx, fault.New(memory.New(), fault.Options{Hook: test.hook}), "k", nil)
				if err == nil || errors.Is(err, objstore.ErrAmbiguous) != test.ambiguous || !errors.Is(err, base.ErrUnavailable) {
					t.Fatalf("%v; ambiguous should be %v", err, test.ambiguous)
				}
				if errors.Is(err, context.Canceled) != (how == "context") {
					t.Fatalf("%v does not say how it ended", err)
				}
			})
		}
	}
}

// TestPutSettledRandomly: whatever fails, nil means stored, ErrUnavailable without ErrAmbiguous means not stored.
func TestPutSettledRandomly(t *testing.T) {
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 0))
		ctx, inner := context.Background(), memory.New()
		s := fault.New(inner, fault.Options{})
		s.SetHook(func(op objstore.Op, _ string, phase fault.Phase) error {
			switch n := random.IntN(10); {
			case n < 3:
				return fault.ErrInjected
			case n < 4 && op == objstore.OpPut:
				return objstore.ErrAmbiguous
			case n < 6 && op == objstore.OpPut && phase == fault.Before:
				return fault.ErrLate
			}
			return nil
		})
		b := objstore.Backoff{Attempts: 4, Random: random.Float64, Sleep: func(ctx context.Context, _ time.Duration) error {
			if random.IntN(2) == 0 {
				_, err := s.Land(ctx)
				return err
			}
			return nil
		}}
		want := fmt.Sprintf("payload of %d", seed)
		err := b.PutSettled(ctx, s, "k", objstore.Payload{[]byte(want)})
		_, headErr := inner.Head(ctx, "k")
		switch {
		case errors.Is(err, objstore.ErrExists):
			t.Fatalf("seed %d: our own attempt taken for a stranger's: %v", seed, err)
		case err == nil && headErr != nil:
			t.Fatalf("seed %d: nil, but it is not there", seed)
		case err != nil && headErr == nil && !errors.Is(err, objstore.ErrAmbiguous):
			t.Fatalf("seed %d: it is there, but the error says it is not: %v", seed, err)
		}
		if _, err := s.Land(ctx); err != nil {
			t.Fatal(err)
		}
		if _, landed := inner.Head(ctx, "k"); landed == nil && err != nil && !errors.Is(err, objstore.ErrAmbiguous) {
			t.Fatalf("seed %d: it landed after all: %v", seed, err)
		}
	}
}

func TestBackoff(t *testing.T) {
	var waits []time.Duration
	for _, jitter := range []float64{0, 0.5, 0.999} {
		b := objstore.Backoff{First: 10 * time.Millisecond, Max: 100 * time.Millisecond,
			Random: func() float64 { return jitter },
			Sleep:  func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }}
		for failures := 1; failures <= 6; failures++ {
			if err := b.Wait(context.Background(), failures); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := "[5ms 10ms 20ms 40ms 50ms 50ms 7.5ms 15ms 30ms 60ms 75ms 75ms 9.995ms 19.99ms 39.98ms 79.96ms 99.95ms 99.95ms]"
	if got := fmt.Sprint(waits); got != want {
		t.Errorf("waits are\n%s, want\n%s", got, want)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := (objstore.Backoff{}).Wait(ended, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("wait with an ended context: %v", err)
	}
}
