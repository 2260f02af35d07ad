package fetcher

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/counting"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const batchSize = batch.HeaderSize + 39

// sound returns a batch of n records and batchSize bytes.
func sound(n int) []byte {
	b := make([]byte, batchSize)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	b[16] = 2
	binary.BigEndian.PutUint32(b[23:], uint32(n-1))
	binary.BigEndian.PutUint32(b[57:], uint32(n))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	return b
}

var object = base.ObjectID{Session: 1, Number: 2}

const position = 48

type world struct {
	t     *testing.T
	store *counting.Store
	f     *Fetcher
}

// newWorld has an object with a span of batches of 1, 2, 3 records at position, from offset 100 on.
func newWorld(t *testing.T, cacheBytes int64, faults fault.Options) *world {
	t.Helper()
	inner := memory.New()
	put(t, inner, object, sound(1), sound(2), sound(3))
	w := &world{t: t, store: counting.New(fault.New(inner, faults))}
	w.f = New(Config{Store: w.store, CacheBytes: cacheBytes})
	return w
}

func put(t *testing.T, s objstore.Store, id base.ObjectID, batches ...[]byte) {
	t.Helper()
	payload := append(objstore.Payload{make([]byte, position)}, batches...)
	if err := s.Put(t.Context(), id.Key(), payload); err != nil {
		t.Fatal(err)
	}
}

func (w *world) gets() int64 { return w.store.Snapshot().Of(objstore.OpGetRange).Calls }

func span(change func(r *Request)) Request {
	r := Request{Object: object, Position: position, Length: 3 * batchSize, Base: 100, From: 100, MaxBytes: 1 << 20, Epoch: 9}
	if change != nil {
		change(&r)
	}
	return r
}

func (w *world) offsets(r Request) []base.Offset {
	w.t.Helper()
	batches, next, lease, err := w.f.Read(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer lease.Release()
	var out []base.Offset
	after := r.From
	for _, b := range batches {
		h, rest, err := batch.Parse(b)
		if err != nil || len(rest) != 0 || !batch.CheckCRC(h, b) || h.LeaderEpoch != r.Epoch {
			w.t.Fatalf("batch %+v, %d bytes more, %v", h, len(rest), err)
		}
		out = append(out, h.BaseOffset)
		after = h.BaseOffset + base.Offset(h.LastOffsetDelta) + 1
	}
	if next != after {
		w.t.Fatalf("next is %d after batches up to %d", next, after)
	}
	return out
}

func TestReadLimits(t *testing.T) {
	w := newWorld(t, 0, fault.Options{})
	for _, c := range []struct {
		name   string
		change func(r *Request)
		want   []base.Offset
	}{
		{"all", nil, []base.Offset{100, 101, 103}},
		{"from within a batch", func(r *Request) { r.From = 102 }, []base.Offset{101, 103}},
		{"from its last offset", func(r *Request) { r.From = 105 }, []base.Offset{103}},
		{"from behind the span", func(r *Request) { r.From = 106 }, nil},
		{"from before the span", func(r *Request) { r.From = 3 }, []base.Offset{100, 101, 103}},
		{"exactly two", func(r *Request) { r.MaxBytes = 2 * batchSize }, []base.Offset{100, 101}},
		{"less than two", func(r *Request) { r.MaxBytes = 2*batchSize - 1 }, []base.Offset{100}},
		{"less than one", func(r *Request) { r.MaxBytes = 1 }, nil},
		{"at least one", func(r *Request) { r.MaxBytes, r.AtLeastOne, r.From = 1, true, 101 }, []base.Offset{101}},
		{"at least one, two fit", func(r *Request) { r.MaxBytes, r.AtLeastOne = 2*batchSize, true }, []base.Offset{100, 101}},
	} {
		got := w.offsets(span(c.change))
		if len(got) != len(c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: got %v, want %v", c.name, got, c.want)
			}
		}
	}
	if n := w.gets(); n != 1 {
		t.Errorf("%d GETs, want 1 cold and none warm", n)
	}
}

// F5: the same place asked for with another base, epoch or length is another block.
func TestOtherPlacement(t *testing.T) {
	w := newWorld(t, 0, fault.Options{})
	w.offsets(span(nil))
	if got := w.offsets(span(func(r *Request) { r.Base, r.From, r.Epoch = 500, 500, 17 })); got[2] != 503 {
		t.Errorf("got %v", got)
	}
	if got := w.offsets(span(func(r *Request) { r.Length = 2 * batchSize })); len(got) != 2 {
		t.Errorf("a span that was cut short has %v", got)
	}
	if got := w.offsets(span(nil)); got[0] != 100 || w.gets() != 4 {
		t.Errorf("got %v after %d GETs", got, w.gets())
	}
}

func TestBadBytes(t *testing.T) {
	w := newWorld(t, 0, fault.Options{})
	inner := memory.New()
	broken := sound(1)
	broken[70] ^= 1
	put(t, inner, object, sound(1), broken, sound(1))
	f := New(Config{Store: inner})
	for _, c := range []struct {
		name string
		f    *Fetcher
		r    Request
		want error
	}{
		{"wrong CRC", f, span(nil), base.ErrCorrupt},
		{"cut within a batch", w.f, span(func(r *Request) { r.Length-- }), base.ErrCorrupt},
		{"behind the end", w.f, span(func(r *Request) { r.Length += batchSize }), base.ErrCorrupt},
		{"no length", w.f, span(func(r *Request) { r.Length = 0 }), base.ErrCorrupt},
		{"absurd length", w.f, span(func(r *Request) { r.Length = 1 << 50 }), base.ErrCorrupt},
		{"no object", w.f, span(func(r *Request) { r.Object.Number = 77 }), base.ErrNotFound},
	} {
		_, _, _, err := c.f.Read(t.Context(), c.r)
		if !errors.Is(err, c.want) || !bytes.Contains([]byte(err.Error()), []byte(c.r.Object.String())) {
			t.Errorf("%s: got %v, want %v with the object's name", c.name, err, c.want)
		}
	}
}

// F3.
func TestBoundedCache(t *testing.T) {
	inner := memory.New()
	store := counting.New(inner)
	cost := int64(batchSize + 2*blockOverhead)
	f := New(Config{Store: store, CacheBytes: 3 * cost})
	read := func(n base.ObjectNumber) {
		t.Helper()
		r := Request{Object: base.ObjectID{Session: 5, Number: n}, Position: position, Length: batchSize, MaxBytes: 1 << 20}
		got, _, lease, err := f.Read(t.Context(), r)
		if err != nil || len(got) != 1 {
			t.Fatal(len(got), err)
		}
		lease.Release()
		if f.cache.size() > 3*cost {
			t.Fatalf("the cache holds %d bytes, the limit is %d", f.cache.size(), 3*cost)
		}
	}
	for n := base.ObjectNumber(1); n <= 4; n++ {
		put(t, inner, base.ObjectID{Session: 5, Number: n}, sound(1))
	}
	for _, n := range []base.ObjectNumber{1, 2, 3, 1, 4, 1, 3, 2} { // 4 puts 2 out, not 1
		read(n)
	}
	if n := store.Snapshot().Of(objstore.OpGetRange).Calls; n != 5 {
		t.Errorf("%d GETs, want 5", n)
	}
	w := newWorld(t, 10, fault.Options{})
	if got := w.offsets(span(nil)); len(got) != 3 || w.f.cache.size() != 0 {
		t.Errorf("a block above the limit: got %v, held %d", got, w.f.cache.size())
	}
}

// F4: one GET for many; and when the first one's patience ends, another takes over.
func TestSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0, fault.Options{Latency: func(op objstore.Op, _ string, phase fault.Phase) time.Duration {
			if op == objstore.OpGetRange && phase == fault.Before {
				return time.Second
			}
			return 0
		}})
		impatient, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, _, _, err := w.f.Read(impatient, span(nil)); err == nil {
				t.Error("the reader whose ctx ended got no error")
			}
		})
		synctest.Wait()
		for range 20 {
			wg.Go(func() {
				if got, _, _, err := w.f.Read(t.Context(), span(nil)); err != nil || len(got) != 3 {
					t.Errorf("got %d batches, %v", len(got), err)
				}
			})
		}
		wg.Wait()
		if n := w.gets(); n != 2 {
			t.Errorf("%d GETs, want 1 given up and 1 for all", n)
		}
	})
}

// A reader that ended while it waited for room neither asks the store nor makes a buffer: of hundreds that hang up at once each would make one.
func TestNothingIsReadForNobody(t *testing.T) {
	w := newWorld(t, 1<<20, fault.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, lease, err := w.f.Read(ctx, span(nil))
	if !errors.Is(err, context.Canceled) || w.gets() != 0 || w.f.cache.size() != 0 {
		t.Fatalf("%v; %d reads of the store, %d bytes held", err, w.gets(), w.f.cache.size())
	}
	lease.Release()
	if got := w.offsets(span(nil)); len(got) == 0 || w.gets() != 1 {
		t.Errorf("offsets %v, %d reads of the store", got, w.gets())
	}
}

func TestErrorsAreNotCached(t *testing.T) {
	fail := true
	w := newWorld(t, 0, fault.Options{Hook: func(op objstore.Op, _ string, _ fault.Phase) error {
		if op == objstore.OpGetRange && fail {
			return fault.ErrInjected
		}
		return nil
	}})
	if _, _, _, err := w.f.Read(t.Context(), span(nil)); !errors.Is(err, base.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	fail = false
	w.offsets(span(nil))
}

// F3: what readers hold counts until they release it, in the table or not. Who holds nothing waits for room, others are told.
func TestHeldMemoryCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memory.New()
		cost := int64(batchSize + 2*blockOverhead)
		f := New(Config{Store: inner, CacheBytes: 2 * cost})
		request := func(n base.ObjectNumber) Request {
			return Request{Object: base.ObjectID{Session: 5, Number: n}, Position: position, Length: batchSize, MaxBytes: 1 << 20}
		}
		for n := base.ObjectNumber(1); n <= 3; n++ {
			put(t, inner, request(n).Object, sound(1))
		}
		read := func(n base.ObjectNumber) Lease {
			t.Helper()
			_, _, lease, err := f.Read(t.Context(), request(n))
			if err != nil {
				t.Fatal(err)
			}
			return lease
		}
		one, two := read(1), read(2)
		if _, _, _, err := f.Read(t.Context(), request(3)); !errors.Is(err, ErrNoRoom) {
			t.Fatalf("all is held: %v", err)
		}
		again := read(1) // what is there is there for everybody
		patient := request(3)
		patient.Wait = true
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, _, err := f.Read(impatient, patient); !errors.Is(err, ErrNoRoom) {
			t.Fatalf("nothing was released: %v", err)
		}
		came := false
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _, lease, err := f.Read(t.Context(), patient)
			if came = err == nil; !came {
				t.Error(err)
			}
			lease.Release()
		})
		one.Release()
		synctest.Wait()
		if came {
			t.Error("there was room while a second reader held the block")
		}
		again.Release()
		wg.Wait()
		two.Release()
		if size := f.cache.size(); size > 2*cost {
			t.Errorf("%d bytes are counted in the end", size)
		}
	})
}

// Readers of all kinds at once: in the end nothing is held, and at no time more than the cache may have.
func TestLeasesAddUp(t *testing.T) {
	inner := memory.New()
	cost := int64(batchSize + 2*blockOverhead)
	limit := 5 * cost
	f := New(Config{Store: inner, CacheBytes: limit})
	for n := base.ObjectNumber(1); n <= 20; n++ {
		put(t, inner, base.ObjectID{Session: 5, Number: n}, sound(1))
	}
	var wg sync.WaitGroup
	for seed := range uint64(8) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 1))
			for range 500 {
				var held []Lease
				for range 1 + rng.IntN(3) {
					r := Request{Object: base.ObjectID{Session: 5, Number: base.ObjectNumber(1 + rng.IntN(20))}, Position: position, Length: batchSize, MaxBytes: 1 << 20}
					r.Wait = len(held) == 0
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(3000))*time.Microsecond)
					batches, _, lease, err := f.Read(ctx, r)
					cancel()
					switch {
					case err == nil && len(batches) == 1:
						held = append(held, lease)
					case errors.Is(err, ErrNoRoom), errors.Is(err, context.DeadlineExceeded):
					default:
						t.Errorf("%d batches, %v", len(batches), err)
					}
					if size := f.cache.size(); size > limit {
						t.Errorf("%d bytes are held, at most %d may be", size, limit)
					}
				}
				for _, l := range held {
					l.Release()
				}
			}
		})
	}
	wg.Wait()
	f.cache.mu.Lock()
	defer f.cache.mu.Unlock()
	if !f.cache.makeRoom(limit) || f.cache.bytes != 0 {
		t.Errorf("%d bytes are held by nobody", f.cache.bytes)
	}
}
