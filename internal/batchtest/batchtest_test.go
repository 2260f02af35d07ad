package batchtest

import (
	"testing"

	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
)

// Tests that rest on these batches are worth nothing if the batches are not sound.
func TestBatchesAreSound(t *testing.T) {
	for _, s := range []Spec{{Records: 1, Value: 'x'}, {Producer: 5, Epoch: 2, Sequence: 7, Records: 64, Timestamp: 1_700_000_000_000}} {
		b := Make(s)
		h, rest, err := batch.Parse(b)
		if err != nil || len(rest) != 0 || !batch.CheckCRC(h, b) || h.Records != s.Records || h.MaxTimestamp != s.Timestamp {
			t.Errorf("%+v: %+v, %v", s, h, err)
		}
	}
}
