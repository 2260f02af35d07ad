package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// saveTailTimeout bounds the last thing that a coordinator does.
const saveTailTimeout = 10 * time.Second

// saveTail archives what this process has of a log that etcd has lost. Each coordinator, a standby too, has the newest entries in memory:
// so as long as one lives, the loss of etcd costs nothing. An entry that was applied is one that etcd had confirmed, so it may be
// archived by anybody; of two that do so at once the store lets one, and the other finds the same entries. A log that was restored meanwhile is not touched: its
// lineage says up to where it took this one over.
func (c *Coordinator) saveTail(why error) {
	if !errors.Is(why, replica.ErrAhead) {
		return
	}
	c.keepTail(context.Background())
}

// keepTail archives what is in memory and not archived. When etcd is set back by less than the archive lags, this is what shows it: the
// archive is ahead of etcd then, and nobody leads. A process that starts without any memory on such an etcd cannot know.
//
// What is archived begins behind the last entry that can be read. That may be the parent's. The walk: (1) A restore begins an incarnation, and
// breaks off before it has archived its entry. (2) This process leads by it; what it holds begins with that entry. (3) etcd is lost
// again, before the first second is archived. From seq 1 on nothing is in memory, but all is that the archive lacks.
func (c *Coordinator) keepTail(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, saveTailTimeout)
	defer cancel()
	from, to, err := c.archiveTail(ctx)
	switch {
	case err != nil:
		c.cfg.Logger.Warn("what this process has of the lost log could not be archived", "error", err)
	case to >= from:
		c.cfg.Logger.Warn("archived what this process has of the lost log", "seq", to)
	}
}

func (c *Coordinator) archiveTail(ctx context.Context) (from, to base.Seq, err error) {
	var incarnation string
	c.replica.With(func(st *state.State) { incarnation = st.Incarnation() })
	if incarnation == "" {
		return 1, 0, nil
	}
	reader := archive.NewReader(c.cfg.Objects)
	end, err := reader.Reach(ctx, incarnation)
	if err != nil || end == 0 && c.replica.Applied() == 0 {
		return 1, 0, err
	}
	at, err := headAt(ctx, reader, incarnation, end)
	if err != nil {
		return 1, 0, err
	}
	from = end + 1
	for {
		entries, err := c.held(incarnation, at.Seq+1)
		if err != nil || len(entries) == 0 {
			return from, at.Seq, err
		}
		if err := chained(at, entries); err != nil {
			return from, at.Seq, err
		}
		pointer, err := archive.NewWriter(c.cfg.Objects, incarnation).Archive(ctx, entries)
		if err != nil {
			return from, at.Seq, err
		}
		at = metastore.Head{Seq: base.Seq(pointer.Seq), Hash: metastore.Hash(pointer.Hash)}
	}
}

// headAt is the head of the archived log at a seq.
func headAt(ctx context.Context, reader *archive.Reader, incarnation string, seq base.Seq) (metastore.Head, error) {
	if seq == 0 {
		return metastore.Head{}, nil
	}
	last, err := reader.Read(ctx, incarnation, seq, 1)
	if err == nil && len(last) == 0 {
		err = fmt.Errorf("the archive has no entry %d, though it reaches it: %w", seq, base.ErrCorrupt)
	}
	if err != nil {
		return metastore.Head{}, err
	}
	return metastore.Head{Seq: seq, Hash: metastore.HashOf(last[0].Value)}, nil
}

// held is what is in memory from a seq on: what the replica has applied, and behind that what was confirmed to this process as a leader.
func (c *Coordinator) held(incarnation string, seq base.Seq) ([]metastore.RawEntry, error) {
	entries, covered, _ := c.feed.from(seq)
	if len(entries) > 0 {
		return entries, nil
	}
	if entries = c.confirmed.from(incarnation, seq); len(entries) == 0 && !covered {
		return nil, fmt.Errorf("entries from seq %d on are not in memory any more: %w", seq, base.ErrNotFound)
	}
	return entries, nil
}

// chained proves that entries go on where the archive is: one that somebody has continued with another history than what is in memory
// must not get both.
func chained(at metastore.Head, entries []metastore.RawEntry) error {
	for _, raw := range entries {
		e, err := metastore.DecodeEntry(raw.Value)
		if err == nil {
			err = metastore.CheckNext(at, raw, e)
		}
		if err != nil {
			return fmt.Errorf("the archive goes on otherwise than what is in memory: %w", err)
		}
		at = metastore.Head{Seq: raw.Seq, Hash: metastore.HashOf(raw.Value)}
	}
	return nil
}
