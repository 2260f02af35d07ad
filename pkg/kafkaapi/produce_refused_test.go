package kafkaapi

import (
	"encoding/binary"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A standby tells the Appender which batches of idempotent producers it has refused, so that nothing passes them after a
// flip (docs/adr/0014). There is nothing to hold back for a producer without an id.
func TestRefusedBatchesAreTold(t *testing.T) {
	h := start(t, nil)
	topic := h.add("standby", 3, nil)
	h.locked(func() { h.topics["standby"].Writable = false })
	idempotent := makeBatch(2, "value")
	binary.BigEndian.PutUint64(idempotent[43:], 7)
	binary.BigEndian.PutUint32(idempotent[53:], 40)
	w := h.dial()
	for _, records := range [][]byte{seal(idempotent), makeBatch(1, "x")} {
		resp := ask[*kmsg.ProduceResponse](w, produceRequest(9, "standby", 2, records), 9)
		if p := resp.Topics[0].Partitions[0]; p.ErrorCode != kerr.NotLeaderForPartition.Code {
			t.Errorf("a standby answers %v", kerr.ErrorForCode(p.ErrorCode))
		}
	}
	h.locked(func() {
		if len(h.refused) != 1 {
			t.Fatalf("the Appender was told of %d batches, want 1", len(h.refused))
		}
		b := h.refused[0]
		if b.Topic != topic.ID || b.Partition != 2 || b.Header.ProducerID != 7 || b.Header.BaseSequence != 40 || b.Bytes != nil {
			t.Errorf("it was told of %+v", b)
		}
	})
}
