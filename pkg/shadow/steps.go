package shadow

import (
	"context"
	"fmt"

	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/segment"
)

// Backfill is what a link's backfill decides, without its goroutines: the simulation works it off step by step.
type Backfill struct{ plan *backfillPlan }

// NewBackfill looks at what the image shows and this region does not hold; nil when that is nothing. Applying goroutine only.
func NewBackfill(st *state.State, l *state.Link) *Backfill {
	if p := newBackfillPlan(st, l); p != nil {
		return &Backfill{p}
	}
	return nil
}

// Jobs reads the footers of the source's objects and of this region's, and gives the copies, newest first. What fails may be tried again.
func (b *Backfill) Jobs(ctx context.Context, source, own objstore.Store) ([]CopyJob, error) {
	for _, j := range b.plan.footers {
		store := own
		if j.remote {
			store = source
		}
		extents, err := segment.ReadFooter(ctx, store, j.object.Key(), j.size)
		if err != nil {
			return nil, fmt.Errorf("read the footer of object %s: %w", j.object, err)
		}
		if err := b.plan.footer(j, extents); err != nil {
			return nil, err
		}
	}
	jobs, bad := b.plan.jobs()
	for _, err := range bad {
		return nil, err
	}
	return jobs, nil
}

// NameSpans names the spans of a copy that was made whole one by one, so that they are found without a search through the whole image.
func NameSpans(job CopyJob, placement *metalogpb.Placement) {
	if !job.Whole {
		return
	}
	for _, sp := range job.Spans {
		placement.Spans = append(placement.Spans, &metalogpb.PlacedSpan{
			TopicId: append([]byte(nil), sp.Topic[:]...), Partition: sp.Partition, BaseOffset: int64(sp.Base), Position: sp.Position, Length: sp.Length,
		})
	}
}
