package check

import (
	"fmt"
	"iter"
	"slices"
)

// checker is what is known when the history has come to an event.
type checker struct {
	report  Report
	at      int // the number of the event
	now     int64
	pending map[int64]*pending
	values  map[Value]*value
	parts   map[int32]*partition
	places  map[place]position      // of consumers
	given   map[place]int64         // of groups: all below was given to members
	groups  map[place]*groupOffsets // committed offsets
	skips   []skip
	agents  map[place]*told // what agents told of partitions
	after   *after          // nil until another region has taken over
}

// skip is what a consumer was not given; an anomaly only if somebody was.
type skip struct {
	partition int32
	from, to  int64
	anomaly   Anomaly
}

// skipsKept bounds the memory that a broken cluster takes.
const skipsKept = 10_000

// place is a process or group, and a partition.
type place struct {
	who       string
	partition int32
}

type pending struct {
	event  Event
	at     int
	bounds map[int32]told // as they were when it was invoked: of anybody, and
	agent  map[int32]told // of the agent that is asked
	acked  bound          // the last ack of a send's partition
	reads  map[int32]evidence
}

// bound says that a partition's end is at least end; why is a kind of anomaly if it is told to be lower.
type bound struct {
	end int64
	at  int
	why string
}

type position struct {
	next int64
	at   int
}

type value struct {
	sent, where int // events
	failed      bool
	partition   int32
	offset      int64 // -1: not known
}

type slot struct {
	value       Value
	acked, read int // events; -1: none
}

// told are the highest ends and log starts that were told.
type told struct{ end, start bound }

type partition struct {
	slots   []slot // by offset
	told    told
	acked   bound
	deleted int64 // what lies below, somebody has asked to delete
	deletes []write
}

// Check looks at all events of a history.
func Check(history iter.Seq[Event]) Report {
	c := &checker{
		report: Report{Counts: map[string]int{}}, pending: map[int64]*pending{}, values: map[Value]*value{}, parts: map[int32]*partition{},
		places: map[place]position{}, given: map[place]int64{}, groups: map[place]*groupOffsets{}, agents: map[place]*told{},
	}
	for e := range history {
		c.now = e.Time
		if e.Type == Invoke {
			c.invoke(e)
		} else if p := c.pending[e.Op]; p != nil {
			delete(c.pending, e.Op)
			c.end(p, e)
		}
		c.at++
	}
	c.report.Events = c.at
	c.finish()
	c.torn()
	return c.report
}

func (c *checker) part(p int32) *partition {
	if c.parts[p] == nil {
		c.parts[p] = &partition{told: told{end: bound{at: -1}, start: bound{at: -1}}, acked: bound{end: -1, at: -1}}
	}
	return c.parts[p]
}

func (c *checker) invoke(e Event) {
	p := &pending{event: e, at: c.at}
	c.pending[e.Op] = p
	switch e.F {
	case Send:
		r := e.Records[0]
		c.values[r.Value] = &value{sent: c.at, where: -1, partition: r.Partition, offset: -1}
		p.acked = c.part(r.Partition).acked
	case End, Stable, Start, Fetch:
		c.questioned(p)
	case Delete:
		for _, at := range e.At {
			part := c.part(at.Partition)
			part.deleted = max(part.deleted, at.Offset)
			part.deletes = append(part.deletes, write{at.Offset, c.at, -1})
		}
	case Commit:
		c.committing(p)
	case Committed:
		c.asking(p)
	}
}

func (c *checker) end(p *pending, e Event) {
	if e.Type == Fail && e.F == Send {
		c.values[p.event.Records[0].Value].failed = true
	}
	if e.F == Commit {
		c.committedEnd(p, e)
	}
	if e.Type != OK {
		return
	}
	switch e.F {
	case Send:
		c.sent(p, e.Records[0])
	case Poll:
		for _, r := range e.Records {
			c.polled(e, r)
		}
	case Resume:
		c.resumed(e)
	case Revoke:
		for _, at := range e.At {
			delete(c.places, place{e.Process, at.Partition})
		}
	case End, Stable, Start:
		c.listed(p, e)
	case Fetch:
		c.fetched(p, e)
	case Delete:
		for _, at := range e.At {
			part := c.part(at.Partition)
			part.told.start.raise(bound{at.Offset, c.at, StartBack})
			ended(part.deletes, p.at, c.at)
		}
	case Committed:
		c.answered(p, e)
	case Final:
		c.report.Complete = true
	case Failover:
		c.takeOver(e)
	}
}

func (c *checker) sent(p *pending, r Record) {
	c.report.Acked++
	part := c.part(r.Partition)
	if before := p.acked; before.end >= r.Offset {
		c.report.add(SendBack, fmt.Sprintf("partition %d: %d, though %d was acked before", r.Partition, r.Offset, before.end), before.at, p.at, c.at)
	}
	if r.Offset > part.acked.end {
		part.acked = bound{end: r.Offset, at: c.at}
	}
	c.observe(r, true)
	part.told.end.raise(bound{r.Offset + 1, c.at, Invisible})
}

func (b *bound) raise(by bound) {
	if by.end > b.end {
		*b = by
	}
}

// observe enters that a value is at an offset.
func (c *checker) observe(r Record, ack bool) {
	v := c.values[r.Value]
	if v == nil {
		c.report.add(Unsent, fmt.Sprintf("partition %d offset %d: %v was never sent", r.Partition, r.Offset, r.Value), c.at)
		v = &value{sent: -1, where: -1, partition: r.Partition, offset: -1}
		c.values[r.Value] = v
	}
	if !ack && v.failed {
		c.report.add(Unsent, fmt.Sprintf("partition %d offset %d: %v had failed", r.Partition, r.Offset, r.Value), v.sent, c.at)
		v.failed = false // told once
	}
	if v.offset >= 0 && (v.offset != r.Offset || v.partition != r.Partition) {
		c.report.add(Duplicate, fmt.Sprintf("%v is at %d:%d and at %d:%d", r.Value, v.partition, v.offset, r.Partition, r.Offset), v.where, c.at)
	}
	if c.after != nil {
		c.after.observe(r, v.sent)
	}
	if v.offset < 0 {
		v.partition, v.offset, v.where = r.Partition, r.Offset, c.at
	}
	part := c.part(r.Partition)
	for int64(len(part.slots)) <= r.Offset {
		part.slots = append(part.slots, slot{acked: -1, read: -1})
	}
	s := &part.slots[r.Offset]
	if s.acked < 0 && s.read < 0 {
		s.value = r.Value
	} else if s.value != r.Value {
		c.report.add(Inconsistent, fmt.Sprintf("%d:%d holds %v and %v", r.Partition, r.Offset, s.value, r.Value), max(s.acked, s.read), c.at)
	}
	if ack {
		s.acked = c.at
	} else if s.read < 0 {
		s.read = c.at
		if c.after == nil {
			c.report.Read++
		} else {
			c.report.Failover.Read++
		}
	}
}

func (c *checker) polled(e Event, r Record) {
	c.observe(r, false)
	c.reaches(r.Partition, r.Offset+1)
	c.part(r.Partition).told.end.raise(bound{r.Offset + 1, c.at, EndBack})
	where := place{e.Process, r.Partition}
	if pos, known := c.places[where]; known {
		switch {
		case r.Offset < pos.next:
			c.report.add(PollBack, fmt.Sprintf("%s was at %d:%d and was given %d", e.Process, r.Partition, pos.next, r.Offset), pos.at, c.at)
		case r.Offset > pos.next && len(c.skips) < skipsKept:
			detail := fmt.Sprintf("%s was at %d:%d and was given %d", e.Process, r.Partition, pos.next, r.Offset)
			c.skips = append(c.skips, skip{r.Partition, pos.next, r.Offset, Anomaly{PollSkip, detail, []int{pos.at, c.at}}})
		}
	}
	c.places[where] = position{r.Offset + 1, c.at}
	if g := (place{e.Group, r.Partition}); e.Group != "" && r.Offset+1 > c.given[g] {
		c.given[g] = r.Offset + 1
	}
}

func (c *checker) resumed(e Event) {
	for _, at := range e.At {
		c.places[place{e.Process, at.Partition}] = position{at.Offset, c.at}
		if e.Group == "" {
			continue
		}
		c.resumes(e, at)
		if given := c.given[place{e.Group, at.Partition}]; at.Offset > given && at.Offset > c.part(at.Partition).deleted {
			c.report.add(GroupSkip, fmt.Sprintf("group %s resumes %d at %d, but was given what is below %d only", e.Group, at.Partition, at.Offset, given), c.at)
		}
	}
}

// finish looks at what only the whole history can show.
func (c *checker) finish() {
	c.passedOver()
	numbers := make([]int32, 0, len(c.parts))
	for n := range c.parts {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		c.unread(n, c.parts[n])
	}
}

func (c *checker) passedOver() {
	for _, s := range c.skips {
		part := c.part(s.partition)
		for _, between := range part.slots[min(max(s.from, part.deleted), s.to):s.to] {
			if between.read >= 0 {
				c.report.add(s.anomaly.Kind, s.anomaly.Detail, s.anomaly.Events...)
				break
			}
		}
	}
	c.skips = nil
}

func (c *checker) unread(n int32, part *partition) {
	read := len(part.slots) - 1
	for read >= 0 && part.slots[read].read < 0 {
		read--
	}
	last := map[int32]slot{}
	for o, s := range part.slots {
		switch {
		case s.read < 0 && int64(o) < part.deleted:
			if c.after != nil {
				c.report.Failover.Deleted++
			}
			continue // nobody had to read it
		case s.read < 0 && o > read && !c.report.Complete:
			continue // nobody came to it
		case s.read < 0 && s.acked >= 0 && o < read:
			c.report.add(Lost, fmt.Sprintf("%v was acked at %d:%d", s.value, n, o), s.acked)
		case s.read < 0 && s.acked >= 0:
			c.report.add(Unseen, fmt.Sprintf("%v was acked at %d:%d", s.value, n, o), s.acked)
		case s.read < 0:
			c.report.add(Hole, fmt.Sprintf("%d:%d", n, o))
			continue
		}
		if before, ok := last[s.value.Producer]; ok && s.value.Number < before.value.Number {
			c.report.add(Reordered, fmt.Sprintf("%d:%d holds %v, behind %v", n, o, s.value, before.value), max(before.acked, before.read), max(s.acked, s.read))
		}
		last[s.value.Producer] = s
	}
}
