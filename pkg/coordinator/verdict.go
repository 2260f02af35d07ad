package coordinator

import (
	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/twmb/franz-go/pkg/kerr"
)

// verdict is what becomes of a batch.
type verdict struct {
	code        int16 // Kafka's error code
	duplicate   bool
	duplicateOf int64 // the first write's base offset; -1 otherwise
}

func (v verdict) accepted() bool { return v.code == 0 && !v.duplicate }

var accepted = verdict{duplicateOf: -1}

func rejected(err *kerr.Error) verdict { return verdict{code: err.Code, duplicateOf: -1} }

// check decides a batch by Kafka's rules for idempotent producers (KIP-98; ProducerAppendInfo in Kafka's own terms):
// an unknown producer may start anywhere, a lower epoch is fenced, a higher one starts at sequence 0, one of the last
// five batches again is a duplicate, and everything else must continue the last sequence. After a flip the first batch
// may leave a forward gap: what it skips was written above the cut, and the RPO ledger counts it.
func (c *committing) check(tp base.TopicPartition, b *metalogpb.BatchMeta) verdict {
	if b.Transactional {
		return rejected(kerr.InvalidTxnState)
	}
	if b.ProducerId < 0 {
		return accepted
	}
	p := c.producer(tp, b.ProducerId)
	epoch := int16(b.ProducerEpoch)
	switch {
	case p == nil:
		return accepted
	case epoch < p.Epoch:
		return rejected(kerr.InvalidProducerEpoch)
	case epoch > p.Epoch:
		if b.BaseSequence != 0 {
			return rejected(kerr.OutOfOrderSequenceNumber)
		}
		return accepted
	}
	for _, known := range p.Batches {
		if known.BaseSequence == b.BaseSequence && known.LastOffsetDelta == b.Records-1 {
			return verdict{duplicate: true, duplicateOf: known.BaseOffset}
		}
	}
	return continues(p, b)
}

func continues(p *state.Producer, b *metalogpb.BatchMeta) verdict {
	last := p.LastSequence()
	// Sequences wrap at 2^31: the distance is taken modulo, and a step of less than half the circle is forward.
	step := uint32(b.BaseSequence-last) & 0x7fffffff
	switch {
	case step == 1:
		return accepted
	case p.GapAllowed && step > 1 && step < 1<<30:
		return accepted
	}
	return rejected(kerr.OutOfOrderSequenceNumber)
}
