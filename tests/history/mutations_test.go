package main

import (
	"slices"

	"github.com/gnomon-stream/gnomon/tests/history/check"
)

// mutant is a history that is changed.
type mutant struct {
	events []check.Event
	op     int64
	last   check.Record // of partition 0
}

func newMutant(events []check.Event) *mutant {
	m := &mutant{events: events, op: 1 << 40, last: check.Record{Offset: -1}}
	for _, e := range events {
		for _, r := range e.Records {
			if r.Partition == 0 && r.Offset > m.last.Offset {
				m.last = r
			}
		}
	}
	return m
}

// pair appends an operation and its end.
func (m *mutant) pair(e check.Event, how string) {
	m.op++
	e.Op, e.Type = m.op, check.Invoke
	m.events = append(m.events, e)
	e.Type = how
	m.events = append(m.events, e)
}

func (m *mutant) read(r check.Record) {
	m.pair(check.Event{F: check.Poll, Process: "mutant", Records: []check.Record{r}}, check.OK)
}

func (m *mutant) tell(end int64) {
	m.pair(check.Event{F: check.End, At: []check.At{{Offset: end}}}, check.OK)
}

func (m *mutant) commit(o int64, how string) {
	m.pair(check.Event{F: check.Commit, Group: "g", At: []check.At{{Offset: o}}}, how)
}

func (m *mutant) committed(o int64) {
	m.pair(check.Event{F: check.Committed, Group: "g", At: []check.At{{Offset: o}}}, check.OK)
}

// forget takes records out of the polls of those that which chooses.
func (m *mutant) forget(offset int64, which func(process string) bool) {
	for i, e := range m.events {
		if e.F == check.Poll && which(e.Process) {
			m.events[i].Records = slices.DeleteFunc(e.Records, func(r check.Record) bool { return r.Partition == 0 && r.Offset == offset })
		}
	}
}

// resumeBelow has groups resume at offset at most, where a mutant takes away what lies behind it.
func (m *mutant) resumeBelow(offset int64) {
	for _, e := range m.events {
		for i, at := range e.At {
			if e.F == check.Resume && at.Partition == 0 {
				e.At[i].Offset = min(at.Offset, offset)
			}
		}
	}
}

func everybody(string) bool { return true }

// ack is where the ack of a record is.
func (m *mutant) ack(offset int64) int {
	return slices.IndexFunc(m.events, func(e check.Event) bool {
		return e.F == check.Send && e.Type == check.OK && e.Records[0].Partition == 0 && e.Records[0].Offset == offset
	})
}

// move puts an event behind another one.
func (m *mutant) move(from, behind int) {
	e := m.events[from]
	m.events = slices.Insert(m.events, behind+1, e)
	if from > behind {
		from++
	}
	m.events = slices.Delete(m.events, from, from+1)
}

func (m *mutant) invoked(ack int) int {
	op := m.events[ack].Op
	return slices.IndexFunc(m.events, func(e check.Event) bool { return e.Op == op })
}

// swap exchanges two values that a producer sent one behind the other, as if they had been under way together.
func (m *mutant) swap() []check.Event {
	for o := int64(0); ; o++ {
		a, b := m.ack(o), m.ack(o+1)
		x, y := m.events[a].Records[0].Value, m.events[b].Records[0].Value
		if x.Producer != y.Producer {
			continue
		}
		m.move(m.invoked(b), m.invoked(a))
		for i, e := range m.events {
			if e.F == check.Send && e.Type == check.Invoke {
				continue
			}
			for j, r := range e.Records {
				switch r.Value {
				case x:
					m.events[i].Records[j].Value = y
				case y:
					m.events[i].Records[j].Value = x
				}
			}
		}
		return m.events
	}
}

// fetched is an answer to a Fetch of partition 0.
func (m *mutant) fetched(agent string, mark check.Mark) {
	m.pair(check.Event{F: check.Fetch, Agent: agent, Marks: []check.Mark{mark}}, check.OK)
}

var alien = check.Value{Producer: 99, Number: 1}

var mutations = map[string]func(m *mutant) []check.Event{
	check.Lost: func(m *mutant) []check.Event { m.forget(5, everybody); return m.events },
	check.Unseen: func(m *mutant) []check.Event {
		m.resumeBelow(m.last.Offset)
		m.forget(m.last.Offset, everybody)
		return m.events
	},
	check.PollSkip: func(m *mutant) []check.Event {
		m.forget(5, func(p string) bool { return p == "final-0" })
		return m.events
	},
	check.Reordered: (*mutant).swap,
	check.Duplicate: func(m *mutant) []check.Event {
		m.read(check.Record{Offset: m.last.Offset + 1, Value: m.last.Value})
		return m.events
	},
	check.Unsent: func(m *mutant) []check.Event {
		m.read(check.Record{Offset: m.last.Offset + 1, Value: alien})
		return m.events
	},
	check.Inconsistent: func(m *mutant) []check.Event {
		m.pair(check.Event{F: check.Send, Records: []check.Record{{Offset: -1, Value: alien}}}, check.Info)
		m.read(check.Record{Offset: 5, Value: alien})
		return m.events
	},
	check.Hole: func(m *mutant) []check.Event {
		m.forget(5, everybody)
		a := m.ack(5)
		m.events = slices.Delete(m.events, a, a+1)
		return m.events
	},
	check.PollBack: func(m *mutant) []check.Event {
		m.read(m.last)
		m.read(m.last)
		return m.events
	},
	check.GroupSkip: func(m *mutant) []check.Event {
		m.pair(check.Event{F: check.Resume, Group: "eager", Process: "mutant", At: []check.At{{Offset: m.last.Offset + 9}}}, check.OK)
		return m.events
	},
	check.SendBack: func(m *mutant) []check.Event {
		o := m.last.Offset
		m.resumeBelow(o - 1)
		for _, gone := range []int64{o - 1, o} {
			m.forget(gone, func(p string) bool { return p != "final-0" })
		}
		m.move(m.ack(o-1), m.ack(o))
		late := m.ack(o - 1)
		m.move(m.invoked(late), m.ack(o))
		return m.events
	},
	check.EndBack: func(m *mutant) []check.Event {
		m.tell(m.last.Offset + 5)
		m.tell(m.last.Offset + 1)
		return m.events
	},
	check.Invisible: func(m *mutant) []check.Event {
		r := check.Record{Offset: m.last.Offset + 1, Value: alien}
		m.pair(check.Event{F: check.Send, Records: []check.Record{r}}, check.OK)
		m.tell(r.Offset)
		m.read(r)
		return m.events
	},
	check.StableBack: func(m *mutant) []check.Event {
		m.tell(m.last.Offset + 5)
		m.pair(check.Event{F: check.Stable, At: []check.At{{Offset: m.last.Offset + 1}}}, check.OK)
		return m.events
	},
	check.StableApart: func(m *mutant) []check.Event {
		m.fetched("x", check.Mark{Asked: 1, End: m.last.Offset + 1, Stable: m.last.Offset})
		return m.events
	},
	check.WatermarkBack: func(m *mutant) []check.Event {
		m.fetched("x", check.Mark{Asked: 1, End: m.last.Offset + 5, Stable: m.last.Offset + 5})
		m.fetched("x", check.Mark{Asked: 1, End: m.last.Offset + 1, Stable: m.last.Offset + 1})
		return m.events
	},
	check.Unserved: func(m *mutant) []check.Event {
		m.fetched("x", check.Mark{Asked: m.last.Offset + 1, End: m.last.Offset, Stable: m.last.Offset})
		m.fetched("y", check.Mark{Asked: m.last.Offset + 1, Refused: true})
		return m.events
	},
	check.StartBack: func(m *mutant) []check.Event {
		m.pair(check.Event{F: check.Delete, At: []check.At{{Offset: 3}}}, check.OK)
		m.pair(check.Event{F: check.Start, At: []check.At{{Offset: 2}}}, check.OK)
		m.fetched("x", check.Mark{Asked: m.last.Offset, End: m.last.Offset + 1, Stable: m.last.Offset + 1, Start: 3})
		m.fetched("x", check.Mark{Asked: m.last.Offset, End: m.last.Offset + 1, Stable: m.last.Offset + 1, Start: 1})
		return m.events
	},
	check.StartBeyond: func(m *mutant) []check.Event {
		m.pair(check.Event{F: check.Start, At: []check.At{{Offset: 2}}}, check.OK)
		return m.events
	},
	check.CommitBack: func(m *mutant) []check.Event {
		m.commit(3, check.OK)
		m.commit(4, check.OK)
		m.committed(3)
		return m.events
	},
	check.CommitAlien: func(m *mutant) []check.Event { m.committed(3); return m.events },
	check.CommitBeyond: func(m *mutant) []check.Event {
		m.commit(m.last.Offset+9, check.OK)
		m.committed(m.last.Offset + 9)
		m.tell(m.last.Offset + 1)
		return m.events
	},
}
