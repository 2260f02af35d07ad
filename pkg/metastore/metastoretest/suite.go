// Package metastoretest is the acceptance suite of metastore.Log: every backend passes it.
package metastoretest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// Backend is one empty metalog.
type Backend struct {
	// Open opens a handle, as one process would.
	Open func(t *testing.T) metastore.Log
	// ExpireLeader makes the leader's lease run out, as if its process were gone; nil when the backend cannot.
	ExpireLeader func(t *testing.T)
}

// Run runs the suite; fresh returns an empty metalog.
func Run(t *testing.T, fresh func(t *testing.T) Backend) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Backend)
	}{
		{"append, read and follow", testAppend},
		{"a wrong head is a conflict", testConflict},
		{"a deposed leader cannot append", testDeposed},
		{"a fence freezes the log at once", testFence},
		{"the higher fence wins", testFenceOrder},
		{"trimmed entries are ErrTrimmed", testTrim},
		{"a campaigner waits for the leader to resign", testResign},
		{"a leader that is restarted need not wait", testSameID},
		{"pointers", testPointers},
		{"a restore replaces all, or nothing", testRestore},
		{"agents come and go", testAgents},
		{"an agent moves between coordinators", testAgentMoves},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, fresh(t)) })
	}
}

func context30(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func entry(t *testing.T, at metastore.Head, note string) []byte {
	t.Helper()
	e := &metalogpb.Entry{Seq: uint64(at.Seq) + 1, Events: []*metalogpb.Event{{
		Kind: &metalogpb.Event_GroupDeleted{GroupDeleted: &metalogpb.GroupDeleted{Group: note}},
	}}}
	if at.Seq > 0 {
		e.PrevHash = at.Hash[:]
	}
	v, err := metastore.EncodeEntry(e)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func campaign(t *testing.T, l metastore.Log, id string) metastore.Term {
	t.Helper()
	term, err := l.Campaign(context30(t), id, "")
	if err != nil {
		t.Fatalf("campaign: %v", err)
	}
	return term
}

// appendN appends n entries and returns the head behind them.
func appendN(t *testing.T, l metastore.Log, term metastore.Term, n int) metastore.Head {
	t.Helper()
	pos, err := l.Position(context30(t))
	if err != nil {
		t.Fatal(err)
	}
	head := pos.Head
	for i := range n {
		v := entry(t, head, fmt.Sprint("entry ", i))
		if err := term.Append(context30(t), metastore.Guard{Head: head, FenceRevision: pos.FenceRevision}, v); err != nil {
			t.Fatalf("append %d: %v", head.Seq+1, err)
		}
		head = metastore.Head{Seq: head.Seq + 1, Hash: metastore.HashOf(v)}
	}
	return head
}

func testAppend(t *testing.T, b Backend) {
	l, follower := b.Open(t), b.Open(t)
	ctx, cancel := context.WithCancel(context30(t))
	defer cancel()
	got := make(chan metastore.RawEntry, 100)
	ended := make(chan error, 1)
	go func() {
		ended <- follower.Follow(ctx, 1, func(e metastore.RawEntry) error { got <- e; return nil })
	}()
	term := campaign(t, l, "one")
	head := appendN(t, l, term, 20)
	pos, err := follower.Position(ctx)
	if err != nil || pos.Head != head || pos.Incarnation == "" || pos.Leader == nil {
		t.Fatalf("position %+v, %v; want head %d", pos, err, head.Seq)
	}
	at := metastore.Head{}
	for range 20 {
		select {
		case raw := <-got:
			e, err := metastore.DecodeEntry(raw.Value)
			if err == nil {
				err = metastore.CheckNext(at, raw, e)
			}
			if err != nil {
				t.Fatalf("followed entry %d: %v", raw.Seq, err)
			}
			at = metastore.Head{Seq: raw.Seq, Hash: metastore.HashOf(raw.Value)}
		case <-ctx.Done():
			t.Fatal("the follower saw too few entries")
		}
	}
	all, err := l.Read(ctx, 5, 1)
	if err != nil || len(all) != 1 || all[0].Seq != 5 {
		t.Fatalf("read one: %d entries, %v", len(all), err)
	}
	if none, err := l.Read(ctx, 21, 1<<20); err != nil || len(none) != 0 {
		t.Fatalf("read beyond the head: %d entries, %v", len(none), err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("follow ended with %v", err)
	}
}

func testConflict(t *testing.T, b Backend) {
	l := b.Open(t)
	term := campaign(t, l, "one")
	head := appendN(t, l, term, 2)
	stale := metastore.Head{Seq: 1, Hash: metastore.Hash{1}}
	if err := term.Append(context30(t), metastore.Guard{Head: stale}, entry(t, stale, "x")); !errors.Is(err, metastore.ErrConflict) {
		t.Fatalf("append at a stale head: %v", err)
	}
	if pos, _ := l.Position(context30(t)); pos.Head != head {
		t.Fatalf("the head moved to %d", pos.Head.Seq)
	}
}

func testDeposed(t *testing.T, b Backend) {
	if b.ExpireLeader == nil {
		t.Skip("this backend's leases cannot be made to run out")
	}
	one, two := b.Open(t), b.Open(t)
	old := campaign(t, one, "one")
	head := appendN(t, one, old, 1)
	b.ExpireLeader(t)
	appendN(t, two, campaign(t, two, "two"), 1)
	err := old.Append(context30(t), metastore.Guard{Head: head}, entry(t, head, "late"))
	if !errors.Is(err, metastore.ErrDeposed) && !errors.Is(err, metastore.ErrConflict) {
		t.Fatalf("append of a deposed leader: %v", err)
	}
	select {
	case <-old.Lost():
	case <-time.After(20 * time.Second):
		t.Fatal("the deposed leader was not told")
	}
}

func testFence(t *testing.T, b Backend) {
	l, outside := b.Open(t), b.Open(t)
	term := campaign(t, l, "one")
	head := appendN(t, l, term, 1)
	if err := outside.WriteFence(context30(t), &metalogpb.Fence{Epoch: 10, Role: "fenced", By: "b"}); err != nil {
		t.Fatal(err)
	}
	if err := term.Append(context30(t), metastore.Guard{Head: head}, entry(t, head, "late")); !errors.Is(err, base.ErrFenced) {
		t.Fatalf("append behind a fence: %v", err)
	}
	if pos, _ := l.Position(context30(t)); pos.Head != head || pos.Fence.GetEpoch() != 10 {
		t.Fatalf("position behind the fence: %+v", pos)
	}
}

func testFenceOrder(t *testing.T, b Backend) {
	l := b.Open(t)
	write := func(epoch int32, by string, time int64) error {
		return l.WriteFence(context30(t), &metalogpb.Fence{Epoch: epoch, Role: "fenced", By: by, TimeMs: time})
	}
	if err := errors.Join(write(10, "b", 1), write(10, "b", 2), write(18, "b", 3)); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{write(10, "b", 4), write(18, "c", 5)} {
		if !errors.Is(err, base.ErrFenced) {
			t.Fatalf("a lower or foreign fence was written: %v", err)
		}
	}
}

func testTrim(t *testing.T, b Backend) {
	l := b.Open(t)
	term := campaign(t, l, "one")
	appendN(t, l, term, 10)
	if err := term.Trim(context30(t), 6); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Read(context30(t), 6, 1<<20); !errors.Is(err, metastore.ErrTrimmed) {
		t.Fatalf("read a trimmed entry: %v", err)
	}
	if kept, err := l.Read(context30(t), 7, 1<<20); err != nil || len(kept) != 4 {
		t.Fatalf("%d entries are kept, %v", len(kept), err)
	}
	fn := func(metastore.RawEntry) error { return nil }
	if err := l.Follow(context30(t), 3, fn); !errors.Is(err, metastore.ErrTrimmed) {
		t.Fatalf("follow from a trimmed entry: %v", err)
	}
	appendN(t, l, term, 1)
}

func testResign(t *testing.T, b Backend) {
	one, two := b.Open(t), b.Open(t)
	first := campaign(t, one, "one")
	won := make(chan error, 1)
	go func() {
		_, err := two.Campaign(context30(t), "two", "")
		won <- err
	}()
	select {
	case err := <-won:
		t.Fatalf("two leaders at a time (%v)", err)
	case <-time.After(100 * time.Millisecond):
	}
	if err := first.Resign(context30(t)); err != nil {
		t.Fatal(err)
	}
	if err := <-won; err != nil {
		t.Fatal(err)
	}
}

func testSameID(t *testing.T, b Backend) {
	one, again := b.Open(t), b.Open(t)
	old := campaign(t, one, "one")
	head := appendN(t, one, old, 1)
	start := time.Now()
	appendN(t, again, campaign(t, again, "one"), 1)
	if took := time.Since(start); took > 2*time.Second {
		t.Fatalf("the restarted leader waited %v", took)
	}
	err := old.Append(context30(t), metastore.Guard{Head: head}, entry(t, head, "late"))
	if !errors.Is(err, metastore.ErrDeposed) {
		t.Fatalf("append of the former self: %v", err)
	}
}

func testPointers(t *testing.T, b Backend) {
	l := b.Open(t)
	term := campaign(t, l, "one")
	p := &metalogpb.Pointer{Seq: 7, Object: "x", Sha256: []byte{1}}
	if err := errors.Join(term.SetSnapshot(context30(t), p), term.SetArchive(context30(t), p)); err != nil {
		t.Fatal(err)
	}
	pos, err := l.Position(context30(t))
	if err != nil || pos.Snapshot.GetSeq() != 7 || pos.Archive.GetObject() != "x" {
		t.Fatalf("position %+v, %v", pos, err)
	}
}

func testAgents(t *testing.T, b Backend) {
	l := b.Open(t)
	ctx := context30(t)
	lists := make(chan []*metalogpb.Agent, 100)
	fctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { _ = l.FollowAgents(fctx, func(a []*metalogpb.Agent) { lists <- a }) }()
	await := func(ids ...int32) {
		t.Helper()
		for {
			select {
			case list := <-lists:
				same := len(list) == len(ids)
				for i := 0; same && i < len(ids); i++ {
					same = list[i].NodeId == ids[i]
				}
				if same {
					return
				}
			case <-ctx.Done():
				t.Fatalf("the list never became %v", ids)
			}
		}
	}
	await()
	two, leave := context.WithCancel(ctx)
	go func() { _ = l.Register(two, &metalogpb.Agent{NodeId: 2}, true, func() {}) }()
	await(2)
	one, bye := context.WithCancel(ctx)
	defer bye()
	go func() { _ = l.Register(one, &metalogpb.Agent{NodeId: 1}, true, func() {}) }()
	await(1, 2)
	leave()
	await(1)
}
