package check

import "fmt"

// After a failover the history goes on with what the region that took over tells; its bytes, offsets and groups are the first region's. The
// log of that one is frozen: what nobody knew of has happened by then, or never will.
//
// A fenced failover loses nothing: the second region is judged as another agent of the first one would be. A cut holds what the first region was
// at one past instant. Nobody knows when that was, but there must have been one: behind the beginning of everything that is there, and
// before the ack of everything that is not.

// after is what is known of the second region.
type after struct {
	cut      bool
	boundary map[int32]int64
	present  trace // the latest beginning of what is there
	absent   trace // the earliest ack of what is not
}

type trace struct {
	at   int // -1: nothing
	what string
}

// takeOver closes the first region's part of the history.
func (c *checker) takeOver(e Event) {
	c.finish()
	c.report.Complete, c.report.Failover = false, &Takeover{Mode: e.Mode}
	c.after = &after{cut: e.Mode == Cut, boundary: map[int32]int64{}, present: trace{at: -1}, absent: trace{at: -1}}
	clear(c.pending)
	clear(c.agents) // an address may be another agent's now
	for _, at := range e.At {
		c.after.boundary[at.Partition] = at.Offset
	}
	for n, part := range c.parts {
		if c.after.cut {
			c.truncate(n, part)
		}
		for i := range part.slots {
			s := &part.slots[i]
			if s.read >= 0 && s.acked < 0 {
				s.acked = s.read // somebody was given it: it has to be there
			}
			s.read = -1
		}
	}
	for _, g := range c.groups {
		for value, n := range g.open {
			if n > 0 {
				g.ends[value] = c.at
			}
		}
		clear(g.open)
		if c.after.cut {
			g.seen = evidence{seen{value: -1, at: -1}, seen{value: -2, at: -1}}
		}
	}
}

// truncate takes from a partition what lies beyond the cut.
func (c *checker) truncate(n int32, part *partition) {
	boundary := c.after.boundary[n]
	if told := part.told.end; told.end > boundary {
		c.after.lacks(told.at, fmt.Sprintf("the end %d of partition %d", told.end, n))
	}
	for o := boundary; o < int64(len(part.slots)); o++ {
		s := part.slots[o]
		for _, at := range []int{s.acked, s.read} {
			if at >= 0 {
				c.after.lacks(at, fmt.Sprintf("%v at %d:%d", s.value, n, o))
			}
		}
		if s.acked >= 0 {
			c.report.Failover.Beyond++
		}
	}
	part.slots = part.slots[:min(boundary, int64(len(part.slots)))]
	part.told = told{end: bound{boundary, c.at, EndBack}, start: bound{at: -1}}
}

func (a *after) has(began int, what string) {
	if began > a.present.at {
		a.present = trace{began, what}
	}
}

func (a *after) lacks(acked int, what string) {
	if a.absent.at < 0 || acked < a.absent.at {
		a.absent = trace{acked, what}
	}
}

func (a *after) observe(r Record, sent int) {
	a.has(sent, fmt.Sprintf("%v at %d:%d", r.Value, r.Partition, r.Offset))
}

// begins notes the log start that the second region tells: a deletion moved it there, and those of higher offsets are not in the cut.
func (c *checker) begins(n int32, start int64) {
	if c.after == nil || !c.after.cut {
		return
	}
	what, began := fmt.Sprintf("the log start %d of partition %d", start, n), -1
	for _, d := range c.part(n).deletes {
		switch {
		case d.value > start && d.end >= 0:
			c.after.lacks(d.end, fmt.Sprintf("the log start %d of partition %d", d.value, n))
		case d.value == start && began < 0:
			began = d.began
		}
	}
	c.after.has(began, what)
}

// commits notes the committed offset that the second region tells.
func (c *checker) commits(group string, g *groupOffsets, at At) {
	if c.after == nil || g.resume != nil {
		return
	}
	g.resume = &at.Offset
	if !c.after.cut {
		return
	}
	place, began := fmt.Sprintf("group %s in partition %d", group, at.Partition), -1
	for _, w := range g.writes {
		switch {
		case w.value != at.Offset && w.end >= 0 && w.began > g.ends[at.Offset]:
			c.after.lacks(w.end, fmt.Sprintf("%d of %s", w.value, place))
		case w.value == at.Offset && began < 0:
			began = w.began
		}
	}
	c.after.has(began, fmt.Sprintf("%d of %s", at.Offset, place))
}

// resumes judges where a member of a group goes on.
func (c *checker) resumes(e Event, at At) {
	if c.after == nil {
		return
	}
	c.report.Failover.Resumed++
	if g := c.group(e, at.Partition); g.resume != nil && max(0, *g.resume) != at.Offset {
		c.report.add(GroupApart, fmt.Sprintf("group %s resumes %d at %d, but has committed %d", e.Group, at.Partition, at.Offset, *g.resume), c.at)
	}
}

// reaches judges an end that the second region shows.
func (c *checker) reaches(n int32, end int64) {
	if c.after == nil {
		return
	}
	if boundary, known := c.after.boundary[n]; known && end > boundary {
		c.report.add(BeyondCut, fmt.Sprintf("partition %d reaches to %d, but its failover reported a boundary of %d", n, end, boundary), c.at)
	}
}

func (c *checker) torn() {
	if a := c.after; a != nil && a.cut && a.absent.at >= 0 && a.present.at > a.absent.at {
		c.report.add(Torn, fmt.Sprintf("%s is there, and began after the ack of %s, which is not", a.present.what, a.absent.what), a.absent.at, a.present.at)
	}
}
