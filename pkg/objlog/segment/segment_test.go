package segment

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/counting"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
)

func TestBuildAndVerify(t *testing.T) {
	built := three(t)
	object := built.Payload.Bytes()
	if int64(len(object)) != built.Size {
		t.Fatalf("Size %d, the payload has %d bytes", built.Size, len(object))
	}
	h, extents, err := Verify(object)
	if err != nil {
		t.Fatal(err)
	}
	if h != testHeader {
		t.Errorf("header %+v, want %+v", h, testHeader)
	}
	want := []Place{{2, 0}, {1, 0}, {0, 0}, {1, 1}}
	if !slices.Equal(built.Order, want) {
		t.Errorf("order %v, want %v", built.Order, want)
	}
	var got []base.TopicPartition
	for i, e := range extents {
		got = append(got, e.partition())
		m := built.Extents[i]
		if m.Position != e.Position || m.Length != e.Length || m.Partition != e.Partition || len(m.Batches) != len(e.Batches) {
			t.Errorf("extent %d: the commit says %v, the footer %+v", i, m, e)
		}
	}
	if !slices.IsSortedFunc(got, base.TopicPartition.Compare) || len(got) != 3 {
		t.Errorf("extents %v", got)
	}
	b := built.Extents[1].Batches
	if b[0].BaseSequence != 10 || b[1].BaseSequence != 12 || b[0].Transactional || !b[1].Transactional || b[0].Records != 2 {
		t.Errorf("batches of aa-5: %v", b)
	}
}

// G1, and that Build refers to the batches instead of copying them.
func TestBuildKeepsBytes(t *testing.T) {
	in := sample{topic: 1, records: 3, producer: -1, value: 'q'}.batch(t)
	before := bytes.Clone(in.Bytes)
	built := Build(testHeader, []Batch{in})
	if len(built.Payload) != 3 || &built.Payload[1][0] != &in.Bytes[0] {
		t.Fatal("the payload holds a copy of the batch")
	}
	if !bytes.Equal(before, in.Bytes) {
		t.Fatal("the batch was changed")
	}
}

func TestBuildNothing(t *testing.T) {
	built := Build(testHeader, nil)
	if _, extents, err := Verify(built.Payload.Bytes()); err != nil || len(extents) != 0 {
		t.Fatalf("%v, %v", extents, err)
	}
}

// Every bit of an object is covered by a check, but for the offset and the leader epoch of a batch, which lie outside
// Kafka's CRC and the digest, and which readers write themselves.
func TestVerifyFindsEveryFlippedBit(t *testing.T) {
	object := three(t).Payload.Bytes()
	_, extents, err := Verify(object)
	if err != nil {
		t.Fatal(err)
	}
	patched := map[int]bool{}
	for _, e := range extents {
		at := int(e.Position)
		for _, x := range e.Batches {
			for _, i := range []int{0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15} {
				patched[at+i] = true
			}
			at += int(x.Length)
		}
	}
	for i := range object {
		for bit := range 8 {
			object[i] ^= 1 << bit
			_, _, err := Verify(object)
			object[i] ^= 1 << bit
			switch {
			case patched[i] && err != nil:
				t.Fatalf("byte %d is not of the digest, and yet: %v", i, err)
			case !patched[i] && err == nil:
				t.Fatalf("bit %d of byte %d flipped and not found", bit, i)
			case err != nil && !errors.Is(err, base.ErrCorrupt) && !errors.Is(err, base.ErrVersion):
				t.Fatalf("byte %d: %v is neither corruption nor version", i, err)
			case errors.Is(err, base.ErrVersion) && i != 8 && i != 9 && (i < len(object)-16 || i > len(object)-15):
				t.Fatalf("byte %d: %v", i, err)
			}
		}
	}
}

func TestVerifyFindsTruncation(t *testing.T) {
	object := three(t).Payload.Bytes()
	for n := range object {
		if _, _, err := Verify(object[:n]); !errors.Is(err, base.ErrCorrupt) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if _, _, err := Verify(append(slices.Clone(object), 0)); !errors.Is(err, base.ErrCorrupt) {
		t.Fatalf("a byte too many: %v", err)
	}
}

// G3.
func TestUnknownVersionIsNotCorruption(t *testing.T) {
	for name, at := range map[string]func(o []byte) []byte{
		"header":  func(o []byte) []byte { return o[8:10] },
		"trailer": func(o []byte) []byte { return o[len(o)-16 : len(o)-14] },
	} {
		object := three(t).Payload.Bytes()
		binary.BigEndian.PutUint16(at(object), 2)
		if _, _, err := Verify(object); !errors.Is(err, base.ErrVersion) || errors.Is(err, base.ErrCorrupt) {
			t.Errorf("version 2 in the %s: %v", name, err)
		}
	}
}

// reseal makes the CRCs right again after a change of the footer, so that only its contents are wrong.
func reseal(object []byte, change func(footer []byte)) {
	end := len(object) - TrailerSize
	n := int(binary.BigEndian.Uint32(object[end+8:]))
	change(object[end-n : end])
	copy(object[end:], appendTrailer(nil, object[end-n:end], int64(end-n)))
}

// G4: footers that lie under a right CRC.
func TestLyingFooters(t *testing.T) {
	put32 := func(at int, v uint32) func([]byte) { return func(f []byte) { binary.BigEndian.PutUint32(f[at:], v) } }
	const firstBatch = footerCountSize + extentEntrySize
	cases := map[string]func([]byte){
		"too many extents":        put32(0, 1<<31),
		"too few extents":         put32(0, 2),
		"too many batches":        put32(footerCountSize+36, 1<<31),
		"no batches":              put32(footerCountSize+36, 0),
		"negative batch":          put32(firstBatch, 0xffffff00),
		"tiny batch":              put32(firstBatch, batch.HeaderSize-1),
		"longer batch":            put32(firstBatch, 1<<20),
		"no records":              put32(firstBatch+4, 0),
		"position elsewhere":      put32(footerCountSize+24, 1),
		"length elsewhere":        put32(footerCountSize+32, 1),
		"order of the partitions": put32(footerCountSize+16, 6),
		"order of the topics":     func(f []byte) { f[footerCountSize] = 0xcc },
	}
	for name, change := range cases {
		object := three(t).Payload.Bytes()
		reseal(object, change)
		if _, _, err := Verify(object); !errors.Is(err, base.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	same := three(t).Payload.Bytes()
	reseal(same, func([]byte) {})
	if _, _, err := Verify(same); err != nil {
		t.Fatalf("resealed without a change: %v", err)
	}
}

// What the footer tells the sequencer must be what the batch itself says.
func TestVerifyComparesEntryWithBatch(t *testing.T) {
	object := three(t).Payload.Bytes()
	reseal(object, func(f []byte) { f[footerCountSize+extentEntrySize+18]++ }) // base sequence
	if _, _, err := Verify(object); !errors.Is(err, base.ErrCorrupt) {
		t.Fatalf("another sequence in the footer: %v", err)
	}
	in := sample{topic: 1, records: 1, producer: -1}.batch(t)
	in.Bytes[len(in.Bytes)-2] ^= 1
	in.Digest = batch.Digest(in.Bytes)
	if _, _, err := Verify(Build(testHeader, []Batch{in}).Payload.Bytes()); !errors.Is(err, base.ErrCorrupt) {
		t.Fatalf("a batch with a wrong CRC under a right digest: %v", err)
	}
}

func TestSubset(t *testing.T) {
	object := three(t).Payload.Bytes()
	_, extents, err := Verify(object)
	if err != nil {
		t.Fatal(err)
	}
	h := Header{Cluster: base.ClusterID{9}, Session: 5, Number: 1}
	runs := []Run{{Extent: 1, FirstBatch: 1, Batches: 1}, {Extent: 2, FirstBatch: 0, Batches: 1}}
	built, positions := Subset(h, object, extents, runs)
	copied := built.Payload.Bytes()
	got, kept, err := Verify(copied)
	if err != nil || got != h || len(kept) != 2 {
		t.Fatalf("%+v, %+v, %v", got, kept, err)
	}
	for i, r := range runs {
		x := extents[r.Extent].Batches[r.FirstBatch]
		if kept[i].Batches[0] != x {
			t.Errorf("run %d: %+v, want %+v", i, kept[i].Batches[0], x)
		}
		from := extents[r.Extent].Position
		for _, y := range extents[r.Extent].Batches[:r.FirstBatch] {
			from += int64(y.Length)
		}
		if !bytes.Equal(copied[positions[i]:positions[i]+int64(x.Length)], object[from:from+int64(x.Length)]) {
			t.Errorf("run %d has other bytes at %d", i, positions[i])
		}
	}
	if int64(len(copied)) != built.Size {
		t.Errorf("Size %d of %d bytes", built.Size, len(copied))
	}
	all, _ := Subset(testHeader, object, extents, []Run{{0, 0, 1}, {1, 0, 1}, {1, 1, 1}, {2, 0, 1}})
	if !bytes.Equal(all.Payload.Bytes(), object) {
		t.Error("a subset of all is not the object")
	}
}

func TestReadFooter(t *testing.T) {
	small := three(t)
	var many []sample
	for i := range int32(3000) {
		many = append(many, sample{topic: byte(i / 1000), partition: i % 1000, records: 1, producer: -1})
	}
	for name, c := range map[string]struct {
		built Built
		gets  int64
	}{"small": {small, 1}, "footer above 64 KiB": {build(t, many...), 2}} {
		ctx, inner := context.Background(), memory.New()
		if err := inner.Put(ctx, "data/1", c.built.Payload); err != nil {
			t.Fatal(err)
		}
		store := counting.New(inner)
		got, err := ReadFooter(ctx, store, "data/1", c.built.Size)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want, err := ParseFooter(c.built.Payload.Bytes())
		if err != nil || len(got) != len(want) || !slices.EqualFunc(got, want, func(a, b Extent) bool {
			return a.partition() == b.partition() && a.Position == b.Position && slices.Equal(a.Batches, b.Batches)
		}) {
			t.Errorf("%s: %d extents, want %d (%v)", name, len(got), len(want), err)
		}
		if n := store.Snapshot().Of(objstore.OpGetRange).Calls; n != c.gets {
			t.Errorf("%s: %d ranged GETs, want %d", name, n, c.gets)
		}
	}
}

func TestReadFooterErrors(t *testing.T) {
	ctx, store, object := context.Background(), memory.New(), three(t).Payload.Bytes()
	if err := store.Put(ctx, "data/1", objstore.Payload{object}); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFooter(ctx, store, "data/2", 1000); !errors.Is(err, base.ErrNotFound) {
		t.Errorf("no object: %v", err)
	}
	for _, size := range []int64{-1, 0, 1, 40, int64(len(object)) - 1, int64(len(object)) + 1, 1 << 40} {
		if _, err := ReadFooter(ctx, store, "data/1", size); !errors.Is(err, base.ErrCorrupt) {
			t.Errorf("read as %d bytes of %d: %v", size, len(object), err)
		}
	}
}

// FuzzVerify: no input does worse than give an error that is corruption or version, and what is accepted is coherent.
func FuzzVerify(f *testing.F) {
	f.Add(three(f).Payload.Bytes(), false)
	f.Add(Build(testHeader, nil).Payload.Bytes(), true)
	f.Fuzz(func(t *testing.T, object []byte, seal bool) {
		object = bytes.Clone(object)
		if n := len(object); seal && n >= HeaderSize+TrailerSize {
			// Past the CRCs, so that the fuzzer reaches what is behind them.
			copy(object, magicHead)
			binary.BigEndian.PutUint16(object[8:], Version)
			binary.BigEndian.PutUint32(object[HeaderSize-4:], crc32.Checksum(object[:HeaderSize-4], castagnoli))
			end := n - TrailerSize
			length := min(int(binary.BigEndian.Uint32(object[end+8:])), end-HeaderSize)
			copy(object[end:], appendTrailer(nil, object[end-length:end], int64(end-length)))
		}
		_, extents, err := Verify(object)
		if err != nil && !errors.Is(err, base.ErrCorrupt) && !errors.Is(err, base.ErrVersion) {
			t.Fatalf("%v is neither corruption nor version", err)
		}
		if err != nil {
			return
		}
		var runs []Run
		for i, e := range extents {
			runs = append(runs, Run{Extent: int32(i), Batches: int32(len(e.Batches))})
		}
		h, _ := ParseHeader(object)
		if all, _ := Subset(h, object, extents, runs); !bytes.Equal(all.Payload.Bytes(), object) {
			t.Fatal("an accepted object is not what its parts give")
		}
	})
}
