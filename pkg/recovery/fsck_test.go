package recovery_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/recovery"
)

func (r *region) check(change func(*recovery.CheckOptions)) *recovery.CheckReport {
	r.t.Helper()
	o := recovery.CheckOptions{Bucket: r.bucket, Log: r.log, Deep: true, Now: time.Now, Say: func(string) {}, CatchUp: 20 * time.Millisecond}
	if change != nil {
		change(&o)
	}
	rep, err := recovery.Check(r.t.Context(), o)
	if err != nil {
		r.t.Fatal(err)
	}
	return rep
}

func TestCheckOfASoundRegion(t *testing.T) {
	r := newRegion(t)
	old := r.session(2)
	r.write(old, 1, 4)
	r.put(old, 2, 1)
	r.archive()
	one := r.session(2)
	r.write(one, 1, 10)
	r.archive()
	r.snapshot()
	r.write(one, 2, 7)
	r.archive()
	r.write(one, 3, 1) // behind the archive: still in flight to fsck
	r.put(one, 4, 2)
	three := r.session(3)
	r.put(three, 1, 1)
	rep := r.check(nil)
	want := map[state.ObjectClass]int64{state.Named: 3, state.Garbage: 1, state.InFlight: 2, state.Newer: 1}
	for class, n := range want {
		if rep.Objects[class].Objects != n {
			t.Errorf("%d objects are %s, want %d", rep.Objects[class].Objects, class, n)
		}
	}
	if !rep.Clean || rep.Partitions != 2 || rep.Spans != 3 || rep.ArchiveFiles != 3 {
		t.Errorf("%+v", rep)
	}
	r.server.Lose()
	r.restored(nil)
	if rep = r.check(nil); !rep.Clean || rep.Objects[state.Quarantined].Objects != 3 {
		t.Errorf("after a restore: %+v", rep)
	}
}

// Each kind of damage is found, and nothing else.
func TestCheckFinds(t *testing.T) {
	key := func(id base.SessionID, n uint64) string {
		return base.ObjectID{Session: id, Number: base.ObjectNumber(n)}.Key()
	}
	for name, c := range map[string]struct {
		damage func(r *region, session base.SessionID)
		kinds  []string
	}{
		"object gone": {func(r *region, s base.SessionID) {
			if err := r.bucket.Delete(r.t.Context(), key(s, 1)); err != nil {
				r.t.Fatal(err)
			}
		}, []string{recovery.FindMissing}},
		"object shorter": {func(r *region, s base.SessionID) {
			replace(r.t, r, key(s, 2), r.get(key(s, 2))[:100])
		}, []string{recovery.FindDamaged}},
		"a bit flipped": {func(r *region, s base.SessionID) {
			b := r.get(key(s, 2))
			b[100] ^= 1
			replace(r.t, r, key(s, 2), b)
		}, []string{recovery.FindDamaged}},
		"two objects swapped": {func(r *region, s base.SessionID) {
			one, two := r.get(key(s, 1)), r.get(key(s, 3))
			replace(r.t, r, key(s, 1), two)
			replace(r.t, r, key(s, 3), one)
		}, []string{recovery.FindChain}},
		"strangers": {func(r *region, s base.SessionID) {
			replace(r.t, r, "data/hello", []byte("x"))
			replace(r.t, r, key(s-1<<10, 1), []byte("x"))
		}, []string{recovery.FindUnknown, recovery.FindUnknown}},
		"archive with a hole": {func(r *region, _ base.SessionID) {
			keys, err := objstore.AsObjects(r.bucket).List(r.t.Context(), "meta/log/", "", 10)
			if err == nil {
				err = r.bucket.Delete(r.t.Context(), keys[0])
			}
			if err != nil {
				r.t.Fatal(err)
			}
		}, []string{recovery.FindArchive, recovery.FindArchive}}, // by name, and by the replay
		"snapshot of another state": {func(r *region, _ base.SessionID) {
			st := r.load().State
			id := base.TopicID{9}
			if _, err := st.ApplyPending(&metalogpb.Event{Kind: &metalogpb.Event_TopicCreated{TopicCreated: &metalogpb.TopicCreated{TopicId: id[:], Name: "x", Partitions: 1}}}, 0, nil); err != nil {
				r.t.Fatal(err)
			}
			payload, err := st.Snapshot()
			if err == nil {
				_, err = archive.PutSnapshot(r.t.Context(), objstore.AsObjects(r.bucket), st.Incarnation(), st.Head().Seq, st.Head().Hash, payload)
			}
			if err != nil {
				r.t.Fatal(err)
			}
		}, []string{recovery.FindArchive}},
		"etcd lost":     {func(r *region, _ base.SessionID) { r.server.Lose() }, []string{recovery.FindEtcd}},
		"etcd set back": {func(r *region, _ base.SessionID) { r.server.SetBack(3) }, []string{recovery.FindEtcd}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegion(t)
			s := r.session(1)
			r.write(s, 1, 5)
			r.archive()
			r.write(s, 2, 6)
			r.write(s, 3, 5)
			r.archive()
			r.snapshot()
			c.damage(r, s)
			rep := r.check(nil)
			var kinds []string
			for _, f := range rep.Findings {
				kinds = append(kinds, f.Kind)
			}
			if rep.Clean || !slices.Equal(kinds, c.kinds) {
				t.Errorf("findings %+v, want %v", rep.Findings, c.kinds)
			}
		})
	}
}

// Y7: what is wrong by the state that was read, and not by a later one, is no finding; nor is what is wrong for want of a later one.
func TestCheckLooksAgain(t *testing.T) {
	r := newRegion(t)
	s := r.session(1)
	r.write(s, 1, 5)
	r.archive()
	deleted := func() {
		r.emit(&metalogpb.Event{Kind: &metalogpb.Event_RecordsDeleted{RecordsDeleted: &metalogpb.RecordsDeleted{TopicId: topicID[:], LogStart: 5}}})
		if err := r.bucket.Delete(t.Context(), base.ObjectID{Session: s, Number: 1}.Key()); err != nil {
			t.Fatal(err)
		}
	}
	once := false
	rep := r.check(func(o *recovery.CheckOptions) {
		o.Deep = false
		o.Say = func(text string) {
			switch {
			case strings.HasPrefix(text, "archive") && !once:
				once = true
				deleted() // collected while the check runs
			case strings.HasSuffix(text, "again"):
				r.archive()
			}
		}
	})
	if !rep.Clean || !once {
		t.Errorf("%+v", rep.Findings)
	}
}

// Holes, overlaps and wrong counts cannot come out of Apply: they are put into a snapshot.
func TestCheckOfTheIndex(t *testing.T) {
	for name, c := range map[string]struct {
		bend func(m *metalogpb.Snapshot)
		kind string
	}{
		"hole": {func(m *metalogpb.Snapshot) {
			p := m.Topics[0].Partitions[0]
			p.Spans = append(p.Spans[:1:1], p.Spans[2:]...)
			m.Objects[1].References = 0
		}, recovery.FindHole},
		"no span at the end": {func(m *metalogpb.Snapshot) {
			p := m.Topics[0].Partitions[0]
			p.Spans = p.Spans[:2]
			m.Objects[2].References = 0
		}, recovery.FindHole},
		"overlap":        {func(m *metalogpb.Snapshot) { m.Topics[0].Partitions[0].Spans[1].BaseOffset-- }, recovery.FindOverlap},
		"reference":      {func(m *metalogpb.Snapshot) { m.Objects[0].References++ }, recovery.FindCount},
		"beyond the end": {func(m *metalogpb.Snapshot) { m.Topics[0].Partitions[0].Spans[1].Length += 1 << 20 }, recovery.FindRange},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegion(t)
			s := r.session(1)
			for n := range uint64(3) {
				r.write(s, n+1, 5)
			}
			r.archive()
			payload, err := r.seq.State().Snapshot()
			var m metalogpb.Snapshot
			if err == nil {
				err = proto.Unmarshal(payload, &m)
			}
			if err != nil {
				t.Fatal(err)
			}
			c.bend(&m)
			if payload, err = proto.Marshal(&m); err == nil {
				head := r.seq.Head()
				_, err = archive.PutSnapshot(t.Context(), objstore.AsObjects(r.bucket), r.position().Incarnation, head.Seq, head.Hash, payload)
			}
			if err != nil {
				t.Fatal(err)
			}
			rep := r.check(func(o *recovery.CheckOptions) { o.Deep = false })
			if len(rep.Findings) != 1 || rep.Findings[0].Kind != c.kind {
				t.Errorf("findings %+v, want one %s", rep.Findings, c.kind)
			}
		})
	}
}

// get returns a copy of an object.
func (r *region) get(key string) []byte {
	r.t.Helper()
	b, err := r.bucket.Get(r.t.Context(), key, 1<<30)
	if err != nil {
		r.t.Fatal(err)
	}
	return slices.Clone(b)
}
