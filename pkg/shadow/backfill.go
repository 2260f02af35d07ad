package shadow

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/segment"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// backfillShare is the part of the copies, and of their memory, that backfill may use beside the tail.
const backfillShare = 4

// backfill brings what the image shows and this region does not hold, newest first, beside the tail. A runner that dies in
// between loses nothing: the next one finds in the image what is still remote.
func (t *tailing) backfill(ctx context.Context) error {
	if t.plan == nil {
		return nil
	}
	if err := t.readFooters(ctx); err != nil {
		return err
	}
	jobs, bad := t.plan.jobs()
	t.plan = nil
	for tp, err := range bad {
		if err := t.fault(ctx, copyDone{job: CopyJob{Spans: []SpanJob{{Topic: tp.Topic}}}, err: err}); err != nil {
			return err
		}
	}
	t.r.cfg.Logger.Info("shadow link backfills", "link", t.r.cfg.Link, "objects", len(jobs))
	g, ctx := errgroup.WithContext(ctx)
	placed := make(chan copyDone, t.r.cfg.CopiesMax)
	g.Go(func() error {
		defer close(placed)
		return t.backfillCopies(ctx, jobs, placed)
	})
	g.Go(func() error { return t.enterPlaced(ctx, placed) })
	return g.Wait()
}

// readFooters reads the footers that the plan asks for.
func (t *tailing) readFooters(ctx context.Context) error {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(t.r.cfg.CopiesMax/backfillShare + 1)
	for _, j := range t.plan.footers {
		g.Go(func() error {
			extents, err := t.readFooter(ctx, j)
			if err == nil {
				mu.Lock()
				err = t.plan.footer(j, extents)
				mu.Unlock()
			}
			if err == nil || ctx.Err() != nil {
				return err
			}
			// The topics of this object are lost to the link; their partitions give another chain, and are left out.
			var spans []SpanJob
			for _, ref := range j.spans {
				spans = append(spans, SpanJob{Topic: ref.p.tp.Topic})
			}
			return t.fault(ctx, copyDone{job: CopyJob{Object: j.object, Spans: spans}, err: err})
		})
	}
	return g.Wait()
}

// readFooter tries again what may pass by itself.
func (t *tailing) readFooter(ctx context.Context, j footerJob) ([]segment.Extent, error) {
	store := t.r.cfg.Bucket
	if j.remote {
		store = t.source
	}
	for wait := retryMin; ; wait = min(2*wait, retryMax) {
		extents, err := segment.ReadFooter(ctx, store, j.object.Key(), j.size)
		if err == nil || !errors.Is(err, base.ErrUnavailable) {
			return extents, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (t *tailing) backfillCopies(ctx context.Context, jobs []CopyJob, placed chan<- copyDone) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, t.r.cfg.CopiesMax/backfillShare))
	budget := semaphore.NewWeighted(t.r.cfg.CopyBytesMax / backfillShare)
	for _, job := range jobs {
		weight := min(2*job.Size, t.r.cfg.CopyBytesMax/backfillShare)
		if err := budget.Acquire(ctx, weight); err != nil {
			break // ctx is over: Wait tells why
		}
		g.Go(func() error {
			defer budget.Release(weight)
			done, err := t.copyOne(ctx, job, t.numbers.take())
			if err != nil {
				return err
			}
			if done.err != nil {
				t.numbers.settle(uint64(done.number))
				return t.fault(ctx, done)
			}
			NameSpans(job, done.placement)
			select {
			case placed <- done:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}
	return g.Wait()
}

// enterPlaced enters finished copies into the log, as many at a time as have come.
func (t *tailing) enterPlaced(ctx context.Context, placed <-chan copyDone) error {
	for first := range placed {
		ev := &metalogpb.LinkPlaced{Link: t.r.cfg.Link, Session: uint64(t.session), Placements: []*metalogpb.Placement{first.placement}}
		for more := true; more && len(ev.Placements) < placementsPerEvent; {
			select {
			case done, ok := <-placed:
				if more = ok; ok {
					ev.Placements = append(ev.Placements, done.placement)
				}
			default:
				more = false
			}
		}
		ev.Floor = t.numbers.place(ev.Placements)
		err := t.r.cfg.Metalog.Do(ctx, func(tx Tx) error {
			l := tx.State().Link(t.r.cfg.Link)
			if l == nil || !l.Active() {
				return errLinkOver
			}
			if x := tx.State().Session(t.session); x == nil || x.Fenced {
				return fmt.Errorf("the link's writer session is over: %w", base.ErrFenced)
			}
			return tx.Emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkPlaced{LinkPlaced: ev}})
		})
		if err != nil {
			return fmt.Errorf("enter backfilled objects: %w", err)
		}
	}
	return nil
}

const placementsPerEvent = 128
