package fetcher

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/counting"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
)

// aheadWorld has objects of session 7, each with four spans of one batch one behind the other.
func aheadWorld(t *testing.T, objects base.ObjectNumber, cacheBytes int64, faults fault.Options) *world {
	t.Helper()
	inner := memory.New()
	for n := base.ObjectNumber(1); n <= objects; n++ {
		put(t, inner, base.ObjectID{Session: 7, Number: n}, sound(1), sound(1), sound(1), sound(1))
	}
	w := &world{t: t, store: counting.New(fault.New(inner, faults))}
	w.f = New(Config{Store: w.store, CacheBytes: cacheBytes})
	t.Cleanup(w.f.Close)
	return w
}

// fourth is the i-th span of an object, from 0.
func fourth(n base.ObjectNumber, i int) Request {
	offset := base.Offset(10*n) + base.Offset(i)
	return Request{
		Object: base.ObjectID{Session: 7, Number: n}, Position: position + int64(i)*batchSize, Length: batchSize,
		Base: offset, From: offset, MaxBytes: 1 << 20, Epoch: 9,
	}
}

func (w *world) settled(spans ...Request) {
	w.f.Ahead(spans)
	w.f.loads.Wait()
}

func TestAheadOfReaders(t *testing.T) {
	far := func(r Request) Request { // a place in the same object that is too far off for one GET
		r.Position += batchSize + aheadGap + 1
		return r
	}
	for _, c := range []struct {
		name  string
		spans []Request
		gets  int64
	}{
		{"nothing", nil, 0},
		{"one", []Request{fourth(1, 0)}, 1},
		{"neighbours, in any order", []Request{fourth(1, 2), fourth(1, 0), fourth(1, 1)}, 1},
		{"with a gap", []Request{fourth(1, 0), fourth(1, 3)}, 1},
		{"of two objects", []Request{fourth(1, 0), fourth(2, 0), fourth(1, 1), fourth(2, 1)}, 2},
		{"one twice", []Request{fourth(1, 0), fourth(1, 0)}, 1},
		{"far off", []Request{fourth(1, 0), far(fourth(1, 0))}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := aheadWorld(t, 2, 1<<20, fault.Options{})
			w.settled(c.spans...)
			if n := w.gets(); n != c.gets {
				t.Errorf("%d GETs, want %d", n, c.gets)
			}
			before := w.gets()
			for _, r := range c.spans {
				if r.Position > 4*batchSize+position {
					continue // there is nothing: only the number of GETs was asked
				}
				if got := w.offsets(r); len(got) != 1 || got[0] != r.Base {
					t.Errorf("read %v at %d", got, r.Base)
				}
			}
			if w.gets() != before {
				t.Errorf("readers made %d GETs more", w.gets()-before)
			}
		})
	}
}

// F6: what goes wrong ahead is heard of by those whom it concerns, and by nobody else.
func TestAheadGivesUp(t *testing.T) {
	fail := true
	w := aheadWorld(t, 1, 1<<20, fault.Options{Hook: func(op objstore.Op, _ string, _ fault.Phase) error {
		if op == objstore.OpGetRange && fail {
			return fault.ErrInjected
		}
		return nil
	}})
	w.settled(fourth(1, 0), fourth(1, 1))
	if _, _, _, err := w.f.Read(t.Context(), fourth(1, 0)); !errors.Is(err, base.ErrUnavailable) {
		t.Errorf("a store that fails: %v", err)
	}
	fail = false
	w.offsets(fourth(1, 0))

	beyond := fourth(1, 3)
	beyond.Length++
	w.settled(fourth(1, 2), beyond) // one GET, which goes beyond the object's end
	if _, _, _, err := w.f.Read(t.Context(), beyond); !errors.Is(err, base.ErrCorrupt) {
		t.Errorf("behind the end: %v", err)
	}
	w.offsets(fourth(1, 2))

	missing := fourth(9, 0)
	w.settled(missing)
	if _, _, _, err := w.f.Read(t.Context(), missing); !errors.Is(err, base.ErrNotFound) {
		t.Errorf("no object: %v", err)
	}
	for _, absurd := range []Request{{Length: -1}, {Length: 1 << 50}, {Length: 1, Position: -1}} {
		w.settled(absurd)
	}
}

// A damaged span does not take its neighbours of the same GET with it.
func TestAheadBesideDamage(t *testing.T) {
	inner := memory.New()
	broken := sound(1)
	broken[70] ^= 1
	put(t, inner, base.ObjectID{Session: 7, Number: 1}, sound(1), broken, sound(1), sound(1))
	w := &world{t: t, store: counting.New(inner)}
	w.f = New(Config{Store: w.store, CacheBytes: 1 << 20})
	w.settled(fourth(1, 0), fourth(1, 1), fourth(1, 2))
	w.offsets(fourth(1, 0))
	w.offsets(fourth(1, 2))
	if n := w.gets(); n != 1 {
		t.Errorf("%d GETs for what is sound", n)
	}
	if _, _, _, err := w.f.Read(t.Context(), fourth(1, 1)); !errors.Is(err, base.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

// A reader waits for a load ahead, and asks the store itself if that takes longer than it may.
func TestWaitForALoadAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		delay := time.Second
		w := aheadWorld(t, 1, 1<<20, fault.Options{Latency: func(op objstore.Op, _ string, phase fault.Phase) time.Duration {
			if op == objstore.OpGetRange && phase == fault.Before {
				return delay
			}
			return 0
		}})
		w.f.Ahead([]Request{fourth(1, 0), fourth(1, 1)})
		synctest.Wait()
		began := time.Now()
		w.offsets(fourth(1, 1))
		if n, took := w.gets(), time.Since(began); n != 1 || took != time.Second {
			t.Errorf("%d GETs, %s", n, took)
		}
		delay = 2 * aheadPatience
		w.f.Ahead([]Request{fourth(1, 2)})
		synctest.Wait()
		delay = time.Second
		w.offsets(fourth(1, 2))
		if n, took := w.gets(), time.Since(began); n != 3 || took != time.Second+aheadPatience+time.Second {
			t.Errorf("%d GETs, %s", n, took)
		}
		// Close does not wait for a store that keeps silent.
		delay = time.Hour
		w.f.Ahead([]Request{fourth(1, 3)})
		synctest.Wait()
		began = time.Now()
		w.f.Close()
		if took := time.Since(began); took != 0 {
			t.Errorf("Close took %s", took)
		}
	})
}

// What is taken on is bounded by what one call may have of the cache, and by what readers hold.
func TestAheadIsBounded(t *testing.T) {
	const share = 4 * batchSize // of aheadShare of them
	w := aheadWorld(t, 8, share*aheadShare, fault.Options{})
	var spans []Request
	for n := base.ObjectNumber(1); n <= 8; n++ {
		spans = append(spans, fourth(n, 0))
	}
	w.settled(spans...)
	if n := w.gets(); n != 4 {
		t.Errorf("%d GETs, want the share's 4", n)
	}
	small := aheadWorld(t, 2, 2*(batchSize+2*blockOverhead), fault.Options{})
	small.settled(fourth(1, 0))
	if n := small.gets(); n != 0 {
		t.Errorf("%d GETs into a cache of two spans", n)
	}
	none := aheadWorld(t, 1, -1, fault.Options{})
	none.settled(fourth(1, 0))
	if n := none.gets(); n != 0 {
		t.Errorf("%d GETs without a cache", n)
	}
}

// Readers with more ahead of them than fits do not drop what the others are about to read.
func TestAheadDoesNotThrash(t *testing.T) {
	const cost = batchSize + 2*blockOverhead
	w := aheadWorld(t, 20, 20*cost, fault.Options{})
	for n := base.ObjectNumber(1); n <= 20; n++ { // each by a call of its own
		w.settled(fourth(n, 0))
	}
	if n := w.gets(); n != 10 {
		t.Fatalf("%d GETs ahead of readers, want half a cache of them", n)
	}
	before := w.gets()
	for n := base.ObjectNumber(1); n <= 10; n++ {
		w.offsets(fourth(n, 0))
	}
	if w.gets() != before {
		t.Errorf("%d of them were read again", w.gets()-before)
	}
	// What is never asked for goes when others need the room.
	w.settled(fourth(11, 0))
	for n := base.ObjectNumber(1); n <= 20; n++ {
		for i := range 4 {
			if n != 11 {
				w.offsets(fourth(n, i))
			}
		}
	}
	before = w.gets()
	if w.offsets(fourth(11, 0)); w.gets() != before+1 || w.f.cache.ahead != 0 {
		t.Errorf("what nobody asked for is there still; %d bytes count as ahead", w.f.cache.ahead)
	}
}

// Cold is called for what has to be read and for what was read ahead, once, and not for what readers have used before.
func TestCold(t *testing.T) {
	w := aheadWorld(t, 1, 1<<20, fault.Options{})
	read := func(i, want int) {
		t.Helper()
		called := 0
		r := fourth(1, i)
		r.Cold = func() { called++ }
		if w.offsets(r); called != want {
			t.Errorf("span %d: called %d times, want %d", i, called, want)
		}
	}
	read(0, 1)
	read(0, 0)
	w.settled(fourth(1, 1), fourth(1, 0))
	read(0, 0)
	read(1, 1)
	read(1, 0)
	r := fourth(1, 2)
	r.Cold = func() { w.f.Ahead([]Request{r, fourth(1, 3)}) }
	before := w.gets()
	if w.offsets(r); w.gets() != before+1 {
		t.Errorf("%d GETs for a span that was asked for ahead just before", w.gets()-before)
	}
	w.offsets(fourth(1, 3))
	if w.gets() != before+1 {
		t.Error("its neighbour had to be read")
	}
}

// Loads ahead and readers at once, with a store that fails now and then: in the end all room is free.
func TestAheadAddsUp(t *testing.T) {
	const objects = 20
	rng := rand.New(rand.NewPCG(1, 2))
	limit := int64(40 * (batchSize + 2*blockOverhead))
	w := aheadWorld(t, objects, limit, fault.Options{Hook: func(objstore.Op, string, fault.Phase) error {
		if rng.IntN(20) == 0 {
			return fault.ErrInjected
		}
		return nil
	}})
	var wg sync.WaitGroup
	for seed := range uint64(6) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 1))
			for range 400 {
				n, i := base.ObjectNumber(1+rng.IntN(objects)), rng.IntN(4)
				r := fourth(n, i)
				r.Wait = true
				r.Cold = func() { w.f.Ahead([]Request{r, fourth(n, (i+1)%4), fourth(n%objects+1, i)}) }
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(3000))*time.Microsecond)
				batches, _, lease, err := w.f.Read(ctx, r)
				cancel()
				switch {
				case err == nil && len(batches) == 1:
					lease.Release()
				case errors.Is(err, ErrNoRoom), errors.Is(err, context.DeadlineExceeded), errors.Is(err, base.ErrUnavailable):
				default:
					t.Errorf("%d batches, %v", len(batches), err)
				}
				if size := w.f.cache.size(); size > limit {
					t.Errorf("%d bytes are held, at most %d may be", size, limit)
				}
			}
		})
	}
	wg.Wait()
	w.f.loads.Wait()
	f := w.f
	f.cache.mu.Lock()
	defer f.cache.mu.Unlock()
	if len(f.cache.loads) != 0 || !f.cache.makeRoom(limit) || f.cache.bytes != 0 || f.cache.ahead != 0 {
		t.Errorf("%d loads are under way, %d bytes are held by nobody, %d ahead of nobody", len(f.cache.loads), f.cache.bytes, f.cache.ahead)
	}
}
