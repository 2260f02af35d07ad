package shadow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// Options of a failover.
type Options struct {
	// FenceTimeout bounds the try to fence the source in its etcd; 0 means 3 s. Endpoints that refuse end it at once.
	FenceTimeout time.Duration
	// DrainTimeout bounds the drain of a fenced source; 0 means 60 s.
	DrainTimeout time.Duration
	DryRun       bool
	// AcceptMissing goes on although bytes at or below the cut are not in this region's bucket, or a fenced source
	// could not be drained to its end.
	AcceptMissing bool
}

// ErrNeedsConsent says that a failover would lose what the operator has not agreed to lose.
var ErrNeedsConsent = errors.New("the failover needs consent")

// Modes of a failover, as the report names them.
const (
	ModeFenced = "fenced" // the source was fenced, and drained to its end
	ModeCut    = "cut"    // the source was out of reach
)

// Failover makes this region the primary of what the link shadows: it fences the source in the source's own etcd if that
// is in reach, drains what is left of its log, and appends the flip.
func (r *Runner) Failover(ctx context.Context, o Options) (*adminpb.FailoverReport, error) {
	start := r.cfg.Now()
	if o.FenceTimeout == 0 {
		o.FenceTimeout = 3 * time.Second
	}
	if o.DrainTimeout == 0 {
		o.DrainTimeout = time.Minute
	}
	f := &failover{r: r, o: o, started: start}
	if err := f.look(ctx); err != nil {
		return nil, err
	}
	if f.report != nil { // failed over before
		return f.report, nil
	}
	if o.DryRun {
		return f.preview(ctx)
	}
	if f.info.Paused {
		f.detail = sayPaused
	}
	defer f.close()
	if err := f.fence(ctx); err != nil {
		return nil, err
	}
	if f.frozen != nil {
		if err := f.drain(ctx); err != nil {
			return nil, err
		}
	} else if !f.info.Paused {
		f.await(ctx)
	}
	if err := f.rise(ctx); err != nil {
		return nil, err
	}
	if err := f.flip(ctx); err != nil {
		return nil, err
	}
	f.leaveFenceObject(ctx)
	f.report.DurationMs = r.cfg.Now().Sub(start).Milliseconds()
	return f.report, nil
}

// failover is one run of the procedure.
type failover struct {
	r       *Runner
	o       Options
	started time.Time
	info    *state.LinkInfo
	epoch   base.Epoch
	frozen  FrozenLog
	head    base.Seq // of the fenced source
	detail  string
	report  *adminpb.FailoverReport
}

func (f *failover) look(ctx context.Context) error {
	if err := f.r.cfg.Metalog.Refresh(ctx); err != nil {
		return err
	}
	found := false
	f.r.cfg.Metalog.With(func(st *state.State) {
		l := st.Link(f.r.cfg.Link)
		if l == nil {
			return
		}
		found = true
		f.info = l.Info()
		f.epoch = base.NextEpoch(st.Region().Number, st.Region().Epoch, l.Image().Region().Epoch, f.r.look().epoch)
		if f.info.Flip != nil {
			f.report = ReportOf(st, l)
		}
	})
	if !found {
		return fmt.Errorf("link %q: %w", f.r.cfg.Link, base.ErrNotFound)
	}
	return nil
}

// fence freezes the source's log if its etcd is in reach. That it is not is no error: the cut is taken instead. That it is, and
// refuses this region, needs consent: the source may be alive and go on taking records, which a right password would stop.
func (f *failover) fence(ctx context.Context) error {
	err := f.tryFence(ctx)
	if errors.Is(err, metastore.ErrRefused) && !f.o.AcceptMissing {
		return fmt.Errorf("%w; the source may be alive: correct what the link names (etcd_username, etcd_password, etcd_ca, etcd_cert, etcd_key), or run again with --accept-missing to take the cut: %w",
			err, ErrNeedsConsent)
	}
	if err != nil {
		f.say("%v", err)
	}
	return nil
}

// tryFence returns in words what kept the source from being fenced, or its end from being known.
func (f *failover) tryFence(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, f.o.FenceTimeout)
	defer cancel()
	log, err := f.r.cfg.Remote.Etcd(ctx, f.info.Config, f.info.SourceCluster)
	if err != nil {
		return reached(err)
	}
	fence := &metalogpb.Fence{
		Epoch: int32(f.epoch), Role: "fenced", By: fmt.Sprintf("failover of link %q", f.r.cfg.Link), TimeMs: f.r.cfg.Now().UnixMilli(),
	}
	if err := log.WriteFence(ctx, fence); err != nil {
		_ = log.Close()
		return fmt.Errorf("the source could not be fenced in its etcd (%w)", err)
	}
	pos, err := log.Position(ctx)
	if err != nil {
		_ = log.Close()
		return fmt.Errorf("the source is fenced, but its etcd went out of reach before its end was known (%w)", err)
	}
	f.frozen, f.head = log, pos.Head.Seq
	return nil
}

// reached says why the source's etcd could not be opened.
func reached(err error) error {
	if errors.Is(err, metastore.ErrRefused) {
		return fmt.Errorf("the source's etcd does not let this region in (%w)", err)
	}
	return fmt.Errorf("the source's etcd is out of reach (%w)", err)
}

// drain brings the image to the end of the fenced log. The runner does it: it starts over with the frozen log as its
// stream, so that tail and drain are one code path.
func (f *failover) drain(ctx context.Context) error {
	f.r.mu.Lock()
	f.r.drain = f.frozen
	f.r.mu.Unlock()
	f.r.Restart()
	if err := f.forked(ctx); err != nil {
		return f.undrained(err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, f.o.DrainTimeout)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		at := f.position()
		if at >= f.head {
			f.detail = "" // nothing is left out, whatever was to be said before
			return nil
		}
		select {
		case <-tick.C:
			continue
		case <-ctx.Done():
		}
		f.r.mu.Lock()
		why := f.r.seen.problem
		f.r.mu.Unlock()
		return f.undrained(why)
	}
}

// await lets what was heard of an unreachable source arrive, as long as it does: its bucket may still be in reach.
func (f *failover) await(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, f.o.DrainTimeout)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	at, since := f.position(), f.r.cfg.Now()
	for f.r.behind() && f.r.cfg.Now().Sub(since) < awaitProgress {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if now := f.position(); now != at {
			at, since = now, f.r.cfg.Now()
		}
	}
}

// awaitProgress is how long a cut waits for the next entry that was heard of. It is part of the time to recover, which is
// to stay below a second.
const awaitProgress = 400 * time.Millisecond

// say adds to what the report tells in words.
func (f *failover) say(format string, args ...any) {
	if f.detail != "" {
		f.detail += "; "
	}
	f.detail += fmt.Sprintf(format, args...)
}

func (f *failover) position() base.Seq {
	var at base.Seq
	f.r.cfg.Metalog.With(func(st *state.State) {
		if l := st.Link(f.r.cfg.Link); l != nil {
			at = l.Info().Position.Seq
		}
	})
	return at
}

// flip appends the one event. The gate is shut first, so that no entry of the source slips in behind the boundary that
// the report will name.
func (f *failover) flip(ctx context.Context) error {
	if err := f.r.gate.hold(ctx); err != nil {
		return err
	}
	defer f.r.gate.open()
	seen := f.r.look()
	mode := ModeCut
	if f.frozen != nil {
		mode = ModeFenced
		seen.headSeq = f.head
	}
	err := f.r.cfg.Metalog.Do(ctx, func(tx Tx) error {
		l := tx.State().Link(f.r.cfg.Link)
		switch {
		case l == nil:
			return fmt.Errorf("link %q: %w", f.r.cfg.Link, base.ErrNotFound)
		case !l.Active():
			return nil // another call was faster: its flip stands
		}
		if missing := missingBytes(l); missing > 0 && !f.o.AcceptMissing {
			return fmt.Errorf("%d bytes below the cut are not in this region's bucket (gnomon shadow status lists them); run again with --accept-missing to go on without them: %w",
				missing, ErrNeedsConsent)
		}
		info := l.Info()
		return tx.Emit(&metalogpb.Event{Kind: &metalogpb.Event_RegionFlipped{RegionFlipped: &metalogpb.RegionFlipped{
			Link: f.r.cfg.Link, Epoch: int32(f.epoch), CutSeq: uint64(info.Position.Seq), CutTimeMs: info.PositionTime,
			Fenced: f.frozen != nil, SourceSeq: uint64(seen.headSeq), SourceTimeMs: seen.headTime,
			SourceEnds: endsBeyond(l, seen),
		}}})
	})
	if err != nil {
		return err
	}
	if err := f.r.cfg.Metalog.Refresh(ctx); err != nil {
		return err
	}
	f.r.cfg.Metalog.With(func(st *state.State) {
		if l := st.Link(f.r.cfg.Link); l != nil {
			f.report = ReportOf(st, l)
		}
	})
	if f.report == nil {
		return fmt.Errorf("link %q was deleted in the meantime: %w", f.r.cfg.Link, base.ErrNotFound)
	}
	if f.report.Mode == mode && f.detail != "" { // else another call's flip stands
		f.report.Detail = f.detail
	}
	return nil
}

// leaveFenceObject tells a source that comes back without its etcd. That it cannot be written is no failure: the
// source asks this region too.
func (f *failover) leaveFenceObject(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, fenceObjectTimeout)
	defer cancel()
	bucket, err := f.r.cfg.Remote.Bucket(ctx, f.info.Config)
	if err == nil {
		defer func() { _ = bucket.Close() }()
		key := fmt.Sprintf("meta/fence/%08x", uint32(f.epoch))
		err = bucket.Put(ctx, key, objstore.Payload{[]byte(fmt.Sprintf("{\"epoch\":%d,\"link\":%q}\n", f.epoch, f.r.cfg.Link))})
		if errors.Is(err, objstore.ErrExists) {
			err = nil
		}
	}
	if err != nil {
		f.r.cfg.Logger.Warn("no fence object in the source's bucket", "link", f.r.cfg.Link, "error", err)
	}
}

const fenceObjectTimeout = 500 * time.Millisecond

func (f *failover) close() {
	f.r.mu.Lock()
	f.r.drain = nil
	f.r.mu.Unlock()
	if f.frozen != nil {
		f.r.Restart() // the stream must let go of the log before it is closed
		_ = f.frozen.Close()
	}
}
