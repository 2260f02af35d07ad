package shadow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// world is a source as a link reaches it: its coordinator, its bucket and its etcd, each of which may be away.
type world struct {
	a *region

	mu     sync.Mutex
	bucket objstore.Store   // nil: the source's as it is
	away   map[string]error // "coordinator", "bucket", "etcd", "fence": why
	fence  *metalogpb.Fence
	did    []string // what was done to the source, in order
}

func (w *world) set(what string, away bool) {
	if away {
		w.fail(what, base.ErrUnavailable)
	} else {
		w.fail(what, nil)
	}
}

func (w *world) fail(what string, why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away[what] = why
}

func (w *world) reach(what string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if why := w.away[what]; why != nil {
		return fmt.Errorf("%s of the source: %w", what, why)
	}
	return nil
}

func (w *world) Source(*metalogpb.LinkConfig) (Source, error) { return w, nil }

func (w *world) Bucket(context.Context, *metalogpb.LinkConfig) (objstore.Store, error) {
	w.mu.Lock()
	bucket := w.bucket
	w.mu.Unlock()
	if bucket == nil {
		bucket = w.a.bucket
	}
	return bucket, w.reach("bucket")
}

func (w *world) setBucket(s objstore.Store) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bucket = s
}

// fallen is a bucket that may not answer for a while.
type fallen struct {
	objstore.Store
	down atomic.Bool
}

func (f *fallen) set(down bool) { f.down.Store(down) }

func (f *fallen) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	if f.down.Load() {
		return nil, fmt.Errorf("get %s: %w", key, base.ErrUnavailable)
	}
	return f.Store.Get(ctx, key, limit)
}

func (f *fallen) Close() error { return nil } // the next stream uses it, too

func (w *world) Etcd(context.Context, *metalogpb.LinkConfig, base.ClusterID) (FrozenLog, error) {
	return frozen{w}, w.reach("etcd")
}

func (w *world) Describe(context.Context) (*adminpb.DescribeResponse, error) {
	cluster := w.a.cluster()
	return &adminpb.DescribeResponse{ClusterId: cluster[:], HeadSeq: uint64(len(w.entries()))}, w.reach("coordinator")
}

func (w *world) entries() []metastore.RawEntry {
	w.a.mu.Lock()
	defer w.a.mu.Unlock()
	return slices.Clone(w.a.entries)
}

func (w *world) Follow(ctx context.Context, from base.Seq, _ string, fn func(metastore.RawEntry, base.Seq) error) error {
	for ctx.Err() == nil {
		if err := w.reach("coordinator"); err != nil {
			return err
		}
		list := w.entries()
		for _, raw := range list[min(len(list), int(from)-1):] {
			if err := fn(raw, base.Seq(len(list))); err != nil {
				return err
			}
			from = raw.Seq + 1
		}
		time.Sleep(time.Millisecond)
	}
	return ctx.Err()
}

func (w *world) Heads(context.Context) (*adminpb.HeadsResponse, error) {
	if err := w.reach("coordinator"); err != nil {
		return nil, err
	}
	w.a.mu.Lock()
	defer w.a.mu.Unlock()
	head := w.a.seq.Head()
	out := &adminpb.HeadsResponse{Seq: uint64(head.Seq), Hash: head.Hash[:]}
	for _, t := range w.a.seq.State().Topics() {
		id := t.Info().ID
		for i := range t.Partitions() {
			p := t.Partition(i)
			out.Partitions = append(out.Partitions, &adminpb.PartitionHead{TopicId: id[:], Partition: i, EndOffset: int64(p.End), Chain: p.Chain[:]})
		}
	}
	return out, nil
}

// frozen is the source's log in its etcd.
type frozen struct{ w *world }

func (f frozen) MayFence(context.Context) error { return f.w.reach("fence") }

func (f frozen) WriteFence(_ context.Context, fence *metalogpb.Fence) error {
	if err := f.w.reach("fence"); err != nil {
		return err
	}
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	if err := metastore.CheckFence(f.w.fence, fence); err != nil {
		return err
	}
	f.w.fence, f.w.did = fence, append(f.w.did, "fence")
	return nil
}

func (f frozen) Position(context.Context) (metastore.Position, error) {
	f.w.a.mu.Lock()
	defer f.w.a.mu.Unlock()
	return metastore.Position{Head: f.w.a.seq.Head()}, nil
}

func (f frozen) Read(_ context.Context, from base.Seq, _ int) ([]metastore.RawEntry, error) {
	f.w.mu.Lock()
	f.w.did = append(f.w.did, "read")
	f.w.mu.Unlock()
	return f.w.entries()[from-1:], nil
}

func (f frozen) Close() error { return nil }

// link is a runner at work between two regions.
type link struct {
	*Runner
	w    *world
	a, b *region
	done chan error
}

func startLink(t *testing.T) *link {
	a, b := newRegion(t, 1), newRegion(t, 2)
	b.shadow(a, "*")
	return follow(t, a, b)
}

// follow runs b's link to a.
func follow(t *testing.T, a, b *region) *link { return followWith(t, a, b, nil) }

func followWith(t *testing.T, a, b *region, m *Metrics) *link {
	w := &world{a: a, away: map[string]error{}}
	l := &link{w: w, a: a, b: b, done: make(chan error, 1)}
	l.Runner = NewRunner(Config{
		Link: "l", Metalog: b, Remote: w, Bucket: b.bucket, Copier: &ObjectCopier{Cluster: b.cluster(), Bucket: b.bucket},
		Now: time.Now, Logger: slog.New(slog.DiscardHandler), Metrics: m,
	})
	ctx, stop := context.WithCancel(t.Context())
	go func() { l.done <- l.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-l.done; err != nil {
			t.Errorf("the runner ended with %v", err)
		}
	})
	return l
}

// atSource changes the source while the link runs.
func (l *link) atSource(fn func(a *region)) {
	l.a.mu.Lock()
	defer l.a.mu.Unlock()
	fn(l.a)
}

// until waits for something about the link in b's state.
func (l *link) until(what string, ok func(*state.Link) bool) {
	l.b.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		good := false
		l.b.With(func(st *state.State) { good = ok(st.Link("l")) })
		if good {
			return
		}
		if time.Now().After(deadline) {
			l.b.t.Fatalf("the link never %s; problem: %s", what, l.look().problem)
		}
	}
}

func (l *link) caughtUp() {
	l.b.t.Helper()
	head := base.Seq(len(l.w.entries()))
	l.until("caught up", func(x *state.Link) bool { return x.Info().Position.Seq >= head })
}

// L4: an object that cannot be had faults its topics on this link, also one that was created just before; no other is stopped.
func TestRunnerFaultsTopics(t *testing.T) {
	l := startLink(t)
	l.atSource(func(a *region) {
		a.topic("bad")
		a.topic("good")
		id := a.produce(to{"bad", 0, 2, 'a'})
		a.flip(id.Key(), 100, 1)
		a.produce(to{"good", 0, 2, 'b'})
		gone := a.produce(to{"bad", 1, 2, 'c'})
		a.remove(gone.Key())
	})
	l.caughtUp()
	l.until("faulted the topic", func(x *state.Link) bool { return x.Image().TopicByName("bad").Info().Fault != "" })
	l.atSource(func(a *region) { a.produce(to{"good", 0, 1, 'd'}, to{"bad", 0, 1, 'e'}) })
	l.caughtUp()
	l.b.With(func(st *state.State) {
		image := st.Link("l").Image()
		if good := image.TopicByName("good"); good.Info().Fault != "" || good.Partition(0).End != 3 || notLocal(good.Partition(0)) != 0 {
			t.Errorf("the other topic: %+v", good.Partition(0))
		}
		if bad := image.TopicByName("bad"); bad.Partition(0).End != 3 || notLocal(bad.Partition(0)) == 0 {
			t.Errorf("the faulted topic: %+v", bad.Partition(0))
		}
	})
}

// L5: with the source's etcd in reach a failover fences first, then drains what its dead processes left, then flips: RPO 0.
func TestFailoverFencesFirst(t *testing.T) {
	l := startLink(t)
	l.atSource(func(a *region) { a.topic("x"); a.produce(to{"x", 0, 2, 'a'}) })
	l.caughtUp()
	l.w.set("coordinator", true)
	time.Sleep(5 * time.Millisecond) // the stream notices
	l.atSource(func(a *region) { a.produce(to{"x", 0, 3, 'b'}) })
	report, err := l.Failover(t.Context(), Options{})
	if err != nil || report.Mode != ModeFenced || report.Epoch != 10 || *report.RpoSeconds != 0 {
		t.Fatalf("%v, %v", report, err)
	}
	l.w.mu.Lock()
	if len(l.w.did) < 2 || l.w.did[0] != "fence" || l.w.fence.Epoch != 10 || l.w.fence.Role != "fenced" {
		t.Errorf("done to the source: %v, %v", l.w.did, l.w.fence)
	}
	l.w.mu.Unlock()
	l.b.With(func(st *state.State) {
		if p := st.TopicByName("x").Partition(0); p.End != 5 || notLocal(p) != 0 {
			t.Errorf("after the flip %+v", p)
		}
	})
	if fences, err := l.a.bucket.List(t.Context(), "meta/fence/", "", 9); err != nil || len(fences) != 1 || !strings.HasSuffix(fences[0].Key, "0000000a") {
		t.Errorf("fence objects %v, %v", fences, err)
	}
}

// L6: the flip is one append, after which nothing is applied; asking again gives the same answer and appends nothing.
func TestFailoverOnce(t *testing.T) {
	l := startLink(t)
	l.atSource(func(a *region) { a.topic("x"); a.produce(to{"x", 0, 2, 'a'}) })
	l.caughtUp()
	l.w.set("etcd", true)
	first, err := l.Failover(t.Context(), Options{})
	if err != nil || first.Mode != ModeCut || first.Partitions[0].EndOffset != 2 {
		t.Fatalf("%v, %v", first, err)
	}
	l.atSource(func(a *region) { a.produce(to{"x", 0, 1, 'b'}) })
	select {
	case err := <-l.done:
		l.done <- err
		if err != nil {
			t.Errorf("the runner ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the runner goes on after the flip")
	}
	entries := len(l.b.entries)
	second, err := l.Failover(t.Context(), Options{})
	if err != nil || second.Epoch != first.Epoch || second.CutSeq != first.CutSeq || second.Mode != first.Mode || len(l.b.entries) != entries {
		t.Errorf("again: %v, %v", second, err)
	}
	l.b.With(func(st *state.State) {
		if p := st.TopicByName("x").Partition(0); p.End != 2 {
			t.Errorf("moved on to %d after the flip", p.End)
		}
	})
}

// Bytes below the cut that are not here are not given up without consent, and nothing is flipped until it is given.
func TestFailoverAsksForConsent(t *testing.T) {
	l := startLink(t)
	l.atSource(func(a *region) {
		a.topic("x")
		id := a.produce(to{"x", 0, 2, 'a'})
		a.remove(id.Key())
	})
	l.until("faulted the topic", func(x *state.Link) bool {
		topic := x.Image().TopicByName("x")
		return topic != nil && topic.Info().Fault != ""
	})
	l.w.set("etcd", true)
	if _, err := l.Failover(t.Context(), Options{}); !errors.Is(err, ErrNeedsConsent) {
		t.Fatalf("without consent: %v", err)
	}
	l.until("stayed a shadow", (*state.Link).Active)
	report, err := l.Failover(t.Context(), Options{AcceptMissing: true})
	if err != nil || report.Epoch != 10 {
		t.Fatalf("%v, %v", report, err)
	}
}

// Verify holds the applier, compares both sides at one seq, and lets it go on.
func TestVerify(t *testing.T) {
	l := startLink(t)
	l.atSource(func(a *region) { a.topic("x"); a.produce(to{"x", 0, 2, 'a'}) })
	l.caughtUp()
	if got, err := l.Verify(t.Context()); err != nil || !got.Equal || got.Partitions != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	l.atSource(func(a *region) { a.produce(to{"x", 1, 2, 'b'}) })
	l.caughtUp()
	l.w.set("coordinator", true)
	if got, err := l.Verify(t.Context()); err != nil || got.Equal || !got.SourceUnreachable {
		t.Fatalf("without the source: %v, %v", got, err)
	}
}
