package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/golden"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
)

const incarnation = "0123456789abcdef"

// entries makes n entries that need not be decodable: the archive keeps bytes.
func entries(from, n int) []metastore.RawEntry {
	out := make([]metastore.RawEntry, n)
	for i := range out {
		out[i] = metastore.RawEntry{Seq: base.Seq(from + i), Value: fmt.Appendf(nil, "entry %d", from+i)}
	}
	return out
}

// bucket is a bucket whose objects a test may damage.
type bucket struct {
	t     *testing.T
	store *memory.Store
	archive.Objects
}

func newBucket(t *testing.T) *bucket {
	s := memory.New()
	return &bucket{t: t, store: s, Objects: objstore.AsObjects(s)}
}

func (b *bucket) archive(list []metastore.RawEntry) *metalogpb.Pointer {
	b.t.Helper()
	p, err := archive.NewWriter(b, incarnation).Archive(b.t.Context(), list)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bucket) get(key string) []byte {
	b.t.Helper()
	value, err := b.Get(b.t.Context(), key, 1<<30)
	if err != nil {
		b.t.Fatal(err)
	}
	return bytes.Clone(value)
}

func (b *bucket) replace(key string, value []byte) {
	b.t.Helper()
	b.remove(key)
	if err := b.PutIfAbsent(b.t.Context(), key, value); err != nil {
		b.t.Fatal(err)
	}
}

// list is the keys of all objects.
func (b *bucket) list() []string {
	b.t.Helper()
	keys, err := b.List(b.t.Context(), "", "", 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	return keys
}

func (b *bucket) remove(key string) {
	b.t.Helper()
	if err := b.store.Delete(b.t.Context(), key); err != nil {
		b.t.Fatal(err)
	}
}

// read reads on until the archive ends, and checks that what comes is contiguous and as it was written.
func (b *bucket) read(from base.Seq, maxBytes int) base.Seq {
	b.t.Helper()
	for {
		list, err := archive.NewReader(b).Read(b.t.Context(), incarnation, from, maxBytes)
		if err != nil {
			b.t.Fatal(err)
		}
		if len(list) == 0 {
			return from - 1
		}
		for _, e := range list {
			if e.Seq != from || string(e.Value) != fmt.Sprintf("entry %d", from) {
				b.t.Fatalf("seq %d reads as %d, %q", from, e.Seq, e.Value)
			}
			from++
		}
	}
}

// A1, A2: what was archived is read back from any seq on, over objects and over pages of the bucket's list.
func TestRoundTrip(t *testing.T) {
	b := newBucket(t)
	last := 0
	for i := range 1500 { // more objects than one list returns
		n := 1 + i%3
		p := b.archive(entries(last+1, n))
		last += n
		want := metastore.HashOf(fmt.Appendf(nil, "entry %d", last))
		if p.Seq != uint64(last) || !bytes.Equal(p.Hash, want[:]) {
			t.Fatalf("pointer %v after seq %d", p, last)
		}
	}
	for from := 1; from <= last; from += 331 {
		if end := b.read(base.Seq(from), 10_000); end != base.Seq(last) {
			t.Fatalf("read from %d: ends at %d of %d", from, end, last)
		}
	}
	if end := b.read(base.Seq(last+1), 200); end != base.Seq(last) {
		t.Fatalf("beyond the end: %d", end)
	}
}

// An object holds EntriesMax at most, which is how far before a seq a reader looks for it.
func TestObjectsAreBounded(t *testing.T) {
	b := newBucket(t)
	all := entries(1, 3*archive.EntriesMax)
	for done := 0; done < len(all); {
		p := b.archive(all[done:])
		if p.Seq != uint64(done+archive.EntriesMax) {
			t.Fatalf("one object goes to seq %d from %d", p.Seq, done+1)
		}
		done = int(p.Seq)
	}
	for _, from := range []base.Seq{1, archive.EntriesMax, archive.EntriesMax + 1, 2 * archive.EntriesMax, 2*archive.EntriesMax + 1, 3 * archive.EntriesMax} {
		if end := b.read(from, 1<<30); end != 3*archive.EntriesMax {
			t.Fatalf("read from %d: ends at %d", from, end)
		}
	}
}

// What is archived can be read: an object holds 32 MiB of entries at most, or one entry.
func TestObjectsAreBoundedInBytes(t *testing.T) {
	b := newBucket(t)
	all := make([]metastore.RawEntry, 5)
	for i := range all {
		all[i] = metastore.RawEntry{Seq: base.Seq(i + 1), Value: make([]byte, []int{20 << 20, 12 << 20, 1, 33 << 20, 1}[i])}
	}
	var ends []uint64
	for done := 0; done < len(all); {
		p := b.archive(all[done:])
		ends, done = append(ends, p.Seq), int(p.Seq)
	}
	got, err := archive.NewReader(b).Read(t.Context(), incarnation, 1, 1<<30)
	if err != nil || len(got) != len(all) || !slices.Equal(ends, []uint64{2, 3, 4, 5}) {
		t.Fatalf("objects end at %v; %d entries are read: %v", ends, len(got), err)
	}
}

// A1: a PUT whose answer was lost is settled by what is there; another content under the name is never taken for it.
func TestPutAgain(t *testing.T) {
	ctx := t.Context()
	store := fault.New(memory.New(), fault.Options{})
	o := objstore.AsObjects(store)
	lost := 0
	store.SetHook(func(op objstore.Op, _ string, phase fault.Phase) error {
		if op == objstore.OpPut && phase == fault.After && lost == 0 {
			lost++
			return fault.ErrInjected
		}
		return nil
	})
	w := archive.NewWriter(o, incarnation)
	if _, err := w.Archive(ctx, entries(1, 3)); err != nil || lost != 1 {
		t.Fatalf("after a lost answer: %v", err)
	}
	other := entries(1, 3)
	other[1].Value = []byte("of another leader")
	if _, err := w.Archive(ctx, other); !errors.Is(err, archive.ErrOther) {
		t.Fatalf("another content under the same name: %v", err)
	}
}

// A hole in the archive ends it: a reader never jumps.
func TestMissingObject(t *testing.T) {
	b := newBucket(t)
	b.archive(entries(1, 3))
	gone := b.archive(entries(4, 3))
	b.archive(entries(7, 3))
	b.remove(gone.Object)
	if end := b.read(1, 1<<20); end != 3 {
		t.Fatalf("over a hole: %d", end)
	}
}

// A2: one flipped bit anywhere in an archived log is found, and told from a version that this build does not know.
func TestDamagedLog(t *testing.T) {
	b := newBucket(t)
	p := b.archive(entries(1, 3))
	good := b.get(p.Object)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		b.replace(p.Object, bad)
		want := base.ErrCorrupt
		if i == 8 || i == 9 {
			want = base.ErrVersion
		}
		if _, err := archive.NewReader(b).Read(t.Context(), incarnation, 1, 1<<20); !errors.Is(err, want) {
			t.Errorf("a bit of byte %d: %v, want %v", i, err, want)
		}
	}
	for n := range good {
		b.replace(p.Object, good[:n])
		if _, err := archive.NewReader(b).Read(t.Context(), incarnation, 1, 1<<20); !errors.Is(err, base.ErrCorrupt) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

// A2: an object is what its name says: neither of another incarnation nor of other entries.
func TestForeignLog(t *testing.T) {
	b := newBucket(t)
	p := b.archive(entries(1, 3))
	other, err := archive.NewWriter(b, "fedcba9876543210").Archive(t.Context(), entries(1, 3))
	if err != nil {
		t.Fatal(err)
	}
	shifted := b.get(b.archive(entries(4, 3)).Object)
	for name, value := range map[string][]byte{"of another incarnation": b.get(other.Object), "of other entries": shifted} {
		b.replace(p.Object, value)
		if _, err := archive.NewReader(b).Read(t.Context(), incarnation, 1, 1<<20); !errors.Is(err, base.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A2: a snapshot and a blob are proved by their SHA-256, so that one flipped bit is found wherever it is.
func TestSnapshotsAndBlobs(t *testing.T) {
	ctx, b := context.Background(), newBucket(t)
	payload := bytes.Repeat([]byte("state "), 50)
	p, err := archive.PutSnapshot(ctx, b, incarnation, 7, metastore.Hash{1}, payload)
	if err != nil || p.Seq != 7 || p.Hash[0] != 1 {
		t.Fatalf("%v, %v", p, err)
	}
	h, err := archive.PutBlob(ctx, b, payload)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := archive.PutBlob(ctx, b, payload); err != nil {
		t.Fatalf("a blob again: %v", err)
	}
	for key, read := range map[string]func() ([]byte, error){
		p.Object:           func() ([]byte, error) { return archive.GetSnapshot(ctx, b, p) },
		archive.BlobKey(h): func() ([]byte, error) { return archive.GetBlob(ctx, b, h) },
	} {
		if got, err := read(); err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("%s: %v", key, err)
		}
		good := b.get(key)
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 1
			b.replace(key, bad)
			if _, err := read(); !errors.Is(err, base.ErrCorrupt) {
				t.Fatalf("%s, a bit of byte %d: %v", key, i, err)
			}
		}
		b.remove(key)
		if _, err := read(); !errors.Is(err, base.ErrNotFound) {
			t.Errorf("%s, when it is gone: %v", key, err)
		}
	}
}

// TestGolden pins the bytes of a log object: they are in buckets.
func TestGolden(t *testing.T) {
	b := newBucket(t)
	d := golden.NewDump(b.get(b.archive(entries(16, 2)).Object))
	d.Field(8, "magic")
	d.Field(2, "format version")
	d.Field(2, "length of the incarnation's name")
	d.Field(16, "incarnation")
	d.Field(8, "first seq")
	d.Field(8, "last seq")
	for range 2 {
		d.Field(4, "length of an entry")
		d.Field(8, "the entry as it stands in the log")
	}
	d.Field(4, "CRC-32C of all before")
	golden.Compare(t, filepath.Join("testdata", "v1", "log.hex"), d.String())
}

func TestGoldenIsReadable(t *testing.T) {
	b := newBucket(t)
	b.replace("meta/log/"+incarnation+"/0000000000000010", golden.Read(t, filepath.Join("testdata", "v1", "log.hex")))
	if end := b.read(16, 1<<20); end != 17 {
		t.Fatalf("ends at %d", end)
	}
}
