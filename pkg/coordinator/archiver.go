package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
)

// archiveLoop copies confirmed entries into the bucket each second, writes snapshots, and trims etcd behind both.
//
// Crash points: after the PUT and before the pointer: the next leader finds the object, and moves the pointer to its end. After the pointer
// and before the trim: the trim is made up for later. Entries are trimmed only once they are archived (pointer durable), so every
// entry is always in one place.
func (c *Coordinator) archiveLoop(ctx context.Context, term metastore.Term) error {
	if c.fenced.Load() {
		<-ctx.Done()
		return nil
	}
	pos, err := c.cfg.Log.Position(ctx)
	if err != nil {
		return err
	}
	a := &archiver{c: c, term: term, incarnation: pos.Incarnation, writer: archive.NewWriter(c.cfg.Objects, pos.Incarnation)}
	if pos.Archive != nil {
		a.archived = base.Seq(pos.Archive.Seq)
	}
	if pos.Snapshot != nil {
		a.snapshot = base.Seq(pos.Snapshot.Seq)
	}
	c.metrics.snapshotSeq.Set(float64(a.snapshot))
	defer a.savers.Wait()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case s := <-a.saving:
			err = a.saved(s)
		case <-tick.C:
			err = a.step(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, metastore.ErrDeposed), errors.Is(err, replica.ErrAhead):
			return err
		case err != nil:
			c.cfg.Logger.Warn("archive of the metalog", "error", err)
		}
	}
}

type archiver struct {
	c        *Coordinator
	term     metastore.Term
	writer   *archive.Writer
	archived base.Seq
	snapshot base.Seq
	trimmed  base.Seq
	saving   chan savedSnapshot // what comes of the snapshot that is under way; nil when none is
	savers   sync.WaitGroup

	incarnation string
	looked      time.Time // when step last looked for a restore
}

// restoredLook is how often a leader looks whether its log was restored elsewhere.
const restoredLook = 10 * time.Second

// lookForRestore ends a term whose log was restored into another etcd, as this one was believed to be lost. What it acks until then is
// quarantined there as what was lost is.
func (a *archiver) lookForRestore(ctx context.Context) error {
	now := a.c.cfg.Now()
	if now.Sub(a.looked) < restoredLook {
		return nil
	}
	children, err := archive.Children(ctx, a.c.cfg.Objects, a.incarnation)
	if err == nil && len(children) > 0 {
		err = replica.CheckArchive(ctx, a.c.cfg.Log, a.c.cfg.Objects)
	}
	if err == nil {
		a.looked = now
	}
	return err
}

// put archives entries, and returns how far the archive reaches then. It reaches further than they do when somebody else has archived more of
// the same: what is in the archive is in etcd too, as it was confirmed, unless etcd was set back since.
//
// The walk: (1) A leader is paused. Its etcd is lost, and restored in place as another incarnation, whose entries the replica follows. (2) The
// leader goes on, and does not know yet that it was deposed. It must not archive them as entries of its own incarnation.
func (a *archiver) put(ctx context.Context, entries []metastore.RawEntry) (*metalogpb.Pointer, error) {
	if err := a.sameLog(ctx); err != nil {
		return nil, err
	}
	pointer, err := a.writer.Archive(ctx, entries)
	if err == nil && base.Seq(pointer.Seq) > entries[len(entries)-1].Seq {
		err = a.inEtcd(ctx, pointer)
	}
	switch {
	case errors.Is(err, archive.ErrOther):
		err = fmt.Errorf("%w than etcd, which was set back to a backup; %w: %w", err, replica.ErrAhead, base.ErrCorrupt)
	case errors.Is(err, base.ErrCorrupt):
		err = fmt.Errorf("%w; get that object back by the bucket's versions, or remove it: etcd has what it held", err)
	}
	return pointer, err
}

// sameLog finds out whether the log is still that of this term.
func (a *archiver) sameLog(ctx context.Context) error {
	pos, err := a.c.cfg.Log.Position(ctx)
	if err == nil && pos.Incarnation != a.incarnation {
		err = fmt.Errorf("the metalog was restored as incarnation %q: %w", pos.Incarnation, metastore.ErrDeposed)
	}
	return err
}

// inEtcd finds out whether etcd has the entry that a pointer is to.
func (a *archiver) inEtcd(ctx context.Context, pointer *metalogpb.Pointer) error {
	there, err := a.c.cfg.Log.Read(ctx, base.Seq(pointer.Seq), 1)
	if err != nil {
		return fmt.Errorf("compare entry %d with the archive's: %w", pointer.Seq, err)
	}
	if len(there) > 0 {
		if hash := metastore.HashOf(there[0].Value); bytes.Equal(hash[:], pointer.Hash) {
			return nil
		}
	}
	if err := a.sameLog(ctx); err != nil {
		return err
	}
	return fmt.Errorf("object %s, entry %d: %w", pointer.Object, pointer.Seq, archive.ErrOther)
}

func (a *archiver) step(ctx context.Context) error {
	if err := a.lookForRestore(ctx); err != nil {
		return err
	}
	for a.archived < a.c.replica.Applied() {
		entries, err := a.c.backlogUpTo(ctx, a.archived+1)
		if err != nil {
			return fmt.Errorf("read entries from seq %d: %w", a.archived+1, err)
		}
		if len(entries) == 0 {
			break
		}
		pointer, err := a.put(ctx, entries)
		if err != nil {
			return err
		}
		if err := a.term.SetArchive(ctx, pointer); err != nil {
			return fmt.Errorf("move the archive's pointer to seq %d: %w", pointer.Seq, err)
		}
		a.archived = base.Seq(pointer.Seq)
		a.c.metrics.archived.Set(float64(a.archived))
	}
	a.c.metrics.archivedAt.Store(a.c.cfg.Now().UnixNano())
	if a.saving == nil && a.archived >= a.snapshot+a.c.cfg.SnapshotEvery {
		a.beginSnapshot(ctx)
	}
	return a.trim(ctx)
}

// backlogUpTo returns entries from seq on that the replica has applied, at most backlogBytes.
func (c *Coordinator) backlogUpTo(ctx context.Context, from base.Seq) ([]metastore.RawEntry, error) {
	if entries, covered, _ := c.feed.from(from); covered {
		return entries, nil
	}
	return c.cfg.Log.Read(ctx, from, backlogBytes)
}

// trim drops archived entries from etcd in steps, and keeps the newest for followers that lag a little.
func (a *archiver) trim(ctx context.Context) error {
	keep := a.c.cfg.KeepEntries
	if a.archived < a.trimmed+2*keep {
		return nil
	}
	upTo := a.archived - keep
	if err := a.term.Trim(ctx, upTo); err != nil {
		return fmt.Errorf("trim the metalog up to seq %d: %w", upTo, err)
	}
	a.trimmed = upTo
	return nil
}
