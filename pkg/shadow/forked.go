package shadow

import (
	"context"
	"errors"
	"fmt"

	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// undrained goes on with a cut where the fenced source could not be drained, if that was agreed to.
func (f *failover) undrained(why string) error {
	f.r.mu.Lock()
	f.r.drain = nil
	f.r.mu.Unlock()
	at := f.position()
	if f.o.AcceptMissing {
		f.say("the source is fenced, but could not be drained beyond seq %d of %d (%s)", at, f.head, why)
		_ = f.frozen.Close()
		f.frozen = nil
		return nil
	}
	return fmt.Errorf("the source is fenced (it refuses writes), but could not be drained beyond seq %d of %d (%s); run failover again when its bucket is in reach, or with --accept-missing to lose what is beyond: %w",
		at, f.head, why, ErrNeedsConsent)
}

// forked finds out whether the fenced log is still the one that the image is the past of. A source that was restored from its archive
// while this region had more of it has gone on with another history: its end, which may even be below the image's, says nothing
// of what is here, and the image must not be taken for drained.
func (f *failover) forked(ctx context.Context) error {
	pos, err := f.frozen.Position(ctx)
	if err != nil {
		return err
	}
	var have metastore.Head
	f.r.cfg.Metalog.With(func(st *state.State) {
		if l := st.Link(f.r.cfg.Link); l != nil {
			have = l.Info().Position
		}
	})
	switch {
	case pos.Head.Seq == 0 && have.Seq > 0:
		return errors.New("its etcd is empty: it has lost its data")
	case have.Seq == 0, pos.Head == have:
		return nil
	case pos.Head.Seq <= have.Seq:
		return fmt.Errorf("it ends at seq %d of incarnation %s: it was restored or set back, and what it took since is another history", pos.Head.Seq, pos.Incarnation)
	}
	next, err := f.frozen.Read(ctx, have.Seq+1, 1)
	if err != nil || len(next) == 0 { // trimmed: the drain reads the archive, and checks the chain entry by entry
		return nil //nolint:nilerr // see above
	}
	e, err := metastore.DecodeEntry(next[0].Value)
	if err == nil {
		err = metastore.CheckNext(have, next[0], e)
	}
	if errors.Is(err, metastore.ErrChain) {
		return fmt.Errorf("it was restored as incarnation %s, and what it took since is another history: %w", pos.Incarnation, err)
	}
	return err
}

// rise takes a higher epoch, and fences with that, when the drain brought an epoch of the source that is above: it was restored.
func (f *failover) rise(ctx context.Context) error {
	fencedAt := f.epoch
	if err := f.look(ctx); err != nil || f.report != nil || f.epoch == fencedAt || f.frozen == nil {
		return err
	}
	fence := &metalogpb.Fence{Epoch: int32(f.epoch), Role: "fenced", By: fmt.Sprintf("failover of link %q", f.r.cfg.Link), TimeMs: f.r.cfg.Now().UnixMilli()}
	if err := f.frozen.WriteFence(ctx, fence); err != nil {
		return fmt.Errorf("the source is fenced at epoch %d, and could not be at %d, which its own epoch asks for; run failover again: %w", fencedAt, f.epoch, err)
	}
	return nil
}
