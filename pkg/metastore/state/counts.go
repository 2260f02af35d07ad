package state

import (
	"slices"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// Counts say how much of what clients make a state holds of its own, images of links not included. Apply keeps them up to
// date: to count anew for each admission would cost too much.
type Counts struct {
	Topics, Partitions int
	Producers          int // what partitions remember of idempotent producers, each partition and producer counting as one
	Offsets            int // committed offsets of all groups
	OffsetMetadata     int // bytes of their metadata
}

// Counts returns what the state holds. Applying goroutine only.
func (s *State) Counts() Counts { return s.counts }

// countTopic enters a topic that came with its partitions (sign 1), or that goes (sign -1).
func (s *State) countTopic(t *Topic, sign int) {
	s.counts.Topics += sign
	s.counts.Partitions += sign * int(t.Partitions())
	for _, c := range *t.cells.Load() {
		s.counts.Producers += sign * len(c.producers)
	}
}

// setOffset and deleteOffset change a group's committed offset.
func (s *State) setOffset(g *Group, tp base.TopicPartition, o GroupOffset) {
	s.deleteOffset(g, tp)
	g.Offsets[tp] = o
	s.counts.Offsets++
	s.counts.OffsetMetadata += len(o.Metadata)
}

func (s *State) deleteOffset(g *Group, tp base.TopicPartition) {
	if old, ok := g.Offsets[tp]; ok {
		delete(g.Offsets, tp)
		s.counts.Offsets--
		s.counts.OffsetMetadata -= len(old.Metadata)
	}
}

// setGroup makes a group what it is told, nil for nothing, with its offsets.
func (s *State) setGroup(name string, g *Group) {
	if old := s.groups[name]; old != nil {
		s.countOffsets(old, -1)
	}
	if g == nil {
		delete(s.groups, name)
		return
	}
	s.groups[name] = g
	s.countOffsets(g, 1)
}

func (s *State) countOffsets(g *Group, sign int) {
	s.counts.Offsets += sign * len(g.Offsets)
	for _, o := range g.Offsets {
		s.counts.OffsetMetadata += sign * len(o.Metadata)
	}
}

// ProducersBefore returns the event time T, Unix milliseconds, such that at most keep producers have written at T or later,
// or, if more than that wrote at this very instant, the time of the state. Applying goroutine only.
func (s *State) ProducersBefore(keep int) int64 {
	times := make([]int64, 0, s.counts.Producers)
	for _, t := range s.Topics() {
		for _, c := range *t.cells.Load() {
			for _, p := range c.producers {
				times = append(times, p.LastWrite)
			}
		}
	}
	if len(times) <= keep {
		return 0
	}
	slices.Sort(times)
	return min(times[len(times)-keep-1]+1, s.time)
}
