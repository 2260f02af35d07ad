package replica_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
)

// R1: a start is snapshot, archive and log, whichever of them there are, and each entry is applied once.
func TestLoad(t *testing.T) {
	for name, prepare := range map[string]func(c *cluster) (loadedTo base.Seq){
		"log":                    func(*cluster) base.Seq { return 0 },
		"archive and log":        func(c *cluster) base.Seq { c.archive(5); c.trim(4); return 5 },
		"snapshot and log":       func(c *cluster) base.Seq { c.snapshot(); return 7 },
		"snapshot ahead":         func(c *cluster) base.Seq { c.archive(5); c.snapshot(); c.trim(7); return 7 },
		"snapshot, archive, log": func(c *cluster) base.Seq { c.snapshot(); c.topics(4); c.archive(10); c.trim(9); return 10 },
		"nothing left in etcd":   func(c *cluster) base.Seq { c.archive(7); c.trim(7); return 7 },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.topics(6)
			loaded := prepare(c)
			f := c.follow(false)
			f.reach(c)
			c.topics(2)
			f.reach(c)
			f.mu.Lock()
			defer f.mu.Unlock()
			if len(f.resets) != 1 || f.resets[0] != loaded {
				t.Errorf("loaded to %v, want %d", f.resets, loaded)
			}
			for i, seq := range f.applied {
				if seq != loaded+1+base.Seq(i) {
					t.Fatalf("applied %v behind %d", f.applied, loaded)
				}
			}
		})
	}
}

// R2: WaitFor does not return before the entry is applied, and says that it may pass by itself when it gives up.
func TestWaitFor(t *testing.T) {
	c := newCluster(t)
	f := c.follow(true)
	if err := f.WaitFor(t.Context(), metastore.Point{Seq: 1}); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := f.WaitFor(short, metastore.Point{Seq: 2}); !errors.Is(err, base.ErrUnavailable) {
		t.Fatalf("an entry that is not there: %v", err)
	}
	f.cut.set(true)
	waited := make(chan error, 1)
	go func() { waited <- f.WaitFor(t.Context(), metastore.Point{Seq: 3}) }()
	c.topics(2)
	select {
	case err := <-waited:
		t.Fatalf("returned before the entry was applied: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	f.cut.set(false)
	if err := <-waited; err != nil || f.Applied() < 3 || f.State().TopicByName("t"+base.TopicID{2}.String()) == nil {
		t.Fatalf("%v at %d", err, f.Applied())
	}
}

// R1: a replica whose entries were trimmed meanwhile goes on from the archive, and misses nothing.
func TestTrimmedMeanwhile(t *testing.T) {
	for _, serving := range []bool{false, true} {
		c := newCluster(t)
		c.topics(3)
		f := c.follow(serving)
		if err := f.WaitFor(t.Context(), metastore.Point{Seq: 4}); err != nil {
			t.Fatal(err)
		}
		f.cut.set(true)
		c.topics(20)
		c.archive(20)
		c.trim(18)
		f.cut.set(false)
		if err := f.WaitFor(t.Context(), metastore.Point{Seq: 24}); err != nil {
			t.Fatal(err)
		}
		if !serving {
			f.reach(c)
		}
		if got, want := len(f.State().Topics()), len(c.seq.State().Topics()); got != want {
			t.Fatalf("%d topics, want %d", got, want)
		}
	}
}

// R1: an etcd that was set back, and whose leader has gone another way since: the replica throws its state away.
func TestAnotherHistory(t *testing.T) {
	c := newCluster(t)
	c.topics(5)
	f := c.follow(false)
	f.reach(c)
	c.server.SetBack(3)
	c.lead(3)
	c.n = 100
	c.topics(4)
	f.reach(c)
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.resets) != 2 {
		t.Fatalf("loaded %d times", len(f.resets))
	}
}

// lead makes a leader whose state is the log up to a seq.
func (c *cluster) lead(upTo base.Seq) {
	c.t.Helper()
	st := state.New()
	all, err := c.server.Open(nil).Read(c.t.Context(), 1, 1<<30)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, raw := range all[:upTo] {
		in, err := state.Decode(raw)
		if err == nil {
			_, err = st.Apply(in)
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
	c.seq = coordinator.NewSequencer(st, []byte("two"))
}

// An etcd that is behind the bucket's archive was set back to a backup: nobody may go on from there.
func TestSetBackBehindTheArchive(t *testing.T) {
	c := newCluster(t)
	c.topics(9)
	c.archive(10)
	c.server.SetBack(8)
	if why := c.follow(false).halts(base.ErrCorrupt); !strings.Contains(why, "set back") {
		t.Fatalf("the operator is told %q", why)
	}
}

// An archive that grows while a replica loads is no etcd that was set back: what it reads of the bucket may be younger than the position
// that it began with.
func TestArchiveGrowsMeanwhile(t *testing.T) {
	c := newCluster(t)
	c.topics(5)
	c.archive(3)
	grown := make(chan struct{})
	f := c.followFrom(false, func() {
		c.topics(4)
		c.archive(10)
		close(grown)
	})
	<-grown
	f.reach(c)
}

// An entry of a newer build halts the replica, where it is; it does not skip, and does not try again for ever.
func TestNewerEntryHalts(t *testing.T) {
	c := newCluster(t)
	f := c.follow(false)
	f.reach(c)
	before := c.seq.Head()
	value, err := metastore.EncodeEntry(&metalogpb.Entry{Seq: uint64(before.Seq) + 1, PrevHash: before.Hash[:], FeatureLevel: state.FeatureLevel + 1})
	if err != nil {
		t.Fatal(err)
	}
	c.appendRaw(before, value)
	if why := f.halts(base.ErrVersion); !strings.Contains(why, "upgrade") {
		t.Fatalf("the operator is told %q", why)
	}
	if f.Applied() != before.Seq {
		t.Fatalf("went on to %d", f.Applied())
	}
}

// Damage in the bucket halts; it is not taken for an empty archive.
func TestDamagedBucketHalts(t *testing.T) {
	for name, damage := range map[string]func(c *cluster){
		"a snapshot":                   func(c *cluster) { c.damage(c.snapshot().Object) },
		"an archived log":              func(c *cluster) { c.damage(c.archive(7)[1].Object) },
		"an archived log that is gone": func(c *cluster) { c.remove(c.archive(7)[0].Object) },
		"the last archived log, gone":  func(c *cluster) { c.remove(c.archive(7)[1].Object) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.topics(6)
			damage(c)
			c.follow(false).halts(base.ErrCorrupt)
		})
	}
}

func (c *cluster) remove(key string) {
	c.t.Helper()
	if err := c.store.Delete(c.t.Context(), key); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) damage(key string) {
	c.t.Helper()
	value, err := c.store.Get(c.t.Context(), key, 1<<30)
	if err != nil {
		c.t.Fatal(err)
	}
	value = bytes.Clone(value)
	value[len(value)/2] ^= 1
	c.remove(key)
	if err := c.store.Put(c.t.Context(), key, objstore.Payload{value}); err != nil {
		c.t.Fatal(err)
	}
}

// R2: a bucket that is away when the process starts is waited for; until then not even WaitFor(0) returns, as a view that was
// never loaded is not an empty cluster.
func TestBucketComesLater(t *testing.T) {
	c := newCluster(t)
	c.topics(6)
	c.archive(7)
	c.snapshot()
	c.store.SetHook(func(objstore.Op, string, fault.Phase) error { return fault.ErrInjected })
	f := c.follow(false)
	short, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := f.WaitFor(short, metastore.Point{}); !errors.Is(err, base.ErrUnavailable) || f.Loaded() {
		t.Fatalf("loaded without the bucket: %v", err)
	}
	c.store.SetHook(nil)
	f.reach(c)
}

// An entry that names a blob is applied once the blob is loaded, and waits for it when the bucket is away.
func TestBlobs(t *testing.T) {
	c, source := newCluster(t), newCluster(t)
	source.topics(2)
	payload := snapshot(t, source.seq.State())
	hash, err := archive.PutBlob(t.Context(), c.objects, payload)
	if err != nil {
		t.Fatal(err)
	}
	f := c.follow(false)
	f.reach(c)
	c.store.SetHook(func(objstore.Op, string, fault.Phase) error { return fault.ErrInjected })
	id := base.ClusterID{9}
	c.append(&metalogpb.Event{Kind: &metalogpb.Event_LinkCreated{LinkCreated: &metalogpb.LinkCreated{
		Config: &metalogpb.LinkConfig{Name: "l"}, SourceClusterId: id[:],
	}}})
	c.append(&metalogpb.Event{Kind: &metalogpb.Event_LinkAdopted{LinkAdopted: &metalogpb.LinkAdopted{Link: "l", SnapshotBlob: hash[:]}}}, payload)
	c.topics(1)
	time.Sleep(30 * time.Millisecond)
	if f.Applied() >= 3 {
		t.Fatal("an entry was applied without its blob")
	}
	c.store.SetHook(nil)
	f.reach(c)
	f.With(func(st *state.State) {
		var m metalogpb.Snapshot
		if err := proto.Unmarshal(payload, &m); err != nil || len(st.Link("l").Image().Topics()) != len(m.Topics) {
			t.Fatalf("the image is not what the blob holds (%v)", err)
		}
	})
}
