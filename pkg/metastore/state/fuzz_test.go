package state_test

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/golden"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

func refused(err error) bool {
	return errors.Is(err, base.ErrCorrupt) || errors.Is(err, base.ErrVersion)
}

// What a snapshot of an unknown version, or a damaged one, is refused with.
func TestRestoreRefuses(t *testing.T) {
	good := golden.Read(t, "testdata/v1/snapshot.hex")
	change := func(fn func(*metalogpb.Snapshot)) []byte {
		var m metalogpb.Snapshot
		if err := proto.Unmarshal(good, &m); err != nil {
			t.Fatal(err)
		}
		fn(&m)
		b, err := proto.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, c := range map[string]struct {
		payload []byte
		want    error
	}{
		"another version":        {change(func(m *metalogpb.Snapshot) { m.FormatVersion = 2 }), base.ErrVersion},
		"an image of another":    {change(func(m *metalogpb.Snapshot) { m.Links[0].Image.FormatVersion = 2 }), base.ErrVersion},
		"nothing":                {nil, base.ErrVersion}, // format version 0
		"cut off":                {good[:len(good)-1], base.ErrCorrupt},
		"a short hash":           {change(func(m *metalogpb.Snapshot) { m.Hash = m.Hash[:31] }), base.ErrCorrupt},
		"a short topic id":       {change(func(m *metalogpb.Snapshot) { m.Topics[0].TopicId = []byte{1} }), base.ErrCorrupt},
		"a short chain":          {change(func(m *metalogpb.Snapshot) { m.Topics[0].Partitions[0].Chain = nil }), base.ErrCorrupt},
		"an offset without time": {change(func(m *metalogpb.Snapshot) { m.Groups[0].CommitTimesMs = nil }), base.ErrCorrupt},
		"a link without image":   {change(func(m *metalogpb.Snapshot) { m.Links[0].Image = nil }), base.ErrCorrupt},
		"a short boundary":       {change(func(m *metalogpb.Snapshot) { m.Links[0].Boundary[0].Chain = []byte{1} }), base.ErrCorrupt},
	} {
		if _, err := state.Restore(c.payload); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzRestore: any bytes cost memory in proportion to them, are refused with one of two errors, or give a state whose snapshot
// is a fixed point.
func FuzzRestore(f *testing.F) {
	f.Add(golden.Read(f, "testdata/v1/snapshot.hex"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		st, err := state.Restore(payload)
		if err != nil {
			if !refused(err) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		once := snapshot(t, st)
		asGenerated(t, once)
		again, err := state.Restore(once)
		if err != nil || !bytes.Equal(snapshot(t, again), once) {
			t.Fatalf("a snapshot of what was restored does not come back: %v", err)
		}
	})
}

// An entry of a source is a stranger's word: an event of a few bytes must not cost gigabytes.
func TestEventsCostBoundedMemory(t *testing.T) {
	r, id, _ := founded(t, 1)
	other := base.TopicID{8}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, m := range []proto.Message{
		&metalogpb.TopicCreated{TopicId: other[:], Name: "x", Partitions: 1<<31 - 1},
		&metalogpb.PartitionsAdded{TopicId: id[:], Partitions: 1<<31 - 1},
	} {
		st := restored(t, r.replica)
		if _, err := st.Apply(next(t, st, 1, m)); !errors.Is(err, base.ErrCorrupt) {
			t.Errorf("%T: %v", m, err)
		}
	}
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 64<<20 {
		t.Errorf("it cost %d MiB", (after.TotalAlloc-before.TotalAlloc)>>20)
	}
}

// FuzzApply: no event of a region, or of its link's source, takes the process down.
func FuzzApply(f *testing.F) {
	for _, value := range entriesToFuzz(f) {
		f.Add(value)
	}
	payload := golden.Read(f, "testdata/v1/snapshot.hex")
	f.Fuzz(func(t *testing.T, value []byte) {
		e, err := metastore.DecodeEntry(value)
		if err != nil {
			return
		}
		st, err := state.Restore(payload)
		if err != nil {
			t.Fatal(err)
		}
		head := st.Head()
		e.Seq, e.PrevHash, e.FeatureLevel = uint64(head.Seq)+1, head.Hash[:], state.FeatureLevel
		if value, err = metastore.EncodeEntry(e); err != nil {
			return // not UTF-8
		}
		if _, err := st.Apply(state.Input{Raw: metastore.RawEntry{Seq: head.Seq + 1, Value: value}, Entry: e}); err != nil {
			if !refused(err) && !errors.Is(err, metastore.ErrChain) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		once := snapshot(t, st)
		if again, err := state.Restore(once); err != nil || !bytes.Equal(snapshot(t, again), once) {
			t.Fatalf("what was applied cannot be restored: %v", err)
		}
	})
}

// entriesToFuzz are events of a region, and the same as what a link brings from its source.
func entriesToFuzz(f *testing.F) [][]byte {
	f.Helper()
	encode := func(e *metalogpb.Entry) []byte {
		b, err := metastore.EncodeEntry(e)
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	own := encode(&metalogpb.Entry{Seq: 1, Events: []*metalogpb.Event{
		event(&metalogpb.TopicCreated{TopicId: make([]byte, 16), Name: "x", Partitions: 1}),
		event(&metalogpb.OffsetsCommitted{Group: "g", Offsets: []*metalogpb.CommittedOffset{{TopicId: make([]byte, 16)}}}),
		event(&metalogpb.ProducersExpired{LastWriteBeforeMs: 1 << 40}), event(&metalogpb.LinkDeleted{Link: "a-to-b"}),
	}})
	return [][]byte{own, encode(&metalogpb.Entry{Events: []*metalogpb.Event{event(&metalogpb.LinkApplied{Link: "d-to-b", Entry: own})}})}
}
