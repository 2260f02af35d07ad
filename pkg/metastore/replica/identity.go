package replica

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
)

// ErrAhead says that the bucket's archive knows more of the log than etcd does.
var ErrAhead = errors.New("restore it from the bucket with `gnomon metastore restore`")

// CheckArchive finds out whether etcd lost what the bucket's archive has: it is empty, was set back to a backup, or the log goes on
// as another incarnation that a restore made. Only what is in the log is archived, so an etcd that is asked after the bucket reaches
// at least as far. The position from before tells nothing: the leader archives meanwhile.
func CheckArchive(ctx context.Context, source Source, objects archive.Objects) error {
	before, err := source.Position(ctx)
	if err != nil {
		return err
	}
	incarnation, end, err := archive.NewReader(objects).Beyond(ctx, before)
	if err != nil || incarnation == "" {
		return err
	}
	now, err := source.Position(ctx)
	switch {
	case err != nil:
		return err
	case now.Incarnation != before.Incarnation && now.Head.Seq > 0:
		return fmt.Errorf("the metalog was replaced while it was looked at: %w", base.ErrUnavailable)
	case now.Head.Seq == 0:
		return fmt.Errorf("etcd is empty, but the bucket's archive reaches seq %d of incarnation %s: etcd lost its data; %w: %w", end, incarnation, ErrAhead, base.ErrCorrupt)
	case now.Incarnation != incarnation:
		return fmt.Errorf("the bucket's archive goes on as incarnation %s up to seq %d, but etcd is at seq %d of %s, which was restored: etcd was set back to a backup; %w: %w",
			incarnation, end, now.Head.Seq, now.Incarnation, ErrAhead, base.ErrCorrupt)
	case end > now.Head.Seq:
		return fmt.Errorf("the bucket's archive reaches seq %d but etcd only %d: etcd was set back to a backup; %w: %w", end, now.Head.Seq, ErrAhead, base.ErrCorrupt)
	}
	return nil
}

// replaced finds out whether the log that was loaded by an earlier position is still the log.
//
// A state is loaded once it has an incarnation, which WaitFor compares. The walk: (1) A process starts on an empty etcd, and would load
// the empty state of no incarnation. (2) The first election makes the incarnation. No entry tells its name, so that state would have
// none until it is loaded again, and would satisfy any point or none. So: (3) the load fails, and is tried again until there is a log.
// Nobody waits for it in vain: a coordinator campaigns whether its replica has loaded or not, and has won before it waits for it or for
// the other region's, which does the same; agents serve nobody before entry 1.
func (r *Replica) replaced(ctx context.Context, before metastore.Position) error {
	now, err := r.cfg.Source.Position(ctx)
	switch {
	case err != nil:
	case before.Incarnation == "":
		err = metastore.ErrNoLog
	case now.Incarnation != before.Incarnation:
		err = fmt.Errorf("the metalog was replaced: %w", base.ErrUnavailable)
	default:
		return nil
	}
	return fmt.Errorf("load the metalog: %w", err)
}

// lookEveryDefault is how long a log may be silent before a replica looks whether it is still its own. The leader ticks each second.
const lookEveryDefault = 3 * time.Second

// follow follows the source, and looks whether it is still the same log: before it begins, and whenever nothing has come for a while.
//
// The walk: (1) etcd loses its data, or is set back, under a watch. (2) The client connects again, and asks for what comes behind the
// revision that it saw last. The new etcd has not come so far, and waits for it in silence: to the watch the log is idle. (3) Here
// the head is lower than what is applied, or of another incarnation: the replica starts over, and load says what became of etcd.
func (r *Replica) follow(ctx context.Context) error {
	if err := r.recognise(ctx); err != nil {
		return err
	}
	fctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() {
		ended <- r.cfg.Source.Follow(fctx, r.Applied()+1, func(raw metastore.RawEntry) error { return r.apply(fctx, raw) })
	}()
	tick := time.NewTicker(r.cfg.LookEvery)
	defer tick.Stop()
	seen := r.Applied()
	for {
		select {
		case err := <-ended:
			if cause := context.Cause(fctx); ctx.Err() == nil && cause != nil {
				err = cause
			}
			return r.distrust(err)
		case <-tick.C:
		}
		if at := r.Applied(); at != seen {
			seen = at
			continue
		}
		if err := r.recognise(fctx); errors.Is(err, metastore.ErrChain) {
			cancel(err)
		}
	}
}

// recognise fails with metastore.ErrChain when the source's log is not the one that this replica has applied entries of.
func (r *Replica) recognise(ctx context.Context) error {
	r.mu.Lock()
	have, incarnation := r.st.Head(), r.st.Incarnation() // before the question: the log is at least there
	r.mu.Unlock()
	pos, err := r.cfg.Source.Position(ctx)
	if err == nil && r.cfg.Lost != nil && (pos.Head.Seq == 0 || pos.Incarnation == incarnation) && pos.Head.Seq < have.Seq {
		r.cfg.Lost(ctx)
	}
	switch {
	case err != nil:
		return err
	case pos.Incarnation != incarnation:
		err = fmt.Errorf("the metalog is of incarnation %q, and was of %q: %w", pos.Incarnation, incarnation, metastore.ErrChain)
	case pos.Head.Seq < have.Seq, pos.Head.Seq == have.Seq && pos.Head.Hash != have.Hash:
		err = fmt.Errorf("the metalog ends at seq %d, and was at %d: %w", pos.Head.Seq, have.Seq, metastore.ErrChain)
	default:
		return nil
	}
	return r.distrust(err)
}

// distrust takes note of an err that says that the log is another one than the state is of, also if it has the same incarnation: an etcd that
// was set back keeps it.
func (r *Replica) distrust(err error) error {
	if errors.Is(err, metastore.ErrChain) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.broken = true
	}
	return err
}
