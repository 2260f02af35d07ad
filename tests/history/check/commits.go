package check

import (
	"fmt"
	"math"
)

// groupOffsets is a register: the committed offset of a group and partition.
//
// A read of v is sound if there is a write of v that may have been the last before it: none that was seen (acked, or read) with
// another value lies wholly behind that write and wholly before the read.
type groupOffsets struct {
	ends map[int64]int // value to the event that ended its last write
	open map[int64]int // value to its writes that are not known to have ended
	seen evidence

	writes []write
	resume *int64 // what the region that took over says
}

// write is a commit, or another change, that began and maybe was acked (-1: not known) at these events.
type write struct {
	value      int64
	began, end int
}

// ended notes the end of the writes that began at an event.
func ended(writes []write, began, end int) {
	for i := len(writes) - 1; i >= 0 && writes[i].began >= began; i-- {
		if writes[i].began == began {
			writes[i].end = end
		}
	}
}

// evidence is what was seen of a register: the value with the latest beginning, and the latest of another value.
type evidence struct{ first, second seen }

type seen struct {
	value   int64
	at      int // when the operation that saw it began; -1: none
	current int // the event that told it
}

func (e *evidence) add(s seen) {
	switch {
	case s.value == e.first.value:
		e.first.at = max(e.first.at, s.at)
	case s.at > e.first.at:
		e.first, e.second = s, e.first
	case s.at > e.second.at:
		e.second = s
	}
}

func (e evidence) not(value int64) seen {
	if e.first.value != value {
		return e.first
	}
	return e.second
}

func (c *checker) group(e Event, p int32) *groupOffsets {
	k := place{e.Group, p}
	if c.groups[k] == nil {
		none := seen{value: -1, at: -1}
		c.groups[k] = &groupOffsets{ends: map[int64]int{-1: -1}, open: map[int64]int{}, seen: evidence{none, seen{value: -2, at: -1}}}
	}
	return c.groups[k]
}

func (c *checker) committing(p *pending) {
	for _, at := range p.event.At {
		g := c.group(p.event, at.Partition)
		g.open[at.Offset]++
		g.writes = append(g.writes, write{at.Offset, c.at, -1})
	}
}

func (c *checker) committedEnd(p *pending, e Event) {
	for _, at := range p.event.At {
		g := c.group(p.event, at.Partition)
		if e.Type == OK {
			c.report.Commits++
			g.seen.add(seen{at.Offset, p.at, c.at})
			ended(g.writes, p.at, c.at)
		}
		// An ok with an error was sent more than once: one of them may still be under way.
		if e.Type == Fail || e.Type == OK && e.Error == "" {
			g.open[at.Offset]--
			g.ends[at.Offset] = c.at
		}
	}
}

func (c *checker) asking(p *pending) {
	p.reads = map[int32]evidence{}
	for k, g := range c.groups {
		if k.who == p.event.Group {
			p.reads[k.partition] = g.seen
		}
	}
}

func (c *checker) answered(p *pending, e Event) {
	for _, at := range e.At {
		g := c.group(e, at.Partition)
		end, known := g.ends[at.Offset]
		if g.open[at.Offset] > 0 {
			end, known = math.MaxInt, true
		}
		if !known {
			c.report.add(CommitAlien, fmt.Sprintf("group %s has %d:%d, which nobody committed", e.Group, at.Partition, at.Offset), c.at)
			continue
		}
		if known := p.reads[at.Partition]; len(p.reads) > 0 {
			if other := known.not(at.Offset); other.at > end {
				c.report.add(CommitBack, fmt.Sprintf("group %s has %d:%d, but %d replaced it", e.Group, at.Partition, at.Offset, other.value), other.current, p.at, c.at)
			}
		}
		g.seen.add(seen{at.Offset, p.at, c.at})
		c.part(at.Partition).told.end.raise(bound{at.Offset, c.at, CommitBeyond})
		c.commits(e.Group, g, at)
	}
}
