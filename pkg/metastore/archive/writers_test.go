package archive_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
)

// A3, the first walk: whoever archives what is there already goes on behind it, wherever that ends.
func TestAdopted(t *testing.T) {
	for _, there := range []int{30, 45, 60} { // is archived up to; 24 to 45 is to be
		b := newBucket(t)
		b.archive(entries(1, 23))
		first := b.archive(entries(24, there-23))
		if p := b.archive(entries(24, 22)); p.Seq != uint64(there) || !bytes.Equal(p.Hash, first.Hash) || p.Object != first.Object {
			t.Fatalf("the archive reaches %d: %v", there, p)
		}
		for from := base.Seq(1); from <= base.Seq(there); from++ {
			for _, maxBytes := range []int{1, 300, 1 << 20} {
				if end := b.read(from, maxBytes); end != base.Seq(there) {
					t.Fatalf("from %d: ends at %d of %d", from, end, there)
				}
			}
		}
	}
}

// another is what another history has from seq `from` on.
func another(from, n int) []metastore.RawEntry {
	out := entries(from, n)
	for i := range out {
		out[i].Value = fmt.Appendf(nil, "other %d", from+i)
	}
	return out
}

// A3, the second walk: of two histories the archive has the one that came first, from any length of either on.
func TestTwoHistories(t *testing.T) {
	for _, n := range [][2]int{{1, 1}, {1, 30}, {30, 1}, {30, 30}} {
		for _, common := range []int{0, 5} { // so many of what is to be archived are in both
			b := newBucket(t)
			b.archive(entries(1, 25))
			b.archive(entries(26, common+n[0]))
			second := append(entries(26, common), another(26+common, n[1])...)
			if _, err := archive.NewWriter(b, incarnation).Archive(t.Context(), second); !errors.Is(err, archive.ErrOther) {
				t.Fatalf("%v, %d in common: %v", n, common, err)
			}
			if end := b.read(1, 1<<20); end != base.Seq(25+common+n[0]) {
				t.Fatalf("%v, %d in common: the archive ends at %d", n, common, end)
			}
		}
	}
}

// A3: many write two histories at once, each from an end of an object that it knows, in objects of any length, with answers lost and PUTs
// that come late. What the archive has is one of the two, without a gap or an overlap, and what a writer was told is there.
func TestManyWriters(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		store := memory.New()
		faulty := fault.New(store, fault.Options{Hook: func(op objstore.Op, _ string, phase fault.Phase) error {
			switch {
			case rng.IntN(10) == 0:
				return fault.ErrInjected
			case op == objstore.OpPut && phase == fault.Before && rng.IntN(6) == 0:
				return fault.ErrLate
			}
			return nil
		}})
		histories := [2][]metastore.RawEntry{entries(1, 400), append(entries(1, 25), another(26, 375)...)}
		writers := [6]struct{ at, other int }{}
		for range 300 {
			i := rng.IntN(len(writers))
			w, history := &writers[i], histories[i%2]
			if w.at == 400 || w.other > 0 {
				continue
			}
			p, err := archive.NewWriter(objstore.AsObjects(faulty), incarnation).Archive(t.Context(), history[w.at:min(400, w.at+1+rng.IntN(12))])
			if err == nil { // who is told of more than it has given looks whether it has that
				if hash := metastore.HashOf(history[p.Seq-1].Value); !bytes.Equal(hash[:], p.Hash) {
					err = archive.ErrOther
				}
			}
			switch {
			case err == nil:
				w.at = int(p.Seq)
			case errors.Is(err, archive.ErrOther):
				w.other = w.at + 1
			}
			if rng.IntN(20) == 0 {
				if _, err := faulty.Land(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if rng.IntN(30) == 0 {
				w.at = 0 // a leader that begins anew, by a pointer of long ago
			}
		}
		b := &bucket{t: t, store: store, Objects: objstore.AsObjects(store)}
		all, err := archive.NewReader(b).Read(t.Context(), incarnation, 1, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		which := -1
		for i, h := range histories {
			if len(all) > 25 && bytes.Equal(all[25].Value, h[25].Value) {
				which = i
			}
		}
		if which < 0 {
			t.Fatalf("seed %d: %d entries", seed, len(all))
		}
		for i, e := range all {
			if e.Seq != base.Seq(i+1) || !bytes.Equal(e.Value, histories[which][i].Value) {
				t.Fatalf("seed %d: entry %d is %d, %q of another history", seed, i+1, e.Seq, e.Value)
			}
		}
		for i, w := range writers {
			if w.at > 25 && i%2 != which || w.at > len(all) || w.other > 0 && i%2 == which {
				t.Fatalf("seed %d: the archive has history %d up to %d; writer %d of the other or of it is at %d, and has met another at %d", seed, which, len(all), i, w.at, w.other)
			}
		}
		if end, err := archive.NewReader(b).End(t.Context(), incarnation); err != nil || int(end) != len(all) || len(b.list()) != objects(t, b, len(all)) {
			t.Fatalf("seed %d: the end is %d of %d, %v; there are %d objects", seed, end, len(all), err, len(b.list()))
		}
	}
}

// objects counts the objects from one end to the next, up to entry `end`: none lies between them.
func objects(t *testing.T, b *bucket, end int) (n int) {
	t.Helper()
	for from := 1; from <= end; n++ {
		all, err := archive.NewReader(b).Read(t.Context(), incarnation, base.Seq(from), 1)
		if err != nil || len(all) == 0 {
			t.Fatalf("from %d: %v", from, err)
		}
		from += len(all)
	}
	return n
}

// What lies beyond etcd's head is found wherever the pointer is; what lies below the pointer is not read for it.
func TestBeyond(t *testing.T) {
	b := newBucket(t)
	for from := 1; from < 30; from += 10 {
		b.archive(entries(from, 10))
	}
	last := b.list()[2]
	for _, x := range []struct {
		pointer, head, want base.Seq
		damaged             bool
	}{{20, 20, 30, false}, {20, 25, 30, false}, {30, 25, 30, false}, {0, 25, 30, false}, {20, 30, 0, false}, {30, 30, 0, false}, {30, 35, 0, false}, {30, 30, 0, true}} {
		if x.damaged {
			b.replace(last, []byte("damaged"))
		}
		at := metastore.Position{Incarnation: incarnation, Head: metastore.Head{Seq: x.head}, Archive: &metalogpb.Pointer{Seq: uint64(x.pointer)}}
		if name, end, err := archive.NewReader(b).Beyond(t.Context(), at); err != nil || end != x.want || (name != "") != (end > 0) {
			t.Errorf("pointer at %d, head at %d: %q, %d, %v, want %d", x.pointer, x.head, name, end, err, x.want)
		}
	}
	at := metastore.Position{Incarnation: incarnation, Head: metastore.Head{Seq: 30}, Archive: &metalogpb.Pointer{Seq: 20}}
	if _, _, err := archive.NewReader(b).Beyond(t.Context(), at); !errors.Is(err, base.ErrCorrupt) {
		t.Errorf("a damaged object behind the pointer: %v", err)
	}
}
