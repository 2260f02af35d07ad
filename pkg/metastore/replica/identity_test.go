package replica_test

import (
	"context"
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
	answers := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		return f.WaitFor(ctx, 4) == nil
	}
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
			value, err := metastore.EncodeEntry(&metalogpb.Entry{Seq: 5, PrevHash: at.Hash[:], FeatureLevel: 1, TimeMs: 9000, Events: []*metalogpb.Event{{
				Kind: &metalogpb.Event_IncarnationBegun{IncarnationBegun: &metalogpb.IncarnationBegun{
					Incarnation: "child", Parent: pos.Incarnation, Epoch: 9, FirstSession: uint64(base.StripedID(9, 1)),
				}},
			}}})
			if err == nil {
				err = archive.PutLineage(t.Context(), cl.objects, archive.Lineage{Incarnation: "child", Parent: pos.Incarnation, ParentSeq: 4, Epoch: 9})
			}
			if err == nil {
				err = cl.server.Open(nil).Restore(t.Context(), metastore.Restoration{
					Replaces: cl.position(), Incarnation: "child", First: metastore.RawEntry{Seq: 5, Value: value}, Archive: pos.Archive,
				})
			}
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, func() bool { return f.State().Region().Epoch == 9 && f.Applied() == 5 })
		})
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
