package recovery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// list goes through the bucket once, and says what each object is.
func (c *checking) list(ctx context.Context) error {
	st := c.loaded.State
	c.listed, c.seen = c.Now(), map[base.ObjectID]bool{}
	n := 0
	err := listAll(ctx, c.Bucket, base.DataPrefix, "", func(info objstore.Info) error {
		if n++; n%(100*checkStep) == 0 {
			c.Say(fmt.Sprintf("listing: %d objects", n))
		}
		id, ok := parseKey(info.Key)
		if !ok {
			c.find(FindUnknown, info.Key, "its name is none that a region gives")
			return nil
		}
		class, _ := st.Classify(id)
		sum := c.report.Objects[class]
		c.report.Objects[class] = ObjectCount{sum.Objects + 1, sum.Bytes + info.Size}
		switch class {
		case state.Named:
			c.seen[id] = true
			if want := st.Object(id).Size; want != info.Size {
				c.doubt(FindSize, info.Key, "it has %d bytes, events say %d", info.Size, want)
			}
		case state.Unknown:
			c.doubt(FindUnknown, info.Key, "its session was never opened")
		case state.InFlight, state.Garbage, state.Quarantined, state.Newer:
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range st.Objects() {
		if o := st.Object(id); o.References > 0 && !c.seen[id] {
			c.doubt(FindMissing, id.Key(), "%d spans lie in it, and it is not in the bucket", o.References)
		}
	}
	return nil
}

// again looks at what seemed wrong in a later state, if the region runs and so has one.
func (c *checking) again(ctx context.Context) error {
	if len(c.doubts) == 0 {
		return nil
	}
	c.Say(fmt.Sprintf("%d objects are looked at again", len(c.doubts)))
	if err := c.catchUp(ctx); err != nil {
		return err
	}
	st := c.loaded.State
	for _, key := range slices.Sorted(maps.Keys(c.doubts)) {
		id, _ := parseKey(key)
		class, _ := st.Classify(id)
		info, err := c.Bucket.Head(ctx, key)
		there := err == nil
		if err != nil && !errors.Is(err, base.ErrNotFound) {
			return fmt.Errorf("look at %s again: %w", key, err)
		}
		o := st.Object(id)
		d := c.doubts[key]
		stands := map[string]bool{
			FindUnknown: there && class == state.Unknown,
			FindMissing: !there && o != nil && o.References > 0,
			FindSize:    there && o != nil && o.Size != info.Size,
			FindDamaged: there && o != nil && o.References > 0,
		}[d.Kind]
		if stands {
			c.find(d.Kind, d.Where, "%s", d.Detail)
		}
	}
	return nil
}

// catchUp brings the state to a time after the listing. A region that does not run has no such state.
func (c *checking) catchUp(ctx context.Context) error {
	for deadline := c.Now().Add(c.CatchUp); ; {
		if err := c.loaded.Advance(ctx, 0); err != nil {
			return err
		}
		if c.loaded.State.Time() > c.listed.UnixMilli() || !c.Now().Before(deadline) {
			return nil
		}
		select {
		case <-time.After(min(catchUpWait, c.CatchUp)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
