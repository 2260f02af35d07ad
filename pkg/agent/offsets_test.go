package agent_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/tests/memregion"
)

// A search by time begins where the log begins, which may be within a batch; what is before is deleted.
func TestSearchBehindDeletedRecords(t *testing.T) {
	r := newRig(t, memregion.Options{})
	id := r.CreateTopic(r.cl, "t", 1)
	r.acked("t", id, 4)
	r.acked("t", id, 2)
	const written = 1_700_000_000_000 // when rig's records are from, all of them
	for _, c := range []struct{ start, want int64 }{{0, 0}, {1, 1}, {3, 3}, {4, 4}, {5, 5}, {6, -1}} {
		req := kmsg.NewPtrDeleteRecordsRequest()
		topic := kmsg.NewDeleteRecordsRequestTopic()
		topic.Topic, topic.Partitions = "t", []kmsg.DeleteRecordsRequestTopicPartition{{Offset: c.start}}
		req.Topics = append(req.Topics, topic)
		if p := r.Ask(r.cl, req).(*kmsg.DeleteRecordsResponse).Topics[0].Partitions[0]; p.ErrorCode != 0 || p.LowWatermark != c.start {
			t.Fatalf("%+v", p)
		}
		r.CaughtUp()
		for _, timestamp := range []int64{0, written} {
			if code, offset := r.offset("t", timestamp); code != 0 || offset != c.want {
				t.Errorf("log start %d, timestamp %d: code %d, offset %d, want %d", c.start, timestamp, code, offset, c.want)
			}
		}
	}
}

// The earliest offset of a partition that was never written to is in the epoch of whoever leads, as in Kafka.
func TestEarliestOfAnEmptyPartition(t *testing.T) {
	r := newRig(t, memregion.Options{})
	r.CreateTopic(r.cl, "t", 1)
	epochs := map[int64]int32{}
	for _, timestamp := range []int64{-1, -2} {
		req := kmsg.NewPtrListOffsetsRequest()
		topic := kmsg.NewListOffsetsRequestTopic()
		topic.Topic, topic.Partitions = "t", []kmsg.ListOffsetsRequestTopicPartition{{Timestamp: timestamp, CurrentLeaderEpoch: -1}}
		req.Topics = append(req.Topics, topic)
		epochs[timestamp] = r.Ask(r.cl, req).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].LeaderEpoch
	}
	if epochs[-1] <= 0 || epochs[-2] != epochs[-1] {
		t.Errorf("epochs by timestamp: %v, want the leader's for both", epochs)
	}
}
