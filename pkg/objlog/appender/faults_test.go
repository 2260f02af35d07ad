package appender

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/hedge"
)

var errFinal = errors.New("access denied")

func isObject(key string, n base.ObjectNumber) bool {
	return strings.HasSuffix(key, base.ObjectID{Number: n}.Key()[len("data/")+16:])
}

// P3, P4: object 2 cannot be stored. Its partition fails there and in object 3, whose other partition is acked.
func TestFailedFlushInThePipeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{EagerPuts: 8}, fault.Options{
			Hook: func(op objstore.Op, key string, phase fault.Phase) error {
				if op == objstore.OpPut && phase == fault.Before && isObject(key, 2) {
					return errFinal
				}
				return nil
			},
			Latency: func(op objstore.Op, key string, phase fault.Phase) time.Duration {
				if phase == fault.Before && op == objstore.OpPut && !isObject(key, 1) {
					return map[bool]time.Duration{true: 100, false: 300}[isObject(key, 2)] * time.Millisecond
				}
				return 0
			},
		})
		defer w.stop()
		one := w.append(t.Context(), makeBatch(0, 7, 0, 1, 10))
		time.Sleep(5 * time.Millisecond)
		two := w.append(t.Context(), makeBatch(0, 7, 1, 1, 10))
		time.Sleep(5 * time.Millisecond)
		three := w.append(t.Context(), makeBatch(0, 7, 2, 1, 10), makeBatch(1, 7, 0, 1, 10))
		time.Sleep(5 * time.Millisecond)
		four := w.append(t.Context(), makeBatch(0, 7, 3, 1, 10))
		w.ok(one, 0)
		w.retriable(two)
		behind := w.append(t.Context(), makeBatch(0, 7, 4, 1, 10)) // was on its way when 1 failed
		w.retriable(behind)
		again := w.append(t.Context(), makeBatch(0, 7, 1, 1, 10))
		r := w.get(three)
		if !errors.Is(r[0].Err, base.ErrUnavailable) || r[1].Err != nil {
			t.Errorf("object 3: got %v, want its partition 0 to fail retriably and 1 to stand", r)
		}
		w.retriable(four)
		w.ok(again, 1)
		if got := fmt.Sprint(w.seq.requests[1].Number, w.seq.requests[1].Abandoned); got != "3 [2]" {
			t.Errorf("the commit after the failure has number and abandoned %s", got)
		}
		if got := fmt.Sprint(w.seq.requests[2].Number, w.seq.requests[2].Abandoned); got != "5 [4]" {
			t.Errorf("the commit after that has number and abandoned %s", got)
		}
	})
}

// P5: commit 1 fails twice, commit 2 is refused for the gap meanwhile; both are sent again as they were, in order.
func TestCommitIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, fault.Options{})
		defer w.stop()
		w.seq.delay = func() time.Duration { return 20 * time.Millisecond }
		failures := 0
		w.seq.before = func(req *metalogpb.CommitRequest) error {
			if failures++; req.Number == 1 && failures <= 3 {
				return base.ErrNotLeader
			}
			return nil
		}
		one := w.append(t.Context(), makeBatch(0, 7, 0, 1, 10))
		time.Sleep(5 * time.Millisecond)
		two := w.append(t.Context(), makeBatch(0, 7, 1, 1, 10))
		w.ok(one, 0)
		w.ok(two, 1)
		first := map[uint64]*metalogpb.CommitRequest{}
		var order []uint64
		for _, r := range w.seq.requests {
			order = append(order, r.Number)
			if first[r.Number] == nil {
				first[r.Number] = r
			}
			if first[r.Number] != r {
				t.Errorf("commit %d was sent again as another request", r.Number)
			}
		}
		if fmt.Sprint(order) != "[1 2 1 2 1 2]" || w.seq.opened != 1 {
			t.Errorf("commits %v in %d sessions", order, w.seq.opened)
		}
	})
}

func TestLostCommitAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, fault.Options{})
		defer w.stop()
		lost := false
		w.seq.after = func(*metalogpb.CommitRequest) error {
			if lost {
				return nil
			}
			lost = true
			return base.ErrUnavailable
		}
		w.ok(w.append(t.Context(), makeBatch(0, -1, -1, 1, 10)), 0)
		if len(w.seq.log[0]) != 1 || len(w.seq.requests) != 2 {
			t.Errorf("%d batches in the log after %d commits, want 1 and 2", len(w.seq.log[0]), len(w.seq.requests))
		}
	})
}

func TestFencedSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, fault.Options{})
		defer w.stop()
		w.ok(w.append(t.Context(), makeBatch(0, 7, 0, 1, 10)), 0)
		w.seq.mu.Lock()
		w.seq.sessions[1].fenced = true
		w.seq.mu.Unlock()
		w.retriable(w.append(t.Context(), makeBatch(0, 7, 1, 1, 10)))
		w.ok(w.append(t.Context(), makeBatch(0, 7, 1, 1, 10)), 1)
		if last := w.seq.requests[len(w.seq.requests)-1]; last.Session != 2 || last.Number != 1 {
			t.Errorf("the last commit is %d of session %d", last.Number, last.Session)
		}
	})
}

// What is buffered behind a session's end would follow a hole, if it is of the same partition.
func TestSessionEndTakesTheBufferAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{FlushMin: 50 * time.Millisecond}, fault.Options{})
		defer w.stop()
		w.seq.before = func(req *metalogpb.CommitRequest) error {
			if req.Session == 1 {
				return base.ErrReadOnly
			}
			return nil
		}
		w.seq.delay = func() time.Duration { return 20 * time.Millisecond }
		one := w.append(t.Context(), makeBatch(0, 7, 0, 1, 10))
		time.Sleep(60 * time.Millisecond)
		same := w.append(t.Context(), makeBatch(0, 7, 1, 1, 10))
		other := w.append(t.Context(), makeBatch(1, 7, 0, 1, 10))
		w.retriable(one)
		w.retriable(same)
		w.ok(other, 0)
	})
}

func TestCommitTimeoutEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, fault.Options{})
		defer w.stop()
		w.seq.before = func(req *metalogpb.CommitRequest) error {
			if req.Session == 1 {
				return base.ErrUnavailable
			}
			return nil
		}
		start := time.Now()
		one := w.append(t.Context(), makeBatch(0, 7, 0, 1, 10))
		time.Sleep(time.Second)
		two := w.append(t.Context(), makeBatch(0, 7, 1, 1, 10))
		w.retriable(one)
		if d := time.Since(start); d < 30*time.Second || d > 32*time.Second {
			t.Errorf("failed after %v, want ProduceTimeout", d)
		}
		w.retriable(two)
		w.ok(w.append(t.Context(), makeBatch(0, 7, 0, 1, 10)), 0)
	})
}

// client is an idempotent producer of one partition: five in flight, and after a retriable error, everything from the
// first failed batch on again, in order.
type client struct {
	w         *world
	partition int32
	total     int32
}

func (c client) run(rng *rand.Rand) error {
	type inflight struct {
		sequence int32
		ch       answer
	}
	var window []inflight
	var next, acked int32
	for acked < c.total {
		for len(window) < 5 && next < c.total {
			time.Sleep(time.Duration(rng.IntN(4)) * time.Millisecond)
			window = append(window, inflight{next, c.w.append(c.w.t.Context(), makeBatch(c.partition, 7, next, 1, rng.IntN(200)))})
			next++
		}
		head := window[0]
		r := (<-head.ch)[0]
		window = window[1:]
		switch {
		case r.Err == nil && r.BaseOffset != base.Offset(head.sequence):
			return fmt.Errorf("sequence %d was acked at offset %d", head.sequence, r.BaseOffset)
		case r.Err == nil:
			acked++
		case !errors.Is(r.Err, base.ErrUnavailable):
			return fmt.Errorf("sequence %d: %w", head.sequence, r.Err)
		default:
			for _, x := range window { // all that was behind it comes again, acked or not
				if r := <-x.ch; r[0].Err != nil && !errors.Is(r[0].Err, base.ErrUnavailable) {
					return fmt.Errorf("sequence %d behind a failed one: %w", x.sequence, r[0].Err)
				}
			}
			window, next = nil, head.sequence
			time.Sleep(10 * time.Millisecond)
		}
	}
	return nil
}

// Producers that pipeline, against uploads and commits that are late, fail, or lose their answers: every batch is in the
// log once, in order, where its ack says, and nothing but retriable errors was seen.
func TestRandomFaults(t *testing.T) {
	for seed := range uint64(80) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { randomFaults(t, seed) })
		})
	}
}

func randomFaults(t *testing.T, seed uint64) {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 1))
	roll := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return rng.IntN(n)
	}
	cfg := Config{ProduceTimeout: 2 * time.Second}
	if seed%2 == 1 { // every other PUT may be hedged
		cfg.Hedge = hedge.New(hedge.Options{Now: time.Now, DelayFirst: 30 * time.Millisecond, DelayMin: 10 * time.Millisecond, Share: 0.5})
	}
	w := newWorld(t, cfg, fault.Options{
		Hook: func(op objstore.Op, _ string, phase fault.Phase) error {
			switch n := roll(100); {
			case op == objstore.OpPut && phase == fault.Before && n < 5:
				return errFinal
			case n < 15:
				return fault.ErrInjected
			}
			return nil
		},
		Latency: func(objstore.Op, string, fault.Phase) time.Duration {
			return time.Duration(roll(60)) * time.Millisecond
		},
	})
	defer w.stop()
	w.seq.delay = func() time.Duration { return time.Duration(roll(15)) * time.Millisecond }
	fails := func(*metalogpb.CommitRequest) error {
		switch n := roll(100); {
		case n < 8:
			return base.ErrUnavailable
		case n < 9:
			return base.ErrFenced
		}
		return nil
	}
	w.seq.before, w.seq.after = fails, fails
	var wg sync.WaitGroup
	for p := range int32(4) {
		mine := rand.New(rand.NewPCG(seed, uint64(p)+2))
		wg.Go(func() {
			if err := (client{w, p, 60}).run(mine); err != nil {
				t.Errorf("partition %d: %v", p, err)
			}
		})
	}
	wg.Wait()
	w.seq.mu.Lock()
	defer w.seq.mu.Unlock()
	for p := range int32(4) {
		for i, l := range w.seq.log[p] {
			if l.sequence != int32(i) || l.offset != int64(i) {
				t.Fatalf("partition %d has sequence %d at offset %d", p, l.sequence, l.offset)
			}
		}
	}
}
