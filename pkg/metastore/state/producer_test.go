package state

import (
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// The one gap that a flip allows lasts until it is left: a late batch that continues the last sequence leaves none
// (docs/adr/0014). Only producers of an earlier region epoch have it.
func TestGapLastsUntilItIsLeft(t *testing.T) {
	const region = base.Epoch(10)
	p := NewProducer(base.StripedID(1, 5), 0, region)
	for _, step := range []struct {
		sequence int32
		allowed  bool
	}{{7, true}, {9, true}, {11, true}, {40, false}, {42, false}} {
		p.Note(&metalogpb.ProducerBatch{ProducerId: p.ID, BaseSequence: step.sequence, LastOffsetDelta: 1})
		if p.GapAllowed != step.allowed {
			t.Errorf("after sequence %d: a gap is allowed: %v, want %v", step.sequence, p.GapAllowed, step.allowed)
		}
	}
	for name, id := range map[string]int64{"of this epoch": base.StripedID(region, 1), "of no region": 5} {
		if NewProducer(id, 0, region).GapAllowed {
			t.Errorf("a producer %s may leave a gap", name)
		}
	}
}
