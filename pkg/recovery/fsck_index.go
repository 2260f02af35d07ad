package recovery

import (
	"context"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// checkIndex looks at the state alone: spans cover each partition without hole or overlap, lie within their objects, and are what the
// reference counts count.
func (c *checking) checkIndex(context.Context) error {
	st := c.loaded.State
	counts := map[base.ObjectID]int64{}
	for _, t := range topicsOf(st) {
		c.report.Topics++
		for i := range t.Partitions() {
			c.report.Partitions++
			c.checkPartition(fmt.Sprintf("%s/%d", t.Info().Name, i), t.Partition(i), counts)
		}
	}
	for _, id := range st.Objects() {
		if o := st.Object(id); o.References != counts[id] {
			c.find(FindCount, id.Key(), "%d spans are counted, there are %d", o.References, counts[id])
		}
		delete(counts, id)
	}
	for id := range counts {
		c.find(FindCount, id.Key(), "spans lie in an object that the state does not know")
	}
	return nil
}

// topicsOf lists the region's own topics, and those of the images that it holds.
func topicsOf(st *state.State) []*state.Topic {
	out := st.Topics()
	for _, l := range st.Links() {
		if l.Active() {
			out = append(out, l.Image().Topics()...)
		}
	}
	return out
}

func (c *checking) checkPartition(where string, p *state.Partition, counts map[base.ObjectID]int64) {
	next := p.LogStart
	for i, sp := range p.Spans {
		c.report.Spans++
		switch {
		case sp.Last < sp.Base:
			c.find(FindOverlap, where, "a span goes from offset %d to %d", sp.Base, sp.Last)
		case i == 0 && sp.Last < p.LogStart:
			c.find(FindOverlap, where, "span %d to %d lies below the log start %d", sp.Base, sp.Last, p.LogStart)
		case sp.Base > next:
			c.find(FindHole, where, "no span has offsets %d to %d", next, sp.Base-1)
		case i > 0 && sp.Base < next:
			c.find(FindOverlap, where, "two spans have offset %d", sp.Base)
		}
		next = sp.Last + 1
		if sp.Residency != state.Local {
			continue
		}
		counts[sp.Object]++
		if o := c.loaded.State.Object(sp.Object); o != nil && (sp.Position < 0 || sp.Length <= 0 || sp.Position+sp.Length > o.Size) {
			c.find(FindRange, where, "span %d to %d lies at bytes %d to %d of %s, which has %d", sp.Base, sp.Last, sp.Position, sp.Position+sp.Length, sp.Object.Key(), o.Size)
		}
	}
	if next < p.End {
		c.find(FindHole, where, "no span has offsets %d to %d", next, p.End-1)
	} else if next > p.End {
		c.find(FindOverlap, where, "spans reach offset %d, the partition ends at %d", next-1, p.End)
	}
}
