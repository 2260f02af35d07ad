package coordinator

import (
	"context"
	"fmt"
	"sync"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
)

// confirmed is what etcd has confirmed to this process as a leader, beyond all terms: the replica may be behind it.
//
// The walk: (1) A leader has had entry 60 confirmed, and acked it. Every replica is at entry 25, as their watches of an etcd that was
// started again have not begun yet. (2) etcd is set back to entry 25. To the replicas nothing is missing, and the archive reaches no
// further. (3) The leader's next append fails, and its term ends. Without its memory it would lead the log on from 25: sessions,
// producer ids and offsets would be given out again, and of the two histories the archive would get the one that came first.
type confirmed struct {
	mu          sync.Mutex
	incarnation string
	head        metastore.Head
	// entries are contiguous, up to head: what the replica had not applied when they were added, within the bounds of a feed.
	entries []metastore.RawEntry
	bytes   int
}

// add notes an entry, the one behind head unless that is of another log. applied is where the replica is.
func (c *confirmed) add(incarnation string, raw metastore.RawEntry, applied base.Seq) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.incarnation != incarnation || c.head.Seq+1 != raw.Seq {
		c.entries, c.bytes = nil, 0
	}
	c.incarnation, c.head = incarnation, metastore.Head{Seq: raw.Seq, Hash: metastore.HashOf(raw.Value)}
	c.entries, c.bytes = append(c.entries, raw), c.bytes+len(raw.Value)
	for len(c.entries) > 1 && (c.entries[0].Seq <= applied || len(c.entries) > feedEntries || c.bytes > feedBytes) {
		c.bytes -= len(c.entries[0].Value)
		c.entries[0] = metastore.RawEntry{}
		c.entries = c.entries[1:]
	}
}

// from returns what is held of an incarnation from seq on.
func (c *confirmed) from(incarnation string, seq base.Seq) []metastore.RawEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.incarnation != incarnation || len(c.entries) == 0 || seq < c.entries[0].Seq || seq > c.head.Seq {
		return nil
	}
	return append([]metastore.RawEntry(nil), c.entries[seq-c.entries[0].Seq:]...)
}

// any tells whether anything was confirmed to this process.
func (c *confirmed) any() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.head.Seq > 0
}

// check looks whether etcd still has what it has confirmed. An etcd that was restored has another incarnation, and is believed.
func (c *confirmed) check(ctx context.Context, log metastore.Log, pos metastore.Position) error {
	c.mu.Lock()
	incarnation, head := c.incarnation, c.head
	c.mu.Unlock()
	switch {
	case head.Seq == 0 || pos.Head.Seq > 0 && pos.Incarnation != incarnation:
		return nil
	case pos.Head.Seq == 0:
		return fmt.Errorf("etcd is empty, and had confirmed entry %d to this coordinator: etcd lost its data; %w: %w", head.Seq, replica.ErrAhead, base.ErrCorrupt)
	case pos.Head.Seq > head.Seq: // it may have been set back and gone on
		there, err := log.Read(ctx, head.Seq, 1)
		if err != nil || len(there) == 0 || metastore.HashOf(there[0].Value) == head.Hash {
			return nil // what was trimmed was archived, and is compared there
		}
	case pos.Head == head:
		return nil
	}
	return fmt.Errorf("etcd is at seq %d, and had confirmed another entry %d to this coordinator: etcd was set back to a backup; %w: %w",
		pos.Head.Seq, head.Seq, replica.ErrAhead, base.ErrCorrupt)
}
