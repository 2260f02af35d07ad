package coordinator

import "cmp"

// Limits bound what clients can make the metalog's state grow to. They are kept where something new is admitted, by the
// leader of the region that owns it: what is in the log already is never refused, neither here nor by a link. Zero fields
// stand for their defaults.
type Limits struct {
	// Producers bounds what partitions remember of idempotent producers, each partition and producer counting as one.
	Producers int
}

// ProducersDefault is the default of Limits.
const ProducersDefault = 500_000

func (l Limits) withDefaults() Limits {
	l.Producers = cmp.Or(l.Producers, ProducersDefault)
	return l
}
