package recovery_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/recovery"
)

// lost is a region whose etcd is lost: seq 4 is archived with object 1 of session 1; object 2, and a second session with its object 1,
// were committed behind that; object 3 was never committed.
func lost(t *testing.T) (r *region, one, two base.SessionID) {
	t.Helper()
	r = newRegion(t)
	one = r.session(1)
	r.write(one, 1, 10)
	r.archive()
	r.write(one, 2, 5)
	two = r.session(2)
	r.write(two, 1, 3)
	r.put(one, 3, 2)
	r.server.Lose()
	return r, one, two
}

func name(session base.SessionID, number, records int) string {
	return fmt.Sprintf("%016x/%016x %d", uint64(session), number, records)
}

// What is archived is there, what was acked later is in quarantine, and nothing that may have been handed out is handed out again.
func TestRestore(t *testing.T) {
	r, one, two := lost(t)
	dry := r.restored(func(o *recovery.Options) { o.DryRun = true })
	if dry.Restored || dry.Quarantine.Records != 10 || r.position().Head.Seq != 0 {
		t.Fatalf("dry run: %+v", dry)
	}
	rep := r.restored(nil)
	pos := r.position()
	if !rep.Restored || rep.ArchivedSeq != 4 || rep.Epoch != 9 || pos.Incarnation != rep.Incarnation || pos.Head.Seq != 5 || pos.Archive.Seq != 4 {
		t.Fatalf("report %+v, position %+v", rep, pos)
	}
	want := []string{name(one, 2, 5), name(one, 3, 2), name(two, 1, 3)}
	if got := r.held(); !slices.Equal(got, want) {
		t.Fatalf("held: %v, want %v", got, want)
	}
	st := r.load().State
	p := st.Partition(base.TopicPartition{Topic: topicID})
	if end := p.EpochEnd(1); p.End != 10 || end.Epoch != 1 || end.Start != 10 {
		t.Errorf("partition ends at %d, epoch 1 at %+v", p.End, end)
	}
	if base.EpochOfID(st.NextProducerID()) != 9 || st.NextSession() <= two || st.Session(one).Results[1] != nil {
		t.Errorf("next producer %x, session %x", st.NextProducerID(), st.NextSession())
	}
	r.lead(st)
	if _, err := r.seq.Commit(1, &metalogpb.CommitRequest{Session: uint64(one), Number: 2}); !errors.Is(err, base.ErrFenced) {
		t.Errorf("commit of an agent that lived on: %v", err)
	}
	r.put(one, 4, 1) // it lives on, and puts what nobody will commit
	if got := r.held(); len(got) != 4 {
		t.Errorf("held: %v", got)
	}
	three := r.session(1)
	r.write(three, 1, 4)
	r.emit(&metalogpb.Event{Kind: &metalogpb.Event_QuarantineReleased{QuarantineReleased: &metalogpb.QuarantineReleased{Incarnation: rep.Incarnation}}})
	r.archive()
	if got := r.held(); len(got) != 0 {
		t.Errorf("held after the release: %v", got)
	}
	class, _ := r.load().State.Classify(base.ObjectID{Session: two, Number: 1})
	if p := r.load().State.Partition(base.TopicPartition{Topic: topicID}); class != state.Garbage || p.End != 14 {
		t.Errorf("released object is %s, the partition ends at %d", class, p.End)
	}
}

// Y6, and the operator's consent.
func TestRestoreRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(r *region)
		options func(o *recovery.Options)
		want    error
		says    string
	}{
		"nothing lost":       {func(r *region) { r.archive() }, nil, recovery.ErrNotLost, "archive at 4"},
		"etcd ahead":         {func(*region) {}, nil, recovery.ErrNotLost, ""},
		"ahead, and consent": {func(*region) {}, func(o *recovery.Options) { o.FromArchive = true }, recovery.ErrNotLost, ""},
		"set back":           {func(r *region) { r.archive(); r.server.SetBack(2) }, nil, recovery.ErrNeedsConsent, "--from-archive"},
		"peer silent": {
			func(r *region) { r.server.Lose() }, func(o *recovery.Options) { o.Peer = peer{err: base.ErrUnavailable} }, recovery.ErrNeedsConsent, "--without-peer",
		},
		"peer ahead": {func(r *region) { r.server.Lose() }, func(o *recovery.Options) {
			o.Peer = peer{says: recovery.PeerReport{Link: "l", Position: metastore.Head{Seq: 4}}}
		}, recovery.ErrPeerAhead, "gnomon shadow failover l"},
		"peer of another history": {func(r *region) { r.server.Lose() }, func(o *recovery.Options) {
			o.Peer = peer{says: recovery.PeerReport{Link: "l", Position: metastore.Head{Seq: 2, Hash: metastore.Hash{1}}}}
		}, recovery.ErrPeerAhead, "another history"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegion(t)
			r.session(1)
			r.archive()
			r.session(1)
			c.prepare(r)
			before := r.position()
			_, err := r.restore(c.options)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %v and %q", err, c.want, c.says)
			}
			if now := r.position(); now.Incarnation != before.Incarnation || now.Head != before.Head {
				t.Error("etcd was changed")
			}
		})
	}
}

// Y6: who leads with another etcd ticks, and is found out.
func TestRestoreOfALivingLog(t *testing.T) {
	r := newRegion(t)
	r.archive()
	elsewhere := memory.NewServer()
	_, err := r.restore(func(o *recovery.Options) {
		o.Log = elsewhere.Open(nil)
		o.Say = func(text string) {
			if strings.HasPrefix(text, "watch") {
				r.session(1)
				r.archive()
			}
		}
		o.Settle = 50_000_000
	})
	if !errors.Is(err, recovery.ErrAlive) {
		t.Fatal(err)
	}
	// One that slept all the while is stopped by the archive.
	r.restored(func(o *recovery.Options) { o.Log = elsewhere.Open(nil) })
	if err := replica.CheckArchive(t.Context(), r.log, objstore.AsObjects(r.bucket)); !errors.Is(err, replica.ErrAhead) {
		t.Fatalf("the old leader goes on: %v", err)
	}
	if err := replica.CheckArchive(t.Context(), elsewhere.Open(nil), objstore.AsObjects(r.bucket)); err != nil {
		t.Fatal(err)
	}
}

// Y4: a region that was taken over comes back fenced, at its old epoch, with counters that have jumped.
func TestRestoreOfAReplacedRegion(t *testing.T) {
	for name, options := range map[string]func(r *region, o *recovery.Options){
		"fence object": func(r *region, _ *recovery.Options) {
			if err := r.bucket.Put(r.t.Context(), "meta/fence/0000000a", objstore.Payload{[]byte("{}")}); err != nil {
				r.t.Fatal(err)
			}
		},
		"peer": func(_ *region, o *recovery.Options) { o.Peer = peer{says: recovery.PeerReport{TookOver: 10}} },
		"fence key": func(r *region, _ *recovery.Options) {
			if err := r.log.WriteFence(r.t.Context(), &metalogpb.Fence{Epoch: 10, Role: "fenced", By: "b"}); err != nil {
				r.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, _, two := lost(t)
			rep := r.restored(func(o *recovery.Options) { options(r, o) })
			pos, st := r.position(), r.load().State
			if !rep.Fenced || rep.Epoch != 1 || pos.Fence.GetEpoch() != 10 || pos.Fence.Role != "fenced" {
				t.Errorf("report %+v, fence %v", rep, pos.Fence)
			}
			if st.NextSession() <= two+1000 || len(r.held()) != 3 {
				t.Errorf("next session %x, held %v", st.NextSession(), r.held())
			}
		})
	}
}

// A region whose epoch a restore has raised still gives way to one that took over without knowing of that.
func TestYieldsAfterRestore(t *testing.T) {
	r, _, _ := lost(t)
	r.restored(nil)
	region := r.load().State.Region()
	if region.Epoch != 9 || !region.Yields(2) || region.Yields(1) || !region.Yields(10) {
		t.Errorf("epoch %d yields above %d", region.Epoch, region.YieldsAbove())
	}
}

// Y3: a shadow's restore takes no epoch that a failover, lost with the log, may have begun.
func TestRestoreOfALostFailover(t *testing.T) {
	r := newRegion(t)
	source := base.ClusterID{2}
	r.emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkCreated{LinkCreated: &metalogpb.LinkCreated{
		Config: &metalogpb.LinkConfig{Name: "l"}, SourceClusterId: source[:], SourceRegionNumber: 2,
	}}})
	r.archive()
	r.server.Lose()
	rep := r.restored(nil)
	if tookOver := base.NextEpoch(1, 1, 2); base.Epoch(rep.Epoch) <= tookOver {
		t.Errorf("restored at epoch %d, a failover may have taken %d", rep.Epoch, tookOver)
	}
	if first := base.EpochOfID(r.load().State.NextProducerID()); first != base.Epoch(rep.Epoch) {
		t.Errorf("ids of epoch %d, restored at %d", first, rep.Epoch)
	}
}

// Y2, Y3: a restore that breaks off leaves nothing that counts, and is run again; an answer that was lost is found.
func TestRestoreBreaksOff(t *testing.T) {
	for _, phase := range []memory.Phase{memory.Before, memory.After} {
		r, _, _ := lost(t)
		broken := errors.New("cut")
		cut := r.server.Open(func(op string, p memory.Phase) error {
			if op == "restore" && p == phase {
				return broken
			}
			return nil
		})
		if _, err := r.restore(func(o *recovery.Options) { o.Log = cut }); !errors.Is(err, broken) {
			t.Fatal(err)
		}
		rep, err := r.restore(nil)
		switch {
		case phase == memory.After && !errors.Is(err, recovery.ErrNotLost):
			t.Errorf("after a lost answer: %v", err)
		case phase == memory.Before && (err != nil || rep.Epoch != 17 || r.load().Incarnation != rep.Incarnation):
			t.Errorf("after one that broke off: %+v, %v", rep, err)
		}
		if err := replica.CheckArchive(t.Context(), r.log, objstore.AsObjects(r.bucket)); err != nil {
			t.Error(err)
		}
	}
}

// Etcd is lost again, and then set back to before the first restore: what each incarnation took over is read in the one before.
func TestRestoreTwice(t *testing.T) {
	r, _, two := lost(t)
	before := r.server.Backup()
	first := r.restored(nil)
	r.lead(r.load().State)
	three := r.session(1)
	r.write(three, 1, 4)
	r.archive()
	r.write(three, 2, 6)
	r.server.SetTo(before)
	second := r.restored(nil)
	if second.Parent != first.Incarnation || second.Epoch != 17 {
		t.Fatalf("%+v", second)
	}
	if got := r.held(); len(got) != 4 || got[3] != name(three, 2, 6) || !strings.Contains(got[2], fmt.Sprintf("%016x", uint64(two))) {
		t.Errorf("held: %v", got)
	}
	all, err := archive.NewReader(objstore.AsObjects(r.bucket)).Read(t.Context(), second.Incarnation, 1, 1<<30)
	if err != nil || len(all) != 4 {
		t.Fatalf("%d entries of the first incarnation, %v", len(all), err)
	}
	reached := r.follow()
	if at := reached(); at != 8 {
		t.Errorf("a replica follows to %d", at)
	}
	if l := r.load(); l.State.Head().Seq != 8 || len(l.State.Restores()) != 2 {
		t.Errorf("state at %d with restores %+v", l.State.Head().Seq, l.State.Restores())
	}
}

// Y1: a damaged snapshot is passed over, one that is ahead of the archive too, a damaged entry ends the restore.
func TestRestoreFromDamage(t *testing.T) {
	r := newRegion(t)
	r.archive()
	old := r.snapshot()
	r.session(1)
	r.archive()
	bad := r.snapshot()
	r.session(1)
	r.snapshot() // ahead
	value, err := r.bucket.Get(t.Context(), bad.Object, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	value = slices.Clone(value)
	value[len(value)-1] ^= 1
	replace(t, r, bad.Object, value)
	r.server.Lose()
	rep := r.restored(func(o *recovery.Options) { o.DryRun = true })
	if rep.SnapshotSeq != old.Seq || rep.ArchivedSeq != 3 || !strings.Contains(strings.Join(rep.Warnings, " "), "cannot be used") {
		t.Errorf("%+v", rep)
	}
	keys, err := objstore.AsObjects(r.bucket).List(t.Context(), "meta/log/", "", 10)
	if err != nil || len(keys) < 2 {
		t.Fatal(keys, err)
	}
	value, _ = r.bucket.Get(t.Context(), keys[1], 1<<20)
	value = slices.Clone(value)
	value[40] ^= 1
	replace(t, r, keys[1], value)
	if _, err := r.restore(nil); !errors.Is(err, base.ErrCorrupt) {
		t.Errorf("a damaged entry: %v", err)
	}
}

func replace(t *testing.T, r *region, key string, value []byte) {
	t.Helper()
	err := r.bucket.Delete(t.Context(), key)
	if err == nil {
		err = r.bucket.Put(t.Context(), key, objstore.Payload{value})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestRestoreWithoutAnArchive(t *testing.T) {
	r := newRegion(t)
	r.server.Lose()
	if _, err := r.restore(nil); !errors.Is(err, recovery.ErrNoArchive) {
		t.Fatal(err)
	}
}
