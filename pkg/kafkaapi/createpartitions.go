package kafkaapi

import "github.com/twmb/franz-go/pkg/kmsg"

// CreatePartitions (key 37), versions 0 to 3. Forwarded to the coordinator leader.
//
// NOT_CONTROLLER when there is no leader, POLICY_VIOLATION at a standby. An assignment of replicas is counted and not used: there
// are none.
func createPartitionsAPI() *api {
	return forwardChange(api{
		key: int16(kmsg.CreatePartitions), name: "CreatePartitions", min: 0, max: 3, family: familyAdmin,
		new: func() kmsg.Request { return kmsg.NewPtrCreatePartitionsRequest() }, shape: shapeCreatePartitions,
	}, refuseCreatePartitions)
}

func refuseCreatePartitions(r kmsg.Request, code int16) kmsg.Response {
	req := r.(*kmsg.CreatePartitionsRequest)
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	for _, t := range req.Topics {
		out := kmsg.NewCreatePartitionsResponseTopic()
		out.Topic, out.ErrorCode = t.Topic, code
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}
