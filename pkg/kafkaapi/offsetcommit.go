package kafkaapi

import "github.com/twmb/franz-go/pkg/kmsg"

// OffsetCommit (key 8), versions 2 to 10; by topic id from version 10. Forwarded to the coordinator leader.
//
// COORDINATOR_NOT_AVAILABLE when there is no leader, and for groups of the source at a standby.
func offsetCommitAPI() *api {
	return forwarded(api{
		key: int16(kmsg.OffsetCommit), name: "OffsetCommit", min: 2, max: 10, family: familyGroup,
		new: func() kmsg.Request { return kmsg.NewPtrOffsetCommitRequest() }, shape: shapeOffsetCommit,
	}, refuseOffsetCommit)
}

func refuseOffsetCommit(r kmsg.Request, code int16) kmsg.Response {
	req := r.(*kmsg.OffsetCommitRequest)
	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	for _, t := range req.Topics {
		out := kmsg.NewOffsetCommitResponseTopic()
		out.Topic, out.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			po := kmsg.NewOffsetCommitResponseTopicPartition()
			po.Partition, po.ErrorCode = p.Partition, code
			out.Partitions = append(out.Partitions, po)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}
