package kafkaapi

import "github.com/twmb/franz-go/pkg/kmsg"

// DeleteTopics (key 20), versions 1 to 6; by id from version 6. Forwarded to the coordinator leader.
//
// NOT_CONTROLLER when there is no leader, POLICY_VIOLATION at a standby.
func deleteTopicsAPI() *api {
	return forwardChange(api{
		key: int16(kmsg.DeleteTopics), name: "DeleteTopics", min: 1, max: 6, family: familyAdmin,
		new: func() kmsg.Request { return kmsg.NewPtrDeleteTopicsRequest() }, shape: shapeDeleteTopics,
	}, refuseDeleteTopics)
}

func refuseDeleteTopics(r kmsg.Request, code int16) kmsg.Response {
	req := r.(*kmsg.DeleteTopicsRequest)
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	for _, name := range req.TopicNames {
		out := kmsg.NewDeleteTopicsResponseTopic()
		out.Topic, out.ErrorCode = kmsg.StringPtr(name), code
		resp.Topics = append(resp.Topics, out)
	}
	for _, t := range req.Topics {
		out := kmsg.NewDeleteTopicsResponseTopic()
		out.Topic, out.TopicID, out.ErrorCode = t.Topic, t.TopicID, code
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}
