package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// saveTailTimeout bounds the last thing that a coordinator does.
const saveTailTimeout = 10 * time.Second

// saveTail archives what this process has of a log that etcd has lost. Each coordinator, a standby too, has the newest entries in memory:
// so as long as one lives, the loss of etcd costs nothing. An entry that was applied is one that etcd had confirmed, so it may be
// archived by anybody; two that do so at once write the same entries. A log that was restored meanwhile is not touched: its
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
	end, err := archive.NewReader(c.cfg.Objects).Reach(ctx, incarnation)
	if err != nil || end == 0 && c.replica.Applied() == 0 {
		return 1, 0, err
	}
	from = end + 1
	for to = end; ; {
		entries, covered, _ := c.feed.from(to + 1)
		switch {
		case !covered:
			return from, to, fmt.Errorf("entries from seq %d on are not in memory any more: %w", to+1, base.ErrNotFound)
		case len(entries) == 0:
			return from, to, nil
		}
		pointer, err := archive.NewWriter(c.cfg.Objects, incarnation).Archive(ctx, entries)
		if err != nil {
			return from, to, err
		}
		to = base.Seq(pointer.Seq)
	}
}
