package agent

import (
	"context"
	"log/slog"
	"sync"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// Header tells where the metalog ends, linearizable.
type Header interface {
	Head(ctx context.Context) (metastore.Point, error)
}

// View is an agent's picture of the cluster: a serving replica, and whoever waits for a change in it.
type View struct {
	head    Header
	replica *replica.Replica

	mu      sync.Mutex
	waiters map[base.TopicPartition]map[*waiter]struct{}
}

type waiter struct {
	once sync.Once
	ch   chan struct{}
}

func (w *waiter) fire() { w.once.Do(func() { close(w.ch) }) }

// NewView returns a view that follows source.
func NewView(source replica.Source, objects archive.Objects, head Header, logger *slog.Logger) *View {
	v := &View{head: head, waiters: map[base.TopicPartition]map[*waiter]struct{}{}}
	v.replica = replica.New(replica.Config{
		Source: source, Objects: objects, Serving: true, AwaitRestore: true, Logger: logger,
		Applied: func(_ metastore.RawEntry, _ *metalogpb.Entry, c state.Changes) { v.wake(c) },
		Reset:   func(*state.State) { v.wake(state.Changes{Catalog: true}) },
	})
	return v
}

// Run follows until ctx ends.
func (v *View) Run(ctx context.Context) error { return v.replica.Run(ctx) }

// State is what the cluster looks like now.
func (v *View) State() *state.State { return v.replica.State() }

// Replica is the replica behind the view.
func (v *View) Replica() *replica.Replica { return v.replica }

// Refresh waits until the view holds everything that was confirmed before the call.
func (v *View) Refresh(ctx context.Context) error {
	head, err := v.head.Head(ctx)
	if err != nil {
		return err
	}
	return v.replica.WaitFor(ctx, head)
}

// Changed implements kafkaapi.Reader.
func (v *View) Changed(partitions []base.TopicPartition) (<-chan struct{}, func()) {
	w := &waiter{ch: make(chan struct{})}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, tp := range partitions {
		if v.waiters[tp] == nil {
			v.waiters[tp] = map[*waiter]struct{}{}
		}
		v.waiters[tp][w] = struct{}{}
	}
	return w.ch, func() { v.forget(w, partitions) }
}

// awaited tells whether somebody waits for a change of the partition.
func (v *View) awaited(tp base.TopicPartition) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.waiters[tp]) > 0
}

func (v *View) forget(w *waiter, partitions []base.TopicPartition) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, tp := range partitions {
		delete(v.waiters[tp], w)
		if len(v.waiters[tp]) == 0 {
			delete(v.waiters, tp)
		}
	}
}

func (v *View) wake(c state.Changes) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c.Catalog {
		for _, ws := range v.waiters {
			for w := range ws {
				w.fire()
			}
		}
		return
	}
	for _, tp := range c.Partitions {
		for w := range v.waiters[tp] {
			w.fire()
		}
	}
}
