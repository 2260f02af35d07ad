package fetcher

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
)

// wrote has a span of one batch kept, which the bucket does not hold, and returns the request for it.
func (w *world) wrote(n base.ObjectNumber) Request {
	w.t.Helper()
	c := w.f.Copy(objstore.Payload{sound(1)})
	if c == nil {
		w.t.Fatal("no room for a span that was written")
	}
	r := span(func(r *Request) { r.Object, r.Length = base.ObjectID{Session: 9, Number: n}, batchSize })
	c.Stored(r.Object, r.Position)
	return r
}

func TestWritten(t *testing.T) {
	w := newWorld(t, 0, fault.Options{})
	one, two := sound(1), sound(2)
	c := w.f.Copy(objstore.Payload{one, two})
	clear(one) // the writer's again
	r := span(func(r *Request) {
		r.Object, r.Length = base.ObjectID{Session: 9, Number: 1}, 2*batchSize
		r.Cold = func() { t.Error("what was written is read ahead") }
	})
	c.Stored(r.Object, r.Position)
	w.settled(r)
	for range 2 { // the first reader takes it, and it is in the cache then
		if got := w.offsets(r); len(got) != 2 || got[1] != 101 || w.gets() != 0 {
			t.Fatalf("got %v after %d GETs, want 100 and 101 without any", got, w.gets())
		}
	}
}

// Somebody asks for a part of what was written as one: the metalog has not accepted all of it. The bucket is asked.
func TestWrittenAndNotAccepted(t *testing.T) {
	w := newWorld(t, 0, fault.Options{})
	w.f.Copy(objstore.Payload{sound(1), sound(2)}).Stored(object, position)
	if got := w.offsets(span(nil)); len(got) != 3 || w.gets() != 1 {
		t.Errorf("got %v after %d GETs", got, w.gets())
	}
}

// What was damaged in memory is not shown, and the bucket is asked.
func TestWrittenAndDamaged(t *testing.T) {
	w := newWorld(t, 0, fault.Options{})
	bad := sound(3)
	bad[batchSize-1]++
	w.f.Copy(objstore.Payload{sound(1), sound(2), bad}).Stored(object, position)
	if got := w.offsets(span(nil)); len(got) != 3 || w.gets() != 1 {
		t.Errorf("got %v after %d GETs", got, w.gets())
	}
}

// F7: no more than the share of the cache is held, and the oldest goes first.
func TestWrittenIsBounded(t *testing.T) {
	cost := writtenCost(batchSize)
	w := newWorld(t, 2*writtenShare*cost, fault.Options{}) // two spans
	first, second := w.wrote(1), w.wrote(2)
	third := w.wrote(3)
	if _, _, _, err := w.f.Read(t.Context(), first); err == nil {
		t.Error("the oldest is still there")
	}
	w.offsets(third)
	w.offsets(second)
	if w.f.cache.writtenBytes != 0 {
		t.Errorf("%d bytes are counted for what was read", w.f.cache.writtenBytes)
	}
	a, b := w.f.Copy(objstore.Payload{sound(1)}), w.f.Copy(objstore.Payload{sound(1)})
	if a == nil || b == nil || w.f.Copy(objstore.Payload{sound(1)}) != nil {
		t.Error("more is copied than there is room for")
	}
	a.Drop()
	b.Drop()
	if w.f.Copy(objstore.Payload{make([]byte, 4*batchSize)}) != nil {
		t.Error("a span above the share is copied")
	}
	if n := New(Config{Store: memory.New(), CacheBytes: -1}).Copy(objstore.Payload{sound(1)}); n != nil {
		t.Error("a span is copied without a cache")
	}
}

// Who needs room gets that of spans which were written and not read, after that of blocks which nobody holds.
func TestWrittenMakesRoom(t *testing.T) {
	w := newWorld(t, 4*writtenShare*batchSize, fault.Options{})
	one := w.wrote(1)
	w.offsets(span(nil))
	c := w.f.cache
	c.mu.Lock()
	fits := c.makeRoom(c.max - c.writtenBytes)
	kept := c.writtenOrder.Len()
	c.mu.Unlock()
	if !fits || kept != 1 {
		t.Errorf("room without what was written: %t, with %d spans of it left", fits, kept)
	}
	c.mu.Lock()
	fits = c.makeRoom(c.max)
	c.mu.Unlock()
	if _, _, _, err := w.f.Read(t.Context(), one); !fits || err == nil {
		t.Errorf("all room: %t, and what was written is read with the error %v", fits, err)
	}
}

// Writers and readers at once: no more is held than the cache may have, and nothing in the end.
func TestWrittenAddsUp(t *testing.T) {
	inner := memory.New()
	limit := 12 * writtenCost(batchSize)
	f := New(Config{Store: inner, CacheBytes: limit})
	var wg sync.WaitGroup
	for seed := range uint64(6) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 2))
			for i := range base.ObjectNumber(500) {
				id := base.ObjectID{Session: base.SessionID(seed + 1), Number: i + 1}
				c := f.Copy(objstore.Payload{sound(1)})
				if err := inner.Put(context.Background(), id.Key(), objstore.Payload{make([]byte, position), sound(1)}); err != nil {
					t.Error(err)
				}
				switch {
				case c == nil:
				case rng.IntN(4) == 0:
					c.Drop()
				default:
					c.Stored(id, position)
				}
				r := Request{Object: id, Position: position, Length: batchSize, MaxBytes: 1 << 20, Wait: true}
				if rng.IntN(3) > 0 {
					_, _, lease, err := f.Read(context.Background(), r)
					if err != nil {
						t.Error(err)
					}
					lease.Release()
				}
				if size := f.cache.size(); size > limit {
					t.Errorf("%d bytes are held, at most %d may be", size, limit)
				}
			}
		})
	}
	wg.Wait()
	f.cache.mu.Lock()
	defer f.cache.mu.Unlock()
	if !f.cache.makeRoom(limit) || f.cache.bytes != 0 || f.cache.writtenBytes != 0 || len(f.cache.written) != 0 {
		t.Errorf("%d bytes are held by nobody, %d of them written", f.cache.bytes, f.cache.writtenBytes)
	}
}
