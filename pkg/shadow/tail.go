package shadow

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/trace"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// numbers hands out the numbers of the copier's session and knows the floor: every number at or below it is placed or
// given up. Copies finish in any order, so the floor is one below the lowest number still out.
type numbers struct {
	mu   sync.Mutex
	last uint64
	out  map[uint64]bool
}

func (n *numbers) take() base.ObjectNumber {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last++
	if n.out == nil {
		n.out = map[uint64]bool{}
	}
	n.out[n.last] = true
	return base.ObjectNumber(n.last)
}

func (n *numbers) settle(number uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.out, number)
}

// place settles the numbers of placements that are being entered, and gives the floor after them.
func (n *numbers) place(placed []*metalogpb.Placement) uint64 {
	for _, p := range placed {
		n.settle(p.Number)
	}
	return n.floor()
}

func (n *numbers) floor() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	floor := n.last
	for x := range n.out {
		floor = min(floor, x-1)
	}
	return floor
}

// copyAll runs the copies, a bounded number and a bounded number of bytes at a time.
func (t *tailing) copyAll(ctx context.Context, jobs <-chan CopyJob) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(t.r.cfg.CopiesMax)
	budget := semaphore.NewWeighted(t.r.cfg.CopyBytesMax)
	for {
		select {
		case <-ctx.Done():
			return g.Wait()
		case job := <-jobs:
			weight := min(2*job.Size, t.r.cfg.CopyBytesMax)
			if err := budget.Acquire(ctx, weight); err != nil {
				return g.Wait()
			}
			var number base.ObjectNumber
			if len(job.Blobs) == 0 {
				number = t.numbers.take()
			}
			g.Go(func() error {
				defer budget.Release(weight)
				done, err := t.bring(ctx, job, number)
				if err != nil {
					return err
				}
				select {
				case t.copied <- done:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		}
	}
}

// bring does one job of the tail. It fails only when ctx ends.
func (t *tailing) bring(ctx context.Context, job CopyJob, number base.ObjectNumber) (copyDone, error) {
	if len(job.Blobs) == 0 {
		return t.copyOne(ctx, job, number)
	}
	payloads, err := t.fetchBlobs(ctx, job)
	return copyDone{job: job, blobs: payloads, err: err}, ctx.Err()
}

// copyOne copies until it has an answer: what may pass by itself is tried again, under a new number each time, since it
// is unknown what a failed attempt left under the old one. It fails only when ctx ends.
func (t *tailing) copyOne(ctx context.Context, job CopyJob, number base.ObjectNumber) (copyDone, error) {
	wait := retryMin
	for {
		start := t.r.cfg.Now()
		ref := t.refOf(job.Object)
		placement, err := t.r.cfg.Copier.Copy(trace.WithRef(ctx, ref.Child("copy")), t.source, job, base.ObjectID{Session: t.session, Number: number})
		if err == nil {
			t.r.cfg.Metrics.copied(placement.Size, t.r.cfg.Now().Sub(start))
			t.tellCopy(ref, start, placement)
		}
		if err == nil || errors.Is(err, base.ErrCorrupt) || errors.Is(err, base.ErrNotFound) || errors.Is(err, base.ErrVersion) {
			return copyDone{job: job, number: number, placement: placement, err: err}, nil
		}
		if ctx.Err() != nil {
			return copyDone{}, ctx.Err()
		}
		t.r.cfg.Metrics.copyFailed()
		t.r.problem(fmt.Errorf("copy object %s: %w", job.Object, err))
		t.r.cfg.Logger.Debug("copy of an object failed", "link", t.r.cfg.Link, "object", job.Object.String(), "error", err)
		t.numbers.settle(uint64(number))
		number = t.numbers.take()
		select {
		case <-ctx.Done():
			return copyDone{}, ctx.Err()
		case <-time.After(wait):
		}
		wait = min(2*wait, retryMax)
	}
}

// apply is the loop that owns the machine: entries in, copies in, events out.
func (t *tailing) apply(ctx context.Context, jobs chan<- CopyJob) error {
	appended := make(chan error, 1)
	appending := false
	defer func() {
		if appending {
			if err := <-appended; err != nil { // the stream is over: the next one begins where this append left the image
				t.r.cfg.Logger.Debug("append at the end of a link's stream", "link", t.r.cfg.Link, "error", err)
			}
			t.r.gate.leave()
		}
	}()
	var todo []CopyJob // offered to the copiers, oldest first
	for {
		changed := t.r.gate.changed() // before ready, so that an opening in between is not missed
		if !appending {
			if events := t.ready(); len(events) > 0 {
				appending = true
				go func() { appended <- t.append(ctx, events) }()
			}
		}
		entries, out, next := t.entries, chan<- CopyJob(nil), CopyJob{}
		if len(todo) > 0 {
			entries, out, next = nil, jobs, todo[0]
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-entries:
			more, err := t.offer(e)
			if err != nil {
				return err
			}
			todo = more
		case out <- next:
			todo = todo[1:]
		case c := <-t.copied:
			if err := t.settle(ctx, c); err != nil {
				return err
			}
		case err := <-appended:
			appending = false
			t.r.gate.leave()
			if err == nil {
				err = t.enterFaults(ctx)
			}
			if err == nil && t.flipped() {
				err = errRestart
			}
			if err != nil {
				return err
			}
		case <-changed:
		}
	}
}

func (t *tailing) offer(e offered) ([]CopyJob, error) {
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	jobs, err := t.m.Offer(e.raw)
	if err != nil {
		return nil, err
	}
	t.heardOf(jobs)
	s := &t.r.seen
	s.contact = t.r.cfg.Now()
	s.headSeq = max(s.headSeq, e.head, e.raw.Seq)
	_, at := t.m.Head()
	s.headTime = max(s.headTime, at)
	return jobs, nil
}

// ready takes what may be appended now, as far as the gate allows.
func (t *tailing) ready() []*metalogpb.Event {
	limit, ok := t.r.gate.enter()
	if !ok {
		return nil
	}
	t.r.mu.Lock()
	events := t.m.Ready(limit, t.numbers.place)
	t.r.mu.Unlock()
	if len(events) == 0 {
		t.r.gate.leave()
	}
	return events
}

// flipped tells whether the source's own failover was appended last. What it had copied until then is the source's own
// now, and remote here: a new machine and a new plan of the backfill are due.
func (t *tailing) flipped() bool {
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	return t.m.Flipped()
}

// append moves the image on. The events name the image's next entries: if the link has moved otherwise (another runner,
// a failover), the first of them no longer fits, and nothing is emitted.
func (t *tailing) append(ctx context.Context, events []*metalogpb.Event) error {
	payloads := make([][][]byte, len(events))
	for i, ev := range events {
		var err error
		if payloads[i], err = t.payloads(ev); err != nil {
			return err
		}
	}
	start := t.r.cfg.Now()
	err := t.r.cfg.Metalog.Do(ctx, func(tx Tx) error {
		l := tx.State().Link(t.r.cfg.Link)
		if l == nil || !l.Active() {
			return errLinkOver
		}
		if x := tx.State().Session(t.session); x == nil || x.Fenced {
			return fmt.Errorf("the link's writer session is over: %w", base.ErrFenced)
		}
		for i, ev := range events {
			if err := tx.Emit(ev, payloads[i]...); err != nil {
				return fmt.Errorf("move the image on: %w", err)
			}
		}
		return nil
	})
	if err == nil {
		t.tellApplied(events, start)
	}
	return err
}

// settle takes the end of a copy. The number of a copy that succeeded stays out until its placement is entered.
func (t *tailing) settle(ctx context.Context, c copyDone) error {
	if len(c.job.Blobs) > 0 {
		return t.fetched(c)
	}
	if c.err == nil {
		t.r.mu.Lock()
		t.m.Copied(c.job.Object, c.placement)
		t.r.seen.problem = "" // the bucket is in reach; silence of the source is seen by its last contact
		t.r.mu.Unlock()
		return nil
	}
	t.numbers.settle(uint64(c.number))
	if err := t.fault(ctx, c); err != nil {
		return err
	}
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	t.m.Skipped(c.job.Object)
	delete(t.traced, c.job.Object)
	return nil
}
