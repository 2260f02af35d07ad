package coordinator

import (
	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeProducers answers DescribeProducers (KIP-664): the idempotent producers that each partition remembers. A shadow tells of
// those of its source.
func (tx *Tx) describeProducers(req *kmsg.DescribeProducersRequest) *kmsg.DescribeProducersResponse {
	resp := req.ResponseKind().(*kmsg.DescribeProducersResponse)
	for _, t := range req.Topics {
		out := kmsg.NewDescribeProducersResponseTopic()
		out.Topic = t.Topic
		shown, found := tx.State().ShowByName(t.Topic)
		st := tx.State()
		if found && shown.Link != nil {
			st = shown.Link.Image()
		}
		for _, p := range t.Partitions {
			po := kmsg.NewDescribeProducersResponseTopicPartition()
			po.Partition = p
			if !found || shown.Partition(p) == nil {
				po.ErrorCode, po.ErrorMessage = kerr.UnknownTopicOrPartition.Code, kmsg.StringPtr("no such partition")
				out.Partitions = append(out.Partitions, po)
				continue
			}
			for _, x := range st.Producers(base.TopicPartition{Topic: shown.Info().ID, Partition: p}) {
				ap := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
				ap.ProducerID, ap.ProducerEpoch, ap.LastSequence, ap.LastTimestamp = x.ID, int32(x.Epoch), x.LastSequence(), x.LastWrite
				ap.CoordinatorEpoch, ap.CurrentTxnStartOffset = -1, -1
				po.ActiveProducers = append(po.ActiveProducers, ap)
			}
			out.Partitions = append(out.Partitions, po)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}
