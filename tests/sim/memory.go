package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// lostLog is what a coordinator has in memory of a log, and goes on having until it has loaded another one.
type lostLog struct {
	incarnation string
	tail        []metastore.RawEntry
}

// confirmed is what etcd has confirmed to a process as a leader, beyond all terms: pkg/coordinator's. The replica may be behind it.
type confirmed struct {
	incarnation string
	entries     []metastore.RawEntry // contiguous: the newest one, and before it what the replica had not applied
}

func (m *confirmed) add(incarnation string, raw metastore.RawEntry, applied base.Seq) {
	if m.incarnation != incarnation || len(m.entries) == 0 || m.head().Seq+1 != raw.Seq {
		m.entries = nil
	}
	m.incarnation, m.entries = incarnation, append(m.entries, raw)
	for len(m.entries) > 1 && m.entries[0].Seq <= applied {
		m.entries = m.entries[1:]
	}
}

func (m *confirmed) head() metastore.Head {
	if len(m.entries) == 0 {
		return metastore.Head{}
	}
	last := m.entries[len(m.entries)-1]
	return metastore.Head{Seq: last.Seq, Hash: metastore.HashOf(last.Value)}
}

// recall looks whether etcd still has what it has confirmed to this process.
func (c *coord) recall() error {
	head := c.sure.head()
	if !c.r.w.lossy || head.Seq == 0 || c.r.w.bug == lagging {
		return nil
	}
	pos, err := c.log.Position(context.Background())
	if err != nil || pos.Head == head || pos.Head.Seq > 0 && pos.Incarnation != c.sure.incarnation {
		return err
	}
	if pos.Head.Seq > head.Seq {
		there, err := c.log.Read(context.Background(), head.Seq, 1)
		if err != nil || len(there) == 0 || metastore.HashOf(there[0].Value) == head.Hash {
			return nil // or it is compared later
		}
	}
	return fmt.Errorf("etcd is at seq %d, and has confirmed entry %d: %w", pos.Head.Seq, head.Seq, replica.ErrAhead)
}

// remembers is all that this process has of a log, contiguous: what it has applied, and what was confirmed to it behind that.
func (c *coord) remembers(l lostLog) (incarnation string, entries []metastore.RawEntry) {
	incarnation, entries = l.incarnation, l.tail[:len(l.tail):len(l.tail)]
	if incarnation == "" {
		incarnation = c.sure.incarnation
	}
	if incarnation != c.sure.incarnation {
		return incarnation, entries
	}
	for _, raw := range c.sure.entries {
		if len(entries) == 0 || raw.Seq == entries[len(entries)-1].Seq+1 {
			entries = append(entries, raw)
		}
	}
	return incarnation, entries
}

// keepTail archives what is in memory of a log that is lost: pkg/coordinator's savetail. It tells whether all of it is archived.
func (c *coord) keepTail(l lostLog) bool {
	incarnation, entries := c.remembers(l)
	if len(entries) == 0 {
		return true
	}
	reader := archive.NewReader(c.objects)
	end, err := reader.Reach(context.Background(), incarnation)
	var at metastore.Head
	if err == nil && end > 0 {
		var last []metastore.RawEntry
		if last, err = reader.Read(context.Background(), incarnation, end, 1); err == nil && len(last) > 0 {
			at = metastore.Head{Seq: end, Hash: metastore.HashOf(last[0].Value)}
		}
	}
	for err == nil && at.Seq < entries[len(entries)-1].Seq {
		if at.Seq+1 < entries[0].Seq || at.Seq < end {
			return false // not in memory any more, or it cannot be read
		}
		rest := entries[at.Seq+1-entries[0].Seq:]
		e, decodeErr := metastore.DecodeEntry(rest[0].Value)
		if decodeErr != nil || metastore.CheckNext(at, rest[0], e) != nil {
			c.r.w.logf("%s: the archive goes on otherwise than what it remembers, from seq %d on", c, at.Seq+1)
			return true
		}
		pointer, putErr := archive.NewWriter(c.objects, incarnation).Archive(context.Background(), rest)
		if err = putErr; err == nil {
			at = metastore.Head{Seq: base.Seq(pointer.Seq), Hash: metastore.Hash(pointer.Hash)}
		}
	}
	c.r.w.logf("%s archives what it has of the lost log, from seq %d to %d: %v", c, end+1, at.Seq, err)
	return err == nil
}

// archiveOf is a coordinator's hold on the objects of the metalog. With the mistake overwritten the store ignores what makes a PUT conditional, so that
// one that comes late takes the place of what is there.
type archiveOf struct {
	archive.Objects
	r    *Region
	late func() error // a PUT that is on its way
}

func (a *archiveOf) PutIfAbsent(ctx context.Context, key string, value []byte) error {
	w := a.r.w
	if w.bug != overwritten || !strings.HasPrefix(key, "meta/log/") {
		return a.Objects.PutIfAbsent(ctx, key, value)
	}
	put := func() error {
		if err := a.r.bucket.Delete(ctx, key); err != nil && !errors.Is(err, base.ErrNotFound) {
			return err
		}
		return a.r.bucket.Put(ctx, key, objstore.Payload{value})
	}
	if a.late == nil && w.chance(8) {
		a.late = put
		return base.ErrUnavailable
	}
	err := put()
	if a.late != nil {
		err = errors.Join(err, a.late())
		a.late = nil
	}
	return err
}
