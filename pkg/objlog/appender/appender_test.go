package appender

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/counting"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
)

// world is an appender on a faulty bucket, with a clock that moves only when everything waits.
type world struct {
	t      *testing.T
	seq    *sequencer
	counts *counting.Store
	a      *Appender
	stop   func()
}

func newWorld(t *testing.T, cfg Config, faults fault.Options) *world {
	inner := memory.New()
	w := &world{t: t, seq: newSequencer(inner), counts: counting.New(fault.New(inner, faults))}
	w.a = New(cfg, Deps{Store: w.counts, Committer: w.seq, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.a.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	w.stop = func() {
		cancel()
		wg.Wait()
		w.seq.calls.Wait()
		if now, _ := w.a.Held(); now != 0 {
			t.Errorf("%d bytes of the buffer are counted, and nobody holds any", now)
		}
		for _, p := range w.seq.problems {
			t.Error(p)
		}
	}
	return w
}

// answer is one Append's, delivered once.
type answer chan []Result

// append sends batches and spoils their bytes as soon as they are answered: from then on they are the caller's.
func (w *world) append(ctx context.Context, batches ...Batch) answer {
	ch := make(answer, 2) // a second answer is found by get
	w.a.Append(ctx, batches, func(r []Result) {
		for i := range batches {
			clear(batches[i].Bytes)
		}
		ch <- r
	})
	return ch
}

func (w *world) get(ch answer) []Result {
	w.t.Helper()
	r := <-ch
	synctest.Wait()
	if len(ch) > 0 {
		w.t.Error("P2: done was called twice")
	}
	return r
}

func (w *world) ok(ch answer, offset base.Offset) {
	w.t.Helper()
	for _, r := range w.get(ch) {
		if r.Err != nil || r.BaseOffset != offset {
			w.t.Errorf("got offset %d, error %v; want offset %d", r.BaseOffset, r.Err, offset)
		}
	}
}

func (w *world) retriable(ch answer) {
	w.t.Helper()
	for _, r := range w.get(ch) {
		if !errors.Is(r.Err, base.ErrUnavailable) && !errors.Is(r.Err, base.ErrReadOnly) {
			w.t.Errorf("got offset %d, error %v; want a retriable error", r.BaseOffset, r.Err)
		}
		var ke *kerr.Error
		if errors.As(r.Err, &ke) {
			w.t.Errorf("got Kafka's %v; want a retriable error", ke)
		}
	}
}

func TestGoldenRequestCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, fault.Options{})
		defer w.stop()
		start := time.Now()
		w.ok(w.append(t.Context(), makeBatch(0, -1, -1, 3, 10)), 0)
		if d := time.Since(start); d != 0 {
			t.Errorf("the answer took %v, though the appender was idle", d)
		}
		w.ok(w.append(t.Context(), makeBatch(0, -1, -1, 1, 10)), 3)
		if n := w.counts.Snapshot().Of(objstore.OpPut).Calls; n != 2 || len(w.seq.requests) != 2 || w.seq.opened != 1 {
			t.Errorf("%d puts, %d commits, %d sessions; want 2, 2, 1", n, len(w.seq.requests), w.seq.opened)
		}
	})
}

// An idle appender flushes at once, a busy one waits for FlushMin, and the profile for costly PUTs for its interval.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := fault.Options{Latency: func(op objstore.Op, _ string, phase fault.Phase) time.Duration {
			if op == objstore.OpPut && phase == fault.Before {
				return 10 * time.Millisecond
			}
			return 0
		}}
		for _, test := range []struct {
			cfg           Config
			first, second time.Duration // when each is answered; the second comes after 1 ms
		}{
			{Config{}, 10 * time.Millisecond, 13 * time.Millisecond},
			{CostProfile(), 260 * time.Millisecond, 260 * time.Millisecond},
		} {
			w := newWorld(t, test.cfg, slow)
			start := time.Now()
			first := w.append(t.Context(), makeBatch(0, -1, -1, 1, 10))
			time.Sleep(time.Millisecond)
			second := w.append(t.Context(), makeBatch(1, -1, -1, 1, 10))
			w.ok(first, 0)
			if d := time.Since(start); d != test.first {
				t.Errorf("%v: the first was answered after %v, want %v", test.cfg.FlushInterval, d, test.first)
			}
			w.ok(second, 0)
			if d := time.Since(start); d != test.second {
				t.Errorf("%v: the second was answered after %v, want %v", test.cfg.FlushInterval, d, test.second)
			}
			w.stop()
		}
	})
}

func TestOneFlushForManyRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, CostProfile(), fault.Options{})
		defer w.stop()
		var answers []answer
		for i := range 50 {
			answers = append(answers, w.append(t.Context(), makeBatch(int32(i), -1, -1, 1, 10)))
		}
		for _, ch := range answers {
			w.ok(ch, 0)
		}
		if n := w.counts.Snapshot().Of(objstore.OpPut).Calls; n != 1 {
			t.Errorf("%d puts, want 1", n)
		}
	})
}

func TestSizeFlushesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{FlushBytes: 1000, FlushMin: time.Hour, FlushInterval: time.Hour}, fault.Options{})
		defer w.stop()
		start := time.Now()
		a := w.append(t.Context(), makeBatch(0, -1, -1, 1, 600))
		b := w.append(t.Context(), makeBatch(0, -1, -1, 1, 600), makeBatch(1, -1, -1, 1, 600))
		w.ok(a, 0)
		if r := w.get(b); r[0].BaseOffset != 1 || r[1].BaseOffset != 0 || time.Since(start) != 0 {
			t.Errorf("got %v after %v", r, time.Since(start))
		}
	})
}

func TestSequencerErrorsAndDuplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, fault.Options{})
		defer w.stop()
		w.ok(w.append(t.Context(), makeBatch(0, 7, 0, 1, 10)), 0)
		w.ok(w.append(t.Context(), makeBatch(0, 7, 0, 1, 10)), 0)
		r := w.get(w.append(t.Context(), makeBatch(0, 7, 5, 1, 10)))
		if !errors.Is(r[0].Err, kerr.OutOfOrderSequenceNumber) {
			t.Errorf("got %v, want OUT_OF_ORDER_SEQUENCE_NUMBER of the sequencer", r[0].Err)
		}
	})
}

func TestBoundedMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := fault.Options{Latency: func(objstore.Op, string, fault.Phase) time.Duration { return 5 * time.Second }}
		w := newWorld(t, Config{BufferBytes: 1000}, slow)
		defer w.stop()
		first := w.append(t.Context(), makeBatch(0, -1, -1, 1, 900))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		w.retriable(w.append(ctx, makeBatch(0, -1, -1, 1, 900)))
		if d := time.Since(start); d != time.Second {
			t.Errorf("Append waited %v for room, want until ctx ended", d)
		}
		second := w.append(t.Context(), makeBatch(0, -1, -1, 1, 90_000)) // larger than the whole buffer: alone
		w.ok(first, 0)
		w.ok(second, 1)
	})
}

func TestStopAnswersEverything(t *testing.T) {
	for range 20 { // Run finds its ctx over before or after it takes the last request
		synctest.Test(t, func(t *testing.T) {
			slow := fault.Options{Latency: func(objstore.Op, string, fault.Phase) time.Duration { return time.Second }}
			w := newWorld(t, Config{}, slow)
			putting := w.append(t.Context(), makeBatch(0, -1, -1, 1, 10))
			time.Sleep(10 * time.Millisecond)
			buffered := w.append(t.Context(), makeBatch(1, -1, -1, 1, 10))
			time.Sleep(time.Millisecond) // below FlushMin
			queued := w.append(t.Context(), makeBatch(2, -1, -1, 1, 10))
			w.stop()
			for _, ch := range []answer{putting, buffered, queued} {
				w.retriable(ch)
			}
			w.retriable(w.append(t.Context(), makeBatch(0, -1, -1, 1, 10)))
		})
	}
}

func TestNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, fault.Options{})
		defer w.stop()
		w.seq.openErr = base.ErrReadOnly
		w.retriable(w.append(t.Context(), makeBatch(0, -1, -1, 1, 10)))
		w.seq.mu.Lock()
		w.seq.openErr = base.ErrUnavailable
		w.seq.mu.Unlock()
		late := w.append(t.Context(), makeBatch(0, -1, -1, 1, 10))
		start := time.Now()
		w.retriable(late)
		if d := time.Since(start); d < 30*time.Second || d > 32*time.Second {
			t.Errorf("failed after %v, want ProduceTimeout", d)
		}
		if len(w.seq.requests) > 0 {
			t.Errorf("committed without a session: %v", w.seq.requests[0])
		}
	})
}
