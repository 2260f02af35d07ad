package kafkaapi

import "github.com/twmb/franz-go/pkg/kmsg"

// CreateTopics (key 19), versions 2 to 7. Forwarded to the coordinator leader, which checks names, numbers and configs.
//
// NOT_CONTROLLER when there is no leader, POLICY_VIOLATION at a standby.
func createTopicsAPI() *api {
	return forwardChange(api{
		key: int16(kmsg.CreateTopics), name: "CreateTopics", min: 2, max: 7, family: familyAdmin,
		new: func() kmsg.Request { return kmsg.NewPtrCreateTopicsRequest() }, shape: shapeCreateTopics,
	}, refuseCreateTopics)
}

func refuseCreateTopics(r kmsg.Request, code int16) kmsg.Response {
	req := r.(*kmsg.CreateTopicsRequest)
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	for _, t := range req.Topics {
		out := kmsg.NewCreateTopicsResponseTopic()
		out.Topic, out.ErrorCode = t.Topic, code
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}
