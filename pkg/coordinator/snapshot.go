package coordinator

import (
	"context"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// savedSnapshot is what came of a snapshot.
type savedSnapshot struct {
	seq   base.Seq
	bytes int
	err   error
}

// beginSnapshot starts a snapshot of what is applied now. With ten million spans it takes seconds to encode, pack and store one, and nothing
// waits for it: the replica applies and answers, as it is a clone that is encoded, and entries go on into the archive. One is under way at a
// time, so the pointer never goes back.
//
// Crash points: before the pointer is moved, nobody knows of the object, and the next leader writes another; the archive has what
// is behind the snapshot before. The term ends meanwhile: the pointer moves only while the term leads.
func (a *archiver) beginSnapshot(ctx context.Context) {
	var st *state.State
	a.c.replica.With(func(now *state.State) { st = now.Clone() })
	a.saving = make(chan savedSnapshot, 1)
	a.savers.Go(func() { a.saving <- a.save(ctx, st) })
}

func (a *archiver) save(ctx context.Context, st *state.State) savedSnapshot {
	head := st.Head()
	payload, err := st.Snapshot()
	if err != nil {
		return savedSnapshot{err: fmt.Errorf("encode a snapshot at seq %d: %w", head.Seq, err)}
	}
	pointer, err := archive.PutSnapshot(ctx, a.c.cfg.Objects, st.Incarnation(), head.Seq, head.Hash, payload)
	if err != nil {
		return savedSnapshot{err: fmt.Errorf("write a snapshot at seq %d: %w", head.Seq, err)}
	}
	if err := a.term.SetSnapshot(ctx, pointer); err != nil {
		return savedSnapshot{err: fmt.Errorf("move the snapshot's pointer to seq %d: %w", head.Seq, err)}
	}
	return savedSnapshot{seq: head.Seq, bytes: len(payload)}
}

// saved notes what came of the snapshot that was under way. After a failure the next step begins another.
func (a *archiver) saved(s savedSnapshot) error {
	a.saving = nil
	if s.err != nil {
		return s.err
	}
	a.snapshot = s.seq
	a.c.metrics.snapshotSeq.Set(float64(s.seq))
	a.c.metrics.snapshotBytes.Set(float64(s.bytes))
	a.c.cfg.Logger.Info("snapshot written", "seq", s.seq, "bytes", s.bytes)
	return nil
}
