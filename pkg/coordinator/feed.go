package coordinator

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
)

const (
	headTimeout = 2 * time.Second
	// feedEntries and feedBytes bound what a coordinator keeps in memory for those that stream from it.
	feedEntries = 4096
	feedBytes   = 64 << 20
	// backlogBytes is how much of the log is read at a time for a follower that is behind the feed.
	backlogBytes = 4 << 20
)

// feed holds the newest entries for followers: etcd is watched once a coordinator, however many follow it.
type feed struct {
	mu      sync.Mutex
	entries []metastore.RawEntry // contiguous
	bytes   int
	head    base.Seq
	changed chan struct{}
}

func newFeed() *feed { return &feed{changed: make(chan struct{})} }

func (f *feed) add(raw metastore.RawEntry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries = append(f.entries, raw)
	f.bytes += len(raw.Value)
	for len(f.entries) > feedEntries || f.bytes > feedBytes && len(f.entries) > 1 {
		f.bytes -= len(f.entries[0].Value)
		f.entries[0] = metastore.RawEntry{}
		f.entries = f.entries[1:]
	}
	f.head = raw.Seq
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *feed) reset(head base.Seq) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries, f.bytes, f.head = nil, 0, head
	close(f.changed)
	f.changed = make(chan struct{})
}

// from returns the entries held from seq on, whether seq is covered by the feed at all, and the signal for more.
func (f *feed) from(seq base.Seq) (entries []metastore.RawEntry, covered bool, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case seq > f.head:
		return nil, true, f.changed
	case len(f.entries) == 0 || seq < f.entries[0].Seq:
		return nil, false, f.changed
	}
	return append([]metastore.RawEntry(nil), f.entries[seq-f.entries[0].Seq:]...), true, f.changed
}

// Follow calls fn for each entry from seq `from` on, in order and without a gap, until ctx ends or fn fails: out of
// memory when it can, else out of etcd, else out of the archive. Many may follow.
func (c *Coordinator) Follow(ctx context.Context, from base.Seq, fn func(metastore.RawEntry) error) error {
	for {
		entries, covered, changed := c.feed.from(from)
		if !covered {
			var err error
			if entries, err = c.backlog(ctx, from); err != nil {
				return err
			}
		}
		for _, raw := range entries {
			if err := fn(raw); err != nil {
				return err
			}
			from = raw.Seq + 1
		}
		if len(entries) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// backlog reads entries that are older than the feed.
func (c *Coordinator) backlog(ctx context.Context, from base.Seq) ([]metastore.RawEntry, error) {
	entries, err := c.cfg.Log.Read(ctx, from, backlogBytes)
	if !errors.Is(err, metastore.ErrTrimmed) {
		return entries, err
	}
	pos, err := c.cfg.Log.Position(ctx)
	if err != nil {
		return nil, err
	}
	return archive.NewReader(c.cfg.Objects).Read(ctx, pos.Incarnation, from, backlogBytes)
}

// KnownHead returns the newest seq that this process has applied.
func (c *Coordinator) KnownHead() base.Seq { return c.replica.Applied() }
