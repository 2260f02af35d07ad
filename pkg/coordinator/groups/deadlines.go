package groups

import (
	"cmp"
	"container/heap"
	"time"
)

// never is no deadline.
var never time.Time

// deadlines orders groups by the earliest time at which one of them may have something due.
type deadlines []*group

func (d deadlines) Len() int { return len(d) }

func (d deadlines) Less(i, j int) bool {
	if c := d[i].due.Compare(d[j].due); c != 0 {
		return c < 0
	}
	return cmp.Less(d[i].name, d[j].name)
}

func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].slot, d[j].slot = i, j
}

// Push is for container/heap alone.
func (d *deadlines) Push(x any) {
	g := x.(*group)
	g.slot = len(*d)
	*d = append(*d, g)
}

// Pop is for container/heap alone.
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	g := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	g.slot = unscheduled
	return g
}

// unscheduled is the slot of a group without a deadline.
const unscheduled = -1

// by makes sure that the group is looked at by a time. It never moves the look away: a look that comes too early costs
// little, and heartbeats are many.
func (d *deadlines) by(g *group, at time.Time) {
	switch {
	case at.IsZero():
	case g.slot == unscheduled:
		g.due = at
		heap.Push(d, g)
	case at.Before(g.due):
		g.due = at
		heap.Fix(d, g.slot)
	}
}

func (d *deadlines) remove(g *group) {
	if g.slot != unscheduled {
		heap.Remove(d, g.slot)
	}
}
