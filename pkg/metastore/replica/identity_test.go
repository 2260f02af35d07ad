package replica_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
	bucket "github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
)

// The walk of follow: what etcd lost under a replica that follows is not announced by anybody.
func TestSilentSwap(t *testing.T) {
	for name, c := range map[string]struct {
		swap func(c *cluster, backup memory.Image)
		says string
	}{
		"empty":    {func(c *cluster, _ memory.Image) { c.server.Lose() }, "etcd is empty"},
		"set back": {func(c *cluster, backup memory.Image) { c.server.SetTo(backup) }, "set back to a backup"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl := newCluster(t)
			cl.topics(3)
			cl.archive(4)
			backup := cl.server.Backup()
			cl.topics(3)
			cl.archive(7)
			f := cl.follow(false)
			f.reach(cl)
			c.swap(cl, backup)
			if text := f.halts(replica.ErrAhead); !strings.Contains(text, c.says) || !strings.Contains(text, "gnomon metastore restore") {
				t.Error(text)
			}
		})
	}
}

// An agent's replica outlives the loss: it stays as it is, answers nothing that needs the head (R2), and goes on when etcd has all again.
func TestAwaitRestore(t *testing.T) {
	cl := newCluster(t)
	cl.topics(3)
	cl.archive(4)
	backup := cl.server.Backup()
	cl.topics(3)
	cl.archive(7)
	all := cl.server.Backup()
	f := cl.followAs(replica.Config{AwaitRestore: true}, nil)
	f.reach(cl)
	cl.server.SetTo(backup)
	answers := func() bool { return f.holds(metastore.Point{Seq: 4}) }
	eventually(t, func() bool { return !answers() })
	time.Sleep(500 * time.Millisecond) // one that halts has ended by then
	if answers() || f.State().Head() != cl.seq.Head() || len(f.ended) > 0 {
		t.Errorf("at seq %d, answers: %t, ended: %t", f.State().Head().Seq, answers(), len(f.ended) > 0)
	}
	cl.server.SetTo(all)
	f.reach(cl)
}

// A log that was restored is followed on by who has no more of it than was archived, and loaded anew by who has.
func TestFollowOverARestore(t *testing.T) {
	for name, more := range map[string]int{"no more": 0, "more": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl := newCluster(t)
			cl.topics(3)
			cl.archive(4)
			pos := cl.position()
			at := cl.seq.Head()
			cl.topics(more)
			f := cl.follow(false)
			f.reach(cl)
			cl.restore(pos, at)
			eventually(t, func() bool { return f.State().Region().Epoch == 9 && f.Applied() == 5 })
		})
	}
}

// restore has the log go on as incarnation child behind what is archived, which ends at a head.
func (c *cluster) restore(archived metastore.Position, at metastore.Head) {
	c.t.Helper()
	seq := at.Seq + 1
	value, err := metastore.EncodeEntry(&metalogpb.Entry{Seq: uint64(seq), PrevHash: at.Hash[:], FeatureLevel: 1, TimeMs: 9000, Events: []*metalogpb.Event{{
		Kind: &metalogpb.Event_IncarnationBegun{IncarnationBegun: &metalogpb.IncarnationBegun{
			Incarnation: "child", Parent: archived.Incarnation, Epoch: 9, FirstSession: uint64(base.StripedID(9, 1)),
		}},
	}}})
	if err == nil {
		err = archive.PutLineage(c.t.Context(), c.objects, archive.Lineage{Incarnation: "child", Parent: archived.Incarnation, ParentSeq: at.Seq, Epoch: 9})
	}
	if err == nil {
		err = c.server.Open(nil).Restore(c.t.Context(), metastore.Restoration{
			Replaces: c.position(), Incarnation: "child", First: metastore.RawEntry{Seq: seq, Value: value}, Archive: archived.Archive,
		})
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// R2, the walk of WaitFor: a point of the restored log is not reached by the lost one's entries, however many there are, but by a load or
// by the entry that begins the incarnation. Who still waits in the lost log is told so.
func TestPointOfAnotherIncarnation(t *testing.T) {
	for name, more := range map[string]int{"followed": 0, "loaded": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl := newCluster(t)
			cl.topics(3)
			cl.archive(4)
			archived, at := cl.position(), cl.seq.Head()
			cl.topics(more)
			f := cl.follow(true)
			lost := cl.position().Point()
			if err := f.WaitFor(t.Context(), lost); err != nil {
				t.Fatal(err)
			}
			f.cut.set(true) // it does not hear of the restore
			cl.restore(archived, at)
			point := cl.position().Point()
			if f.holds(point) || !f.holds(lost) {
				t.Fatalf("%v: %t, %v: %t", point, f.holds(point), lost, f.holds(lost))
			}
			waited := make(chan error, 2)
			for _, p := range []metastore.Point{point, {Incarnation: lost.Incarnation, Seq: 100}} {
				go func() { waited <- f.WaitFor(t.Context(), p) }()
			}
			f.cut.set(false)
			err, other := <-waited, <-waited
			if err != nil {
				err, other = other, err
			}
			if err != nil || !errors.Is(other, base.ErrUnavailable) || f.State().Region().Epoch != 9 {
				t.Fatalf("%v, %v, at epoch %d", err, other, f.State().Region().Epoch)
			}
		})
	}
}

// R2: a stream that does not go on where the state is says as much as a head does, and no head may tell: this etcd was set back and has
// taken more since than was lost. Until the state is loaded anew it answers nothing.
func TestStreamOfAnotherHistory(t *testing.T) {
	cl := newCluster(t)
	cl.topics(5)
	f := cl.follow(false)
	f.reach(cl)
	f.cut.set(true)
	cl.server.SetBack(3)
	cl.lead(3)
	cl.n = 100
	cl.topics(4)
	cl.store.SetHook(func(objstore.Op, string, fault.Phase) error { return fault.ErrInjected }) // nothing can be loaded
	f.cut.set(false)
	eventually(t, func() bool { return !f.holds(metastore.Point{Seq: 6}) })
	cl.store.SetHook(nil)
	f.reach(cl)
}

// A state is loaded once there is a log, so that it has an incarnation; whoever waits for the first point gets it.
func TestBeforeTheFirstLeader(t *testing.T) {
	store := fault.New(bucket.New(), fault.Options{})
	cl := &cluster{t: t, server: memory.NewServer(), store: store, objects: objstore.AsObjects(store)}
	f := cl.follow(true)
	time.Sleep(50 * time.Millisecond) // a load, if there were one, has ended by then
	if f.Loaded() {
		t.Fatal("loaded an empty etcd")
	}
	if _, err := cl.server.Open(nil).Campaign(t.Context(), "leader", ""); err != nil {
		t.Fatal(err)
	}
	point := cl.position().Point()
	if err := f.WaitFor(t.Context(), point); err != nil || point.Incarnation == "" {
		t.Fatalf("%v, %v", point, err)
	}
	if point.Incarnation += "x"; f.holds(point) {
		t.Fatal("any incarnation would do")
	}
}

// A bucket that knows more than etcd is told from one that is archived while it is looked at.
func TestCheckArchive(t *testing.T) {
	cl := newCluster(t)
	cl.topics(5)
	cl.archive(3)
	log := cl.server.Open(nil)
	if err := replica.CheckArchive(t.Context(), log, cl.objects); err != nil {
		t.Fatal(err)
	}
	cl.archive(6)
	cl.server.SetBack(4) // within an object
	if err := replica.CheckArchive(t.Context(), log, cl.objects); !errors.Is(err, replica.ErrAhead) || !errors.Is(err, base.ErrCorrupt) {
		t.Fatal(err)
	}
	cl = newCluster(t)
	asked := 0
	busy := cl.server.Open(func(op string, phase memory.Phase) error {
		if asked++; asked == 2 && op == "position" && phase == memory.After {
			cl.topics(4)
			cl.archive(5)
		}
		return nil
	})
	if err := replica.CheckArchive(t.Context(), busy, cl.objects); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}
