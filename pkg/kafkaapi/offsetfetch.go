package kafkaapi

import "github.com/twmb/franz-go/pkg/kmsg"

// OffsetFetch (key 9), versions 1 to 10; several groups from version 8, by topic id from version 10. Forwarded to the
// coordinator leader.
//
// COORDINATOR_NOT_AVAILABLE when there is no leader, and for groups of the source at a standby. In version 1, which has no
// error of its own, each partition carries it.
func offsetFetchAPI() *api {
	return forwarded(api{
		key: int16(kmsg.OffsetFetch), name: "OffsetFetch", min: 1, max: 10, family: familyGroup,
		new: func() kmsg.Request { return kmsg.NewPtrOffsetFetchRequest() }, shape: shapeOffsetFetch,
	}, refuseOffsetFetch)
}

func refuseOffsetFetch(r kmsg.Request, code int16) kmsg.Response {
	req := r.(*kmsg.OffsetFetchRequest)
	resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	resp.ErrorCode = code
	for _, g := range req.Groups {
		out := kmsg.NewOffsetFetchResponseGroup()
		out.Group, out.ErrorCode = g.Group, code
		resp.Groups = append(resp.Groups, out)
	}
	if req.Version >= 2 {
		return resp
	}
	for _, t := range req.Topics {
		out := kmsg.NewOffsetFetchResponseTopic()
		out.Topic = t.Topic
		for _, p := range t.Partitions {
			po := kmsg.NewOffsetFetchResponseTopicPartition()
			po.Partition, po.Offset, po.ErrorCode = p, -1, code
			out.Partitions = append(out.Partitions, po)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}
