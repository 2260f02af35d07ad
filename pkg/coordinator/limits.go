package coordinator

import (
	"cmp"

	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// Limits bound what clients can make the metalog's state grow to. They are kept where something new is admitted, by the
// leader of the region that owns it: what is in the log already is never refused, neither here nor by a link. Zero fields
// stand for their defaults.
type Limits struct {
	// Producers bounds what partitions remember of idempotent producers, each partition and producer counting as one.
	Producers int
	// Topics and Partitions bound what the region holds in all, the images of links included.
	Topics, Partitions int
	// PartitionsPerTopic bounds one topic; at most PartitionsPerTopicMost.
	PartitionsPerTopic int
	// OffsetsPerGroup bounds the committed offsets of one group.
	OffsetsPerGroup int
	// OffsetBytes bounds those of all groups that run here, each counting for offsetBytes and its metadata.
	OffsetBytes int64
}

// Defaults of Limits.
const (
	ProducersDefault          = 500_000
	TopicsDefault             = 50_000
	PartitionsDefault         = 200_000
	PartitionsPerTopicDefault = 10_000
	OffsetsPerGroupDefault    = 100_000
	OffsetBytesDefault        = 256 << 20
)

// offsetBytes is what a committed offset takes without its metadata.
const offsetBytes = 128

// PartitionsPerTopicMost is what a state can hold of one topic.
const PartitionsPerTopicMost = state.PartitionsMax

func (l Limits) withDefaults() Limits {
	l.Topics = cmp.Or(l.Topics, TopicsDefault)
	l.Partitions = cmp.Or(l.Partitions, PartitionsDefault)
	l.PartitionsPerTopic = min(cmp.Or(l.PartitionsPerTopic, PartitionsPerTopicDefault), PartitionsPerTopicMost)
	l.OffsetsPerGroup = cmp.Or(l.OffsetsPerGroup, OffsetsPerGroupDefault)
	l.OffsetBytes = cmp.Or(l.OffsetBytes, OffsetBytesDefault)
	l.Producers = cmp.Or(l.Producers, ProducersDefault)
	return l
}
