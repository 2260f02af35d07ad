package metastore

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/golden"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// sampleEntry has an event of the commonest kind and, with topics, one that repeats itself and so compresses.
func sampleEntry(topics int) *metalogpb.Entry {
	id := bytes.Repeat([]byte{0xaa}, 16)
	e := &metalogpb.Entry{
		Seq: 7, Nonce: []byte("nonce of a term."), PrevHash: bytes.Repeat([]byte{0x11}, 32), FeatureLevel: 1, TimeMs: 1_700_000_000_000,
	}
	e.Events = append(e.Events, &metalogpb.Event{Kind: &metalogpb.Event_Tick{Tick: &metalogpb.Tick{}}})
	for range topics {
		e.Events = append(e.Events, &metalogpb.Event{Kind: &metalogpb.Event_TopicCreated{TopicCreated: &metalogpb.TopicCreated{
			TopicId: id, Name: "orders", Partitions: 12, ReplicationFactor: 3,
			Configs: []*metalogpb.ConfigEntry{{Name: "retention.ms", Value: "86400000"}},
		}}})
	}
	return e
}

func encoded(t testing.TB, e *metalogpb.Entry) []byte {
	t.Helper()
	b, err := EncodeEntry(e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// annotated dumps an encoded entry; what a compressed one holds follows as a dump of its own, as remarks.
func annotated(t testing.TB, value []byte) string {
	t.Helper()
	d := golden.NewDump(value)
	d.Title("entry")
	d.Field(1, "format version")
	d.Field(1, "codec: 0 raw, 1 zstd")
	md := (&metalogpb.Entry{}).ProtoReflect().Descriptor()
	if value[1] == codecRaw {
		d.Message(md)
	} else {
		d.Field(len(value)-entryHeader, "Entry, zstd")
	}
	return d.String()
}

// TestGolden pins the bytes of format version 1. The raw form is for ever. The compressed form may come out differently
// under another release of the compressor: its file then stays, to be read, and gets a sibling.
func TestGolden(t *testing.T) {
	for name, topics := range map[string]int{"raw": 0, "zstd": 4} {
		value := encoded(t, sampleEntry(topics))
		if codec := map[string]byte{"raw": codecRaw, "zstd": codecZstd}[name]; value[1] != codec {
			t.Fatalf("%s: codec %d", name, value[1])
		}
		golden.Compare(t, filepath.Join("testdata", "v1", name+".hex"), annotated(t, value))
	}
}

// The golden bytes are what decides whether a log that was written by an earlier build can be read.
func TestGoldenIsReadable(t *testing.T) {
	for name, topics := range map[string]int{"raw": 0, "zstd": 4} {
		got, err := DecodeEntry(golden.Read(t, filepath.Join("testdata", "v1", name+".hex")))
		if err != nil || !proto.Equal(got, sampleEntry(topics)) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// A newer writer and a broken disk are different things: the first asks for an upgrade, the second for a repair.
func TestDecodeTellsVersionFromDamage(t *testing.T) {
	raw, small := encoded(t, sampleEntry(0)), encoded(t, sampleEntry(4))
	change := func(value []byte, at int, to byte) []byte {
		value = bytes.Clone(value)
		value[at] = to
		return value
	}
	large, err := proto.Marshal(&metalogpb.Entry{Nonce: make([]byte, entryBytesMax)})
	if err != nil {
		t.Fatal(err)
	}
	bomb := zstdOf(t, large) // sound but for its size
	for name, c := range map[string]struct {
		value []byte
		want  error
	}{
		"empty":               {nil, base.ErrCorrupt},
		"no codec":            {raw[:1], base.ErrCorrupt},
		"version 2":           {change(raw, 0, 2), base.ErrVersion},
		"version 0":           {change(raw, 0, 0), base.ErrVersion},
		"codec 2":             {change(raw, 1, 2), base.ErrVersion},
		"raw that says zstd":  {change(raw, 1, codecZstd), base.ErrCorrupt},
		"zstd that says raw":  {change(small, 1, codecRaw), base.ErrCorrupt},
		"raw, cut":            {raw[:len(raw)-1], base.ErrCorrupt},
		"zstd, cut":           {small[:len(small)-1], base.ErrCorrupt},
		"zstd, damaged":       {change(small, len(small)/2, small[len(small)/2]^1), base.ErrCorrupt},
		"more than the limit": {bomb, base.ErrCorrupt},
	} {
		_, err := DecodeEntry(c.value)
		if other := map[error]error{base.ErrCorrupt: base.ErrVersion, base.ErrVersion: base.ErrCorrupt}[c.want]; !errors.Is(err, c.want) || errors.Is(err, other) {
			t.Errorf("%s: %v, want %v only", name, err, c.want)
		}
	}
}

func zstdOf(t *testing.T, payload []byte) []byte {
	t.Helper()
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	return e.EncodeAll(payload, []byte{entryVersion, codecZstd})
}

// M2: an entry is the next only by its seq, in both places, and by the hash of the one before.
func TestCheckNext(t *testing.T) {
	first := &metalogpb.Entry{Seq: 1}
	head := Head{Seq: 1, Hash: HashOf(encoded(t, first))}
	second := &metalogpb.Entry{Seq: 2, PrevHash: head.Hash[:]}
	for name, c := range map[string]struct {
		head  Head
		at    base.Seq
		entry *metalogpb.Entry
		ok    bool
	}{
		"the first":                          {Head{}, 1, first, true},
		"the first with a hash before it":    {Head{}, 1, &metalogpb.Entry{Seq: 1, PrevHash: head.Hash[:]}, false},
		"the second":                         {head, 2, second, true},
		"the first again":                    {head, 1, first, false},
		"one left out":                       {head, 3, &metalogpb.Entry{Seq: 3, PrevHash: head.Hash[:]}, false},
		"at another place than it says":      {head, 2, &metalogpb.Entry{Seq: 3, PrevHash: head.Hash[:]}, false},
		"of another history":                 {Head{Seq: 1, Hash: Hash{9}}, 2, second, false},
		"without a hash":                     {head, 2, &metalogpb.Entry{Seq: 2}, false},
		"with the first bytes of the hash":   {head, 2, &metalogpb.Entry{Seq: 2, PrevHash: head.Hash[:16]}, false},
		"the second, with nothing before it": {Head{}, 2, second, false},
	} {
		err := CheckNext(c.head, RawEntry{Seq: c.at}, c.entry)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrChain) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// M1: a fence is replaced by a higher epoch, or written again by whoever wrote it; nobody else lifts or takes it.
func TestCheckFence(t *testing.T) {
	stands := &metalogpb.Fence{Epoch: 10, Role: "fenced", By: "b", TimeMs: 5}
	for name, c := range map[string]struct {
		stands, next *metalogpb.Fence
		ok           bool
	}{
		"the first":                         {nil, stands, true},
		"a higher epoch":                    {stands, &metalogpb.Fence{Epoch: 11, Role: "lifted", By: "c"}, true},
		"a retry":                           {stands, &metalogpb.Fence{Epoch: 10, Role: "fenced", By: "b", TimeMs: 9}, true},
		"a lower epoch":                     {stands, &metalogpb.Fence{Epoch: 9, Role: "fenced", By: "b"}, false},
		"the same epoch of another":         {stands, &metalogpb.Fence{Epoch: 10, Role: "fenced", By: "c"}, false},
		"a lift at the epoch of the fence":  {stands, &metalogpb.Fence{Epoch: 10, Role: "lifted", By: "b"}, false},
		"the same after a higher one stood": {&metalogpb.Fence{Epoch: 18, Role: "fenced", By: "b"}, stands, false},
	} {
		err := CheckFence(c.stands, c.next)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, base.ErrFenced) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if stands.TimeMs != 5 {
		t.Error("the fence that stands was changed")
	}
}

// FuzzDecodeEntry: what a follower is sent costs bounded memory, fails with one of two errors, and what decodes can be
// encoded and decoded again to the same entry.
func FuzzDecodeEntry(f *testing.F) {
	for topics := range 5 {
		f.Add(encoded(f, sampleEntry(topics)))
	}
	f.Add([]byte{entryVersion, codecZstd, 0x28, 0xb5, 0x2f, 0xfd})
	f.Fuzz(func(t *testing.T, value []byte) {
		e, err := DecodeEntry(value)
		if err != nil {
			if !errors.Is(err, base.ErrCorrupt) && !errors.Is(err, base.ErrVersion) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		again, err := DecodeEntry(encoded(t, e))
		if err != nil || !proto.Equal(e, again) {
			t.Fatalf("%v encodes and decodes to %v, %v", e, again, err)
		}
	})
}
