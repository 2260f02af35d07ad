package coordinator

import (
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// highWatermark stands for the end of the partition in DeleteRecords.
const highWatermark = -1

// deleteRecords answers DeleteRecords (KIP-107): the log start of each partition rises to the offset; one that is there already is no
// error. Nothing is deleted in between, so a consumer below it gets OFFSET_OUT_OF_RANGE from then on.
func (tx *Tx) deleteRecords(req *kmsg.DeleteRecordsRequest) *kmsg.DeleteRecordsResponse {
	resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
	for _, t := range req.Topics {
		out := kmsg.NewDeleteRecordsResponseTopic()
		out.Topic = t.Topic
		shown, err := tx.ownTopic(t.Topic, "delete records")
		for _, p := range t.Partitions {
			po := kmsg.NewDeleteRecordsResponseTopicPartition()
			po.Partition, po.LowWatermark = p.Partition, -1
			perr := err
			if perr == nil {
				po.LowWatermark, perr = tx.deleteUpTo(shown, p.Partition, p.Offset)
			}
			if perr != nil {
				po.ErrorCode = perr.err.Code
			}
			out.Partitions = append(out.Partitions, po)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

// deleteUpTo returns the partition's log start after the deletion.
func (tx *Tx) deleteUpTo(t state.Shadowed, partition int32, offset int64) (int64, *apiError) {
	p := t.Partition(partition)
	if p == nil {
		return -1, fail(kerr.UnknownTopicOrPartition, "topic %q has no partition %d", t.Info().Name, partition)
	}
	if offset == highWatermark {
		offset = int64(p.End)
	}
	switch {
	case offset < 0 || offset > int64(p.End):
		return -1, fail(kerr.OffsetOutOfRange, "offset %d is outside of %s-%d, which ends at %d", offset, t.Info().Name, partition, p.End)
	case offset <= int64(p.LogStart):
		return int64(p.LogStart), nil
	}
	id := t.Info().ID
	ev := &metalogpb.RecordsDeleted{TopicId: id[:], Partition: partition, LogStart: offset}
	return offset, tx.change(&metalogpb.Event{Kind: &metalogpb.Event_RecordsDeleted{RecordsDeleted: ev}})
}
