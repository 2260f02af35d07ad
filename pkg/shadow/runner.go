package shadow

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"golang.org/x/sync/errgroup"
)

const (
	retryMin = 100 * time.Millisecond
	retryMax = 3 * time.Second
	// unreachableAfter is how long the source may be silent (it ticks each second) before the link is UNREACHABLE.
	unreachableAfter = 3 * time.Second
)

// Runner keeps one link in step, on the coordinator leader.
type Runner struct {
	cfg Config

	mu   sync.Mutex
	seen seen
	// gate holds the applier back while verify or failover looks: see hold.
	gate gate
	// drain, when set, replaces the source's stream by its frozen log.
	drain FrozenLog
	// restart ends the present stream so that run starts over from the image's position.
	restart context.CancelCauseFunc
}

// seen is what the link knows of its source besides the image.
type seen struct {
	headSeq  base.Seq
	epoch    base.Epoch // the highest that the source said to have: a restore raises it, and a faulted link does not apply that
	headTime int64      // event time of the newest entry seen, Unix milliseconds
	contact  time.Time
	problem  string // why the source cannot be reached; empty when it can
	// machine is the present stream's, or the last one's; nil before the first.
	machine *Machine
	sent    base.Seq // the last entry of the present stream, or of the last one, that was on its way to the machine
	// What look takes of the machine: the event time of the oldest entry that was heard of and is not in the image, 0 when
	// there is none; where the source's partitions end by such entries; how many bytes they name.
	oldestTime int64
	queuedEnds map[base.TopicPartition]base.Offset
	queued     int64
}

// look is what is known of the source now.
func (r *Runner) look() seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.seen
	if m := s.machine; m != nil {
		s.oldestTime, s.queued, s.queuedEnds = m.OldestTime(), m.QueuedBytes(), m.Ends()
	}
	s.machine = nil
	return s
}

// NewRunner returns a runner that does nothing until Run.
func NewRunner(cfg Config) *Runner {
	if cfg.CopiesMax == 0 {
		cfg.CopiesMax = 64
	}
	if cfg.CopyBytesMax == 0 {
		cfg.CopyBytesMax = 128 << 20
	}
	r := &Runner{cfg: cfg}
	r.gate.open()
	return r
}

// Run tails the source until ctx ends, the link is deleted or has failed over, or this process no longer leads.
func (r *Runner) Run(ctx context.Context) error {
	defer r.cfg.Metrics.watch(r)()
	wait := retryMin
	var doubted *metastore.Head // where the image was when a stream broke behind it
	for ctx.Err() == nil {
		started := r.cfg.Now()
		err := r.once(ctx)
		at, ahead := r.position()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errLinkOver):
			return nil
		case errors.Is(err, errRestart):
			wait = retryMin
			continue
		case errors.Is(err, metastore.ErrChain) && ahead && (doubted == nil || *doubted != at):
			doubted = &at
		case errors.Is(err, metastore.ErrChain), errors.Is(err, base.ErrVersion), errors.Is(err, base.ErrCorrupt):
			r.fault(ctx, err)
		}
		r.problem(err)
		r.cfg.Logger.Warn("shadow link starts over", "link", r.cfg.Link, "error", err)
		if r.cfg.Now().Sub(started) > retryMax {
			wait = retryMin
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, retryMax)
	}
	return nil
}

var (
	errLinkOver = errors.New("the link is deleted or has failed over")
	errRestart  = errors.New("the link starts over")
	errPaused   = errors.New("the link is paused")
)

func (r *Runner) problem(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen.problem = err.Error()
}

// behind tells whether entries were heard of and are not in the image yet.
func (r *Runner) behind() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen.machine != nil && r.seen.machine.OldestTime() != 0
}

// position is where the confirmed image is, and whether the last stream had read on behind it.
//
// A chain that breaks there is not yet a fault. The walk: (1) The source loses its etcd; its last entries have been read here, and
// wait for copies, but are not archived. (2) It is restored to what was archived, which the image has no more than. (3) What was read
// ahead does not fit the restored log, but the image does: the link starts over from it, and goes on. Had the image more, the
// next stream breaks too, while the image stands where it stood, and the link is FAULTED.
func (r *Runner) position() (at metastore.Head, ahead bool) {
	r.cfg.Metalog.With(func(st *state.State) {
		if l := st.Link(r.cfg.Link); l != nil {
			at = l.Info().Position
		}
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	return at, r.seen.machine != nil && max(r.seen.machine.Next()-1, r.seen.sent) > at.Seq
}

// fault enters a fault of the whole link into the log: the source is not what it was.
func (r *Runner) fault(ctx context.Context, cause error) {
	reason := cause.Error()
	err := r.cfg.Metalog.Do(ctx, func(tx Tx) error {
		l := tx.State().Link(r.cfg.Link)
		if l == nil || l.Info().Fault == reason {
			return nil
		}
		return tx.Emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkFaulted{LinkFaulted: &metalogpb.LinkFaulted{Link: r.cfg.Link, Reason: reason}}})
	})
	if err != nil {
		r.cfg.Logger.Warn("enter a link's fault", "link", r.cfg.Link, "error", err)
	}
}

// once runs one stream from the image's position to its first error.
func (r *Runner) once(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	r.mu.Lock()
	r.restart = cancel
	drain := r.drain
	r.mu.Unlock()

	if err := r.cfg.Metalog.Refresh(ctx); err != nil {
		return err
	}
	session, err := r.cfg.Metalog.OpenLinkSession(ctx, r.cfg.Link)
	if err != nil {
		return fmt.Errorf("open a writer session: %w", err)
	}
	if err := r.cfg.Metalog.Refresh(ctx); err != nil {
		return err
	}
	info := r.activeLink()
	switch {
	case info == nil:
		return errLinkOver
	case info.Paused && drain == nil:
		return r.waitUnpaused(ctx)
	}
	bucket, err := r.cfg.Remote.Bucket(ctx, info.Config)
	if err != nil {
		return fmt.Errorf("open the source's bucket: %w", err)
	}
	defer func() { _ = bucket.Close() }()
	t := &tailing{
		r: r, info: info, session: session, source: bucket, drain: drain,
		faults: map[base.TopicID]string{}, held: map[base.Seq]blobs{}, traced: map[base.ObjectID]time.Time{},
	}
	if err = t.begin(ctx); err == nil {
		err = t.run(ctx)
	}
	if cause := context.Cause(ctx); parent.Err() == nil && cause != nil && errors.Is(cause, errRestart) {
		return cause
	}
	return err
}

func (r *Runner) waitUnpaused(ctx context.Context) error {
	r.problem(errPaused)
	select {
	case <-ctx.Done():
		if errors.Is(context.Cause(ctx), errRestart) {
			return errRestart
		}
		return ctx.Err()
	case <-time.After(retryMax):
		return errRestart
	}
}

// activeLink is the link's description, nil when it is deleted or has failed over.
func (r *Runner) activeLink() (info *state.LinkInfo) {
	r.cfg.Metalog.With(func(st *state.State) {
		if l := st.Link(r.cfg.Link); l != nil && l.Active() {
			info = l.Info()
		}
	})
	return info
}

// Restart makes the runner start over: the link's settings changed.
func (r *Runner) Restart() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.restart != nil {
		r.restart(errRestart)
	}
}

// tailing is one stream.
type tailing struct {
	r       *Runner
	m       *Machine // guarded by r.mu
	info    *state.LinkInfo
	session base.SessionID
	source  objstore.Store
	drain   FrozenLog

	numbers numbers
	plan    *backfillPlan // what the image shows and this region does not hold; nil for nothing
	copied  chan copyDone
	held    map[base.Seq]blobs // of entries that are on their way into the image; guarded by r.mu
	entries chan offered
	traced  map[base.ObjectID]time.Time // when a traced object of the source was heard of; guarded by r.mu
	sent    base.Seq                    // the last entry put into entries; of the streaming goroutine alone

	faultMu sync.Mutex
	faults  map[base.TopicID]string // reasons that are not in the log yet: see fault
}

type offered struct {
	raw  metastore.RawEntry
	head base.Seq
}

type copyDone struct {
	job       CopyJob
	number    base.ObjectNumber
	placement *metalogpb.Placement
	blobs     blobs // of a job that asks for them
	err       error
}

// entriesQueued bounds the entries read ahead of the copies.
const entriesQueued = 256

// begin gives a new link the source's snapshot, sets the machine up, and finds what is to be backfilled.
func (t *tailing) begin(ctx context.Context) error {
	if err := t.adopt(ctx); err != nil {
		return fmt.Errorf("bootstrap from the source's snapshot: %w", err)
	}
	var plan *backfillPlan
	t.r.cfg.Metalog.With(func(st *state.State) {
		if l := st.Link(t.r.cfg.Link); l != nil && l.Active() {
			t.m, plan = NewMachine(l, t.session), newBackfillPlan(st, l)
		}
	})
	if t.m == nil {
		return errLinkOver
	}
	t.r.mu.Lock()
	t.r.seen.machine = t.m
	t.r.seen.sent = 0
	t.r.mu.Unlock()
	t.plan = plan
	return nil
}

func (t *tailing) run(ctx context.Context) error {
	t.copied = make(chan copyDone, t.r.cfg.CopiesMax)
	t.entries = make(chan offered, entriesQueued)
	g, ctx := errgroup.WithContext(ctx)
	jobs := make(chan CopyJob, entriesQueued)
	g.Go(func() error { return t.keepStreaming(ctx) })
	g.Go(func() error { return t.copyAll(ctx, jobs) })
	g.Go(func() error { return t.apply(ctx, jobs) })
	g.Go(func() error { return t.backfill(ctx) })
	return g.Wait()
}
