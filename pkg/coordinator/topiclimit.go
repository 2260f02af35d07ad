package coordinator

import (
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/twmb/franz-go/pkg/kerr"
)

// admitPartitions checks how many partitions a topic is to have.
func (tx *Tx) admitPartitions(topic string, n int32) *apiError {
	if most := tx.l.seq.limits.PartitionsPerTopic; n < 1 || int(n) > most {
		return fail(kerr.InvalidPartitions, "topic %q asks for %d partitions, want 1 to %d: see max-partitions-per-topic of the coordinator", topic, n, most)
	}
	return nil
}

// admitMore checks that so many more topics and partitions fit. What links show counts, and what they hide: it takes the
// same memory. A region that has more than its limit, after a flip or because the limit was lowered, keeps it, and gets no
// more.
func (tx *Tx) admitMore(topics, partitions int) *apiError {
	st, limits := tx.State(), tx.l.seq.limits
	has := held(st)
	switch {
	case topics > 0 && has.Topics+topics > limits.Topics:
		return fail(kerr.PolicyViolation, "the cluster has %d topics, and at most %d: see max-topics of the coordinator", has.Topics, limits.Topics)
	case has.Partitions+partitions > limits.Partitions:
		return fail(kerr.PolicyViolation, "the cluster has %d partitions, %d more are asked for, and it has at most %d: see max-partitions of the coordinator",
			has.Partitions, partitions, limits.Partitions)
	}
	return nil
}

// held is what the state holds, with the topics and partitions of the images of links.
func held(st *state.State) state.Counts {
	has := st.Counts()
	for _, l := range st.Links() {
		image := l.Image().Counts()
		has.Topics += image.Topics
		has.Partitions += image.Partitions
	}
	return has
}
