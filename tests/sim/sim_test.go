package sim

import (
	"flag"
	"fmt"
	"strings"
	"testing"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "replay this seed, with its trace")
	seedsFlag = flag.Uint64("seeds", 300, "how many seeds to run")
)

func TestSimulation(t *testing.T) {
	if *seedFlag != 0 {
		w := NewWorld(*seedFlag)
		err := w.Run()
		t.Log("\n" + strings.Join(w.trace, "\n"))
		t.Logf("%s, %d steps, %d batches acked at A, %d at B, %d lost", w.plan, w.steps, len(w.check.book(w.a).acks), len(w.check.book(w.b).acks), w.check.lost)
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	seeds := *seedsFlag
	if testing.Short() {
		seeds = min(seeds, 30)
	}
	const parts = 10
	for part := range uint64(parts) {
		t.Run(fmt.Sprintf("seeds of %d", part), func(t *testing.T) {
			t.Parallel()
			for seed := part + 1; seed <= seeds; seed += parts {
				w := NewWorld(seed)
				if err := w.Run(); err != nil {
					t.Fatalf("seed %d (%s), step %d: %v\nreplay: go test ./tests/sim -run TestSimulation -seed %d -v\n%s",
						seed, w.plan, w.steps, err, seed, strings.Join(w.trace[max(0, len(w.trace)-40):], "\n"))
				}
			}
		})
	}
}

// The same seed gives the same run, to the last line of its trace.
func TestReplay(t *testing.T) {
	t.Parallel()
	for seed := uint64(1); seed <= 12; seed++ {
		var sums [2]uint64
		for i := range sums {
			w := NewWorld(seed)
			if err := w.Run(); err != nil {
				t.Fatal(err)
			}
			sums[i] = w.sum.Sum64()
		}
		if sums[0] != sums[1] {
			t.Errorf("seed %d gives two different runs", seed)
		}
	}
}

// The checker finds each of the mistakes that a run can be made with.
func TestCheckerFinds(t *testing.T) {
	for b := noBug + 1; b < bugs; b++ {
		t.Run(b.String(), func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= 400; seed++ {
				w := NewWorld(seed)
				w.bug = b
				if err := w.Run(); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Errorf("nobody noticed in 400 runs")
		})
	}
}
