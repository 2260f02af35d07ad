package check

import "fmt"

// What agents tell of the ends of partitions.
//
// ListOffsets is answered at the head of the log: no answer lies below what anybody was told before the question. A Fetch is answered from
// the view of one agent, which may lag: its high watermark and log start go back through no one agent, also when it is started again, but may
// be lower than another agent's. A Fetch at an offset that was told before is answered, through any agent.

// questioned keeps what was told when a question was asked.
func (c *checker) questioned(p *pending) {
	p.bounds, p.agent = map[int32]told{}, map[int32]told{}
	for n, part := range c.parts {
		p.bounds[n] = part.told
		if own := c.agents[place{p.event.Agent, n}]; own != nil && p.event.Agent != "" {
			p.agent[n] = *own
		}
	}
}

// tells notes what an agent has told: to itself, and to all.
func (c *checker) tells(agent string, partition int32, end, start int64) {
	own := c.agents[place{agent, partition}]
	if own == nil {
		own = &told{}
		c.agents[place{agent, partition}] = own
	}
	c.reaches(partition, end)
	for _, t := range []*told{own, &c.part(partition).told} {
		t.end.raise(bound{end, c.at, EndBack})
		t.start.raise(bound{start, c.at, StartBack})
	}
}

func (c *checker) below(kind string, p *pending, b bound, what string, partition int32, is int64) {
	if is < b.end {
		c.report.add(kind, fmt.Sprintf("%s says that the %s of partition %d is %d, but it was %d before", p.event.Agent, what, partition, is, b.end), b.at, p.at, c.at)
	}
}

func (c *checker) beyond(p *pending, partition int32, start int64) {
	c.begins(partition, start)
	if deleted := c.part(partition).deleted; start > deleted {
		c.report.add(StartBeyond, fmt.Sprintf("%s says that partition %d begins at %d, but only what is below %d was to be deleted", p.event.Agent, partition, start, deleted), p.at, c.at)
	}
}

func (c *checker) listed(p *pending, e Event) {
	for _, at := range e.At {
		b := p.bounds[at.Partition]
		switch e.F {
		case End:
			c.below(b.end.why, p, b.end, "end", at.Partition, at.Offset)
			c.tells(e.Agent, at.Partition, at.Offset, 0)
		case Stable:
			c.below(StableBack, p, b.end, "last stable offset", at.Partition, at.Offset)
			c.tells(e.Agent, at.Partition, at.Offset, 0)
		case Start:
			c.below(StartBack, p, b.start, "log start", at.Partition, at.Offset)
			c.beyond(p, at.Partition, at.Offset)
			c.tells(e.Agent, at.Partition, 0, at.Offset)
		}
	}
}

func (c *checker) fetched(p *pending, e Event) {
	for _, m := range e.Marks {
		if m.Asked <= p.bounds[m.Partition].end.end && m.Asked >= c.part(m.Partition).deleted && (m.Refused || m.End < m.Asked) {
			detail := fmt.Sprintf("%s has nothing at %d:%d, which was told before (out of range: %v, high watermark %d)", e.Agent, m.Partition, m.Asked, m.Refused, m.End)
			c.report.add(Unserved, detail, p.bounds[m.Partition].end.at, p.at, c.at)
		}
		if m.Refused {
			continue
		}
		if own, known := p.agent[m.Partition]; known {
			c.below(WatermarkBack, p, own.end, "high watermark", m.Partition, m.End)
			c.below(StartBack, p, own.start, "log start", m.Partition, m.Start)
		}
		if m.Stable != m.End {
			c.report.add(StableApart, fmt.Sprintf("%s says that partition %d ends at %d, and its last stable offset is %d", e.Agent, m.Partition, m.End, m.Stable), p.at, c.at)
		}
		c.beyond(p, m.Partition, m.Start)
		c.tells(e.Agent, m.Partition, m.End, m.Start)
	}
}
