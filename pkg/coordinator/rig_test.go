package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	bucket "github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
)

const patience = 10 * time.Second

// cluster is the metalog and the bucket that coordinators run on.
type cluster struct {
	t      testing.TB
	server *memory.Server
	bucket *bucket.Store
	faults *faults
	clock  *clock
}

func newCluster(t testing.TB) *cluster {
	return &cluster{t: t, server: memory.NewServer(), bucket: bucket.New(), faults: &faults{}, clock: &clock{now: time.UnixMilli(1_700_000_000_000)}}
}

// faults is a hook on every coordinator's calls to the metalog that a test may change.
type faults struct {
	mu   sync.Mutex
	hook memory.Fault
}

func (f *faults) set(hook memory.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = hook
}

func (f *faults) ask(op string, phase memory.Phase) error {
	f.mu.Lock()
	hook := f.hook
	f.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(op, phase)
}

// once fails the next call of an operation.
func (f *faults) once(op string, phase memory.Phase) {
	done := false
	var mu sync.Mutex
	f.set(func(o string, p memory.Phase) error {
		mu.Lock()
		defer mu.Unlock()
		if done || o != op || p != phase {
			return nil
		}
		done = true
		return base.ErrUnavailable
	})
}

// block stops calls of an operation before they take effect, until release is called. entered has a value for each.
func (f *faults) block(op string) (entered <-chan struct{}, release func()) {
	in, out := make(chan struct{}, 100), make(chan struct{})
	f.set(func(o string, p memory.Phase) error {
		if o == op && p == memory.Before {
			in <- struct{}{}
			<-out
		}
		return nil
	})
	return in, sync.OnceFunc(func() { f.set(nil); close(out) })
}

// clock stands still until a test moves it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// member is a coordinator at work.
type member struct {
	*Coordinator
	t     testing.TB
	clock *clock
	stop  context.CancelFunc
	ended chan error
}

// start starts a coordinator under a name.
func (c *cluster) start(name string, change func(*Config)) *member {
	c.t.Helper()
	cfg := Config{
		ID: name, Log: c.server.Open(c.faults.ask), Objects: objstore.AsObjects(c.bucket), Now: c.clock.Now, Logger: slog.New(slog.DiscardHandler),
		Identity: Identity{ClusterID: base.ClusterID{7}, KafkaClusterID: "k", Region: 1, RegionName: "a"}, PeerEvery: 10 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	ctx, stop := context.WithCancel(context.Background())
	m := &member{Coordinator: New(cfg), t: c.t, clock: c.clock, stop: stop, ended: make(chan error, 1)}
	go func() { m.ended <- m.Run(ctx) }()
	c.t.Cleanup(m.end)
	return m
}

// pass lets time pass while the leader is at work: in steps that it does not take for a pause of its own.
func (m *member) pass(d time.Duration) {
	m.t.Helper()
	for d > 0 {
		step := min(d, stallMax*3/4)
		m.clock.advance(step)
		d -= step
		// Wakes the loop, whose timers know nothing of the clock of a test, and has it look at deadlines.
		if err := m.Do(m.t.Context(), func(tx *Tx) error { tx.l.tickGroups(); tx.l.tick(); return nil }); err != nil {
			m.t.Fatal(err)
		}
	}
}

// end stops the coordinator and waits for it.
func (m *member) end() {
	m.t.Helper()
	m.stop()
	select {
	case err := <-m.ended:
		m.ended <- err
	case <-time.After(patience):
		m.t.Error("the coordinator does not end")
	}
}

// lead starts a coordinator that is sure to lead.
func (c *cluster) lead(name string) *member {
	c.t.Helper()
	m := c.start(name, nil)
	m.until("leads", func() bool { return m.Leading() && m.Replica().Applied() > 0 })
	return m
}

func (m *member) until(what string, ok func() bool) {
	m.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Fatalf("the coordinator never %s", what)
		}
	}
}

// head is the head of the log.
func (c *cluster) head() base.Seq { return c.position().Head.Seq }

func (c *cluster) position() metastore.Position {
	c.t.Helper()
	pos, err := c.server.Open(nil).Position(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return pos
}

// emit appends one event.
func (m *member) emit(ev *metalogpb.Event) error {
	return m.Do(m.t.Context(), func(tx *Tx) error { return tx.Emit(ev) })
}

func created(name string) *metalogpb.Event {
	id := base.TopicID{1}
	copy(id[1:], name)
	return &metalogpb.Event{Kind: &metalogpb.Event_TopicCreated{TopicCreated: &metalogpb.TopicCreated{TopicId: id[:], Name: name, Partitions: 1}}}
}

func topicOf(name string) base.TopicID { return base.TopicID(created(name).GetTopicCreated().TopicId) }

// retried does something until it succeeds, as long as the errors are ones that callers try again.
func (m *member) retried(what string, fn func() error) {
	m.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		err := fn()
		if err == nil {
			return
		}
		if !retriable(err) || time.Now().After(deadline) {
			m.t.Fatalf("%s: %v", what, err)
		}
	}
}

func retriable(err error) bool {
	return errors.Is(err, base.ErrUnavailable) || errors.Is(err, base.ErrNotLeader)
}

// commit sends a commit and waits for its answer.
func (m *member) commit(req *metalogpb.CommitRequest) (*metalogpb.CommitResult, error) {
	type answer struct {
		res *metalogpb.CommitResult
		err error
	}
	ch := make(chan answer, 1)
	m.CommitAsync(m.t.Context(), req, func(res *metalogpb.CommitResult, err error) { ch <- answer{res, err} })
	select {
	case a := <-ch:
		return a.res, a.err
	case <-time.After(patience):
		return nil, errors.New("no answer to a commit")
	}
}

// request is commit number n of a session: one batch of three records of producer 5.
func request(session base.SessionID, n uint64, topic string) *metalogpb.CommitRequest {
	id := topicOf(topic)
	return &metalogpb.CommitRequest{Session: uint64(session), Number: n, Size: 1000, Extents: []*metalogpb.ExtentMeta{{
		TopicId: id[:], Position: 48, Length: 100, Batches: []*metalogpb.BatchMeta{batchOf(0, int32(3*(n-1)), 3)},
	}}}
}

// end of a topic's partition 0 in the confirmed state.
func (m *member) endOf(topic string) (end base.Offset) {
	m.t.Helper()
	m.retried("ask for the head", func() error {
		head, err := m.Head(m.t.Context())
		if err != nil {
			return err
		}
		return m.Replica().WaitFor(m.t.Context(), head)
	})
	m.Replica().With(func(st *state.State) {
		if t := st.TopicByName(topic); t != nil {
			end = t.Partition(0).End
		}
	})
	return end
}

func (m *member) forward(req kmsg.Request) (kmsg.Response, error) {
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	return m.Forward(ctx, Client{ID: "c", Host: "h"}, req)
}
