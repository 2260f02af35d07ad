package appender

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/hedge"
)

// hedged is a config in which every PUT is hedged after 50 ms.
func hedged() Config {
	return Config{EagerPuts: 8, Hedge: hedge.New(hedge.Options{Now: time.Now, DelayFirst: 50 * time.Millisecond, Share: 1})}
}

// putTakes makes PUTs of some objects take long.
func putTakes(latency map[base.ObjectNumber]time.Duration) fault.Options {
	return fault.Options{Latency: func(op objstore.Op, key string, phase fault.Phase) time.Duration {
		for n, d := range latency {
			if op == objstore.OpPut && phase == fault.Before && isObject(key, n) {
				return d
			}
		}
		return time.Millisecond
	}}
}

func (w *world) commits(want ...[]uint64) {
	w.t.Helper()
	w.seq.mu.Lock()
	defer w.seq.mu.Unlock()
	var got [][]uint64
	for _, r := range w.seq.requests {
		got = append(got, append([]uint64{r.Number}, r.Abandoned...))
	}
	if !slices.EqualFunc(got, want, slices.Equal) {
		w.t.Errorf("commits, each with what it abandons, are %v, want %v", got, want)
	}
}

// Walk 11: the second PUT of a slow object wins, the next flush waits for it, and each commit names the number that it passes over.
func TestHedgedPutWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, hedged(), putTakes(map[base.ObjectNumber]time.Duration{3: 10 * time.Second}))
		defer w.stop()
		w.ok(w.append(t.Context(), makeBatch(0, 7, 0, 1, 10)), 0)
		start := time.Now()
		slow := w.append(t.Context(), makeBatch(0, 7, 1, 1, 10))
		time.Sleep(5 * time.Millisecond)
		behind := w.append(t.Context(), makeBatch(0, 7, 2, 1, 10))
		w.ok(slow, 1)
		w.ok(behind, 2)
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("the slow object held its producer up for %v", took)
		}
		w.commits([]uint64{1}, []uint64{4, 2, 3}, []uint64{5})
	})
}

// The first PUT comes in before the second: the spare number is abandoned by the next commit.
func TestHedgedPutLoses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, hedged(), putTakes(map[base.ObjectNumber]time.Duration{3: 60 * time.Millisecond, 4: time.Second}))
		defer w.stop()
		w.ok(w.append(t.Context(), makeBatch(0, 7, 0, 1, 10)), 0)
		start := time.Now()
		w.ok(w.append(t.Context(), makeBatch(0, 7, 1, 1, 10)), 1)
		if took := time.Since(start); took > 80*time.Millisecond {
			t.Errorf("the second PUT was waited for: %v", took)
		}
		w.ok(w.append(t.Context(), makeBatch(0, 7, 2, 1, 10)), 2)
		w.commits([]uint64{1}, []uint64{3, 2}, []uint64{5, 4})
	})
}

// Neither PUT can be stored: both numbers are abandoned, and the batch comes again.
func TestHedgedPutFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := putTakes(map[base.ObjectNumber]time.Duration{3: 100 * time.Millisecond, 4: 100 * time.Millisecond})
		faults.Hook = func(op objstore.Op, key string, phase fault.Phase) error {
			if op == objstore.OpPut && phase == fault.Before && (isObject(key, 3) || isObject(key, 4)) {
				return errFinal
			}
			return nil
		}
		w := newWorld(t, hedged(), faults)
		defer w.stop()
		w.ok(w.append(t.Context(), makeBatch(0, 7, 0, 1, 10)), 0)
		w.retriable(w.append(t.Context(), makeBatch(0, 7, 1, 1, 10)))
		w.ok(w.append(t.Context(), makeBatch(0, 7, 1, 1, 10)), 1)
		w.commits([]uint64{1}, []uint64{5, 2, 3, 4})
	})
}
