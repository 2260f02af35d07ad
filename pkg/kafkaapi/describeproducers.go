package kafkaapi

import "github.com/twmb/franz-go/pkg/kmsg"

// DescribeProducers (key 61), version 0. Forwarded to the coordinator leader, which alone knows producers.
//
// KAFKA_STORAGE_ERROR when there is no leader: clients ask Metadata and try again. Not implemented: transactions, so coordinator
// epochs and the starts of transactions are -1.
func describeProducersAPI() *api {
	return forwarded(api{
		key: int16(kmsg.DescribeProducers), name: "DescribeProducers", min: 0, max: 0, family: familyRead,
		new: func() kmsg.Request { return kmsg.NewPtrDescribeProducersRequest() }, shape: shapeDescribeProducers,
	}, refuseDescribeProducers)
}

func refuseDescribeProducers(r kmsg.Request, code int16) kmsg.Response {
	req := r.(*kmsg.DescribeProducersRequest)
	resp := req.ResponseKind().(*kmsg.DescribeProducersResponse)
	for _, t := range req.Topics {
		out := kmsg.NewDescribeProducersResponseTopic()
		out.Topic = t.Topic
		for _, p := range t.Partitions {
			po := kmsg.NewDescribeProducersResponseTopicPartition()
			po.Partition, po.ErrorCode = p, code
			out.Partitions = append(out.Partitions, po)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}
