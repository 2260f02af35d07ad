package state

import "slices"

// Counts say how much of what clients make a state holds of its own, images of links not included. Apply keeps them up to
// date: to count anew for each admission would cost too much.
type Counts struct {
	Topics, Partitions int
	Producers          int // what partitions remember of idempotent producers, each partition and producer counting as one
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
