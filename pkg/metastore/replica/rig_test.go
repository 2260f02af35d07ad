package replica_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
	bucket "github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
)

const patience = 10 * time.Second

// cluster is a metalog, its bucket, and a leader that the test drives by hand.
type cluster struct {
	t       *testing.T
	server  *memory.Server
	objects archive.Objects
	store   *fault.Store
	term    metastore.Term
	seq     *coordinator.Sequencer
	n       int
}

func newCluster(t *testing.T) *cluster {
	store := fault.New(bucket.New(), fault.Options{})
	c := &cluster{t: t, server: memory.NewServer(), store: store, objects: objstore.AsObjects(store)}
	c.seq = coordinator.NewSequencer(state.New(), []byte("one"))
	var err error
	if c.term, err = c.server.Open(nil).Campaign(t.Context(), "leader", ""); err != nil {
		t.Fatal(err)
	}
	id := base.ClusterID{1}
	c.append(&metalogpb.Event{Kind: &metalogpb.Event_ClusterCreated{ClusterCreated: &metalogpb.ClusterCreated{
		ClusterId: id[:], KafkaClusterId: "k", RegionNumber: 1, RegionName: "a", Epoch: 1,
	}}})
	return c
}

// append appends one entry.
func (c *cluster) append(ev *metalogpb.Event, blobs ...[]byte) {
	c.t.Helper()
	if err := c.seq.Emit(1000, ev, blobs...); err != nil {
		c.t.Fatal(err)
	}
	value, _, before, err := c.seq.Next()
	if err != nil {
		c.t.Fatal(err)
	}
	c.appendRaw(before, value)
}

func (c *cluster) appendRaw(before metastore.Head, value []byte) {
	c.t.Helper()
	if err := c.term.Append(c.t.Context(), metastore.Guard{Head: before}, value); err != nil {
		c.t.Fatal(err)
	}
}

// topics appends n entries, each of which creates a topic.
func (c *cluster) topics(n int) {
	c.t.Helper()
	for range n {
		c.n++
		id := base.TopicID{byte(c.n), byte(c.n >> 8)}
		c.append(&metalogpb.Event{Kind: &metalogpb.Event_TopicCreated{TopicCreated: &metalogpb.TopicCreated{
			TopicId: id[:], Name: "t" + id.String(), Partitions: 1,
		}}})
	}
}

func (c *cluster) position() metastore.Position {
	c.t.Helper()
	pos, err := c.server.Open(nil).Position(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return pos
}

// archive archives from the archive's end on, up to a seq, in two objects, and moves the pointer.
func (c *cluster) archive(upTo base.Seq) []*metalogpb.Pointer {
	c.t.Helper()
	from := base.Seq(1)
	if p := c.position().Archive; p != nil {
		from = base.Seq(p.Seq) + 1
	}
	all, err := c.server.Open(nil).Read(c.t.Context(), from, 1<<30)
	if err != nil {
		c.t.Fatal(err)
	}
	all = all[:upTo-from+1]
	var out []*metalogpb.Pointer
	for _, part := range [][]metastore.RawEntry{all[:len(all)/2], all[len(all)/2:]} {
		if len(part) == 0 {
			continue
		}
		p, err := archive.NewWriter(c.objects, c.position().Incarnation).Archive(c.t.Context(), part)
		if err == nil {
			err = c.term.SetArchive(c.t.Context(), p)
		}
		if err != nil {
			c.t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// snapshot writes a snapshot of the head.
func (c *cluster) snapshot() *metalogpb.Pointer {
	c.t.Helper()
	head := c.seq.Head()
	p, err := archive.PutSnapshot(c.t.Context(), c.objects, c.position().Incarnation, head.Seq, head.Hash, snapshot(c.t, c.seq.State()))
	if err == nil {
		err = c.term.SetSnapshot(c.t.Context(), p)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

func (c *cluster) trim(upTo base.Seq) {
	c.t.Helper()
	if err := c.term.Trim(c.t.Context(), upTo); err != nil {
		c.t.Fatal(err)
	}
}

func snapshot(t *testing.T, st *state.State) []byte {
	t.Helper()
	defer st.SetIncarnation(st.Incarnation()) // a WaitFor needs it
	st.SetIncarnation("")
	b, err := st.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// follower is a replica that runs, and what it was seen to apply.
type follower struct {
	*replica.Replica
	t     *testing.T
	ended chan error
	cut   *switchable

	mu      sync.Mutex
	applied []base.Seq
	resets  []base.Seq // where each load ended
}

// switchable lets a test cut a process off from etcd.
type switchable struct {
	mu  sync.Mutex
	off bool
	// asked is called once, after the first answer to where the log is.
	asked func()
}

func (s *switchable) set(off bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = off
}

func (s *switchable) fault(op string, phase memory.Phase) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if op == "position" && phase == memory.After && s.asked != nil {
		s.asked()
		s.asked = nil
	}
	if s.off {
		return base.ErrUnavailable
	}
	return nil
}

func (c *cluster) follow(serving bool) *follower { return c.followFrom(serving, nil) }

func (c *cluster) followFrom(serving bool, asked func()) *follower {
	return c.followAs(replica.Config{Serving: serving}, asked)
}

// followAs starts a replica of the kind that cfg says.
func (c *cluster) followAs(cfg replica.Config, asked func()) *follower {
	f := &follower{t: c.t, ended: make(chan error, 1), cut: &switchable{asked: asked}}
	cfg.Source, cfg.Objects, cfg.Logger, cfg.LookEvery = c.server.Open(f.cut.fault), c.objects, slog.New(slog.DiscardHandler), 100*time.Millisecond
	cfg.Applied = func(raw metastore.RawEntry, _ *metalogpb.Entry, _ state.Changes) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.applied = append(f.applied, raw.Seq)
	}
	cfg.Reset = func(st *state.State) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.resets, f.applied = append(f.resets, st.Head().Seq), nil
	}
	f.Replica = replica.New(cfg)
	ctx, stop := context.WithCancel(c.t.Context())
	go func() { f.ended <- f.Run(ctx) }()
	c.t.Cleanup(func() {
		stop()
		select {
		case err := <-f.ended:
			c.t.Logf("the replica ended with %v", err)
		case <-time.After(patience):
			c.t.Error("the replica does not end")
		}
	})
	return f
}

// reach waits until the follower has applied everything, and compares it with the leader's state.
func (f *follower) reach(c *cluster) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	if err := f.WaitFor(ctx, c.position().Point()); err != nil {
		f.t.Fatal(err)
	}
	f.With(func(st *state.State) {
		if st.Head() != c.seq.Head() || !bytes.Equal(snapshot(f.t, st), snapshot(f.t, c.seq.State())) {
			f.t.Fatalf("at seq %d the replica is not what the leader is at %d", st.Head().Seq, c.seq.Head().Seq)
		}
	})
}

// holds tells whether a wait for the point ends at once, and well.
func (f *follower) holds(point metastore.Point) bool {
	ctx, cancel := context.WithTimeout(f.t.Context(), 10*time.Millisecond)
	defer cancel()
	return f.WaitFor(ctx, point) == nil
}

// halts waits for the follower to give up, with an error of that kind.
func (f *follower) halts(want error) string {
	f.t.Helper()
	select {
	case err := <-f.ended:
		f.ended <- err
		if !errors.Is(err, want) {
			f.t.Fatalf("halted with %v, want %v", err, want)
		}
		return err.Error()
	case <-time.After(patience):
		f.t.Fatalf("goes on at seq %d", f.Applied())
		return ""
	}
}
