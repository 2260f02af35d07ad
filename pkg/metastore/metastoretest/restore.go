package metastoretest

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// testRestore restores into an empty metalog, and onto what it wrote then.
func testRestore(t *testing.T, b Backend) {
	l, ok := b.Open(t).(metastore.Restorer)
	if !ok {
		t.Fatal("the backend cannot be restored")
	}
	ctx := context30(t)
	before, err := l.Position(ctx)
	if err != nil {
		t.Fatal(err)
	}
	parent := metastore.Head{Seq: 41, Hash: metastore.Hash{4}}
	pointer := &metalogpb.Pointer{Seq: 41, Object: "o", Hash: parent.Hash[:]}
	r := metastore.Restoration{
		Replaces: before, Incarnation: "00000000000000aa", First: metastore.RawEntry{Seq: 42, Value: entry(t, parent, "first")}, Snapshot: pointer, Archive: pointer,
		Fence: &metalogpb.Fence{Epoch: 10, Role: "fenced", By: "b"},
	}
	stale := campaign(t, l, "one") // elected on what is about to be replaced
	if r.Replaces, err = l.Position(ctx); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the same again is no error
		if err := l.Restore(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	pos, err := l.Position(ctx)
	want := metastore.Head{Seq: 42, Hash: metastore.HashOf(r.First.Value)}
	if err != nil || pos.Incarnation != r.Incarnation || pos.Head != want || !proto.Equal(pos.Archive, pointer) || !proto.Equal(pos.Snapshot, pointer) || pos.Fence.GetEpoch() != 10 {
		t.Fatalf("position %+v, %v", pos, err)
	}
	if all, err := l.Read(ctx, 42, 1<<20); err != nil || len(all) != 1 {
		t.Fatalf("%d entries, %v", len(all), err)
	}
	guard := metastore.Guard{Head: want, FenceRevision: pos.FenceRevision}
	if err := stale.Append(ctx, guard, entry(t, want, "stale")); !errors.Is(err, metastore.ErrDeposed) {
		t.Fatalf("append of a term from before: %v", err)
	}
	term := campaign(t, l, "one")
	if err := term.Append(ctx, guard, entry(t, want, "second")); err != nil {
		t.Fatal(err)
	}
	other := r
	other.Incarnation = "00000000000000bb"
	if err := l.Restore(ctx, other); !errors.Is(err, metastore.ErrConflict) {
		t.Fatalf("restore over what has changed: %v", err)
	}
	if other.Replaces, err = l.Position(ctx); err != nil {
		t.Fatal(err)
	}
	other.Fence, other.Snapshot = nil, nil
	if err := l.Restore(ctx, other); err != nil {
		t.Fatal(err)
	}
	pos, err = l.Position(ctx)
	if err != nil || pos.Head != want || pos.Snapshot != nil || pos.Leader != nil || pos.Fence.GetEpoch() != 10 {
		t.Fatalf("position %+v, %v", pos, err)
	}
	if all, err := l.Read(ctx, base.Seq(42), 1<<20); err != nil || len(all) != 1 {
		t.Fatalf("%d entries, %v", len(all), err)
	}
}
