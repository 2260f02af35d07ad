package kafkaapi

import "github.com/twmb/franz-go/pkg/kmsg"

// IncrementalAlterConfigs (key 44), versions 0 and 1. Forwarded to the coordinator leader.
//
// Topics only; INVALID_CONFIG for brokers, whose settings are files and flags. NOT_CONTROLLER when there is no leader,
// POLICY_VIOLATION at a standby.
func incrementalAlterConfigsAPI() *api {
	return forwardChange(api{
		key: int16(kmsg.IncrementalAlterConfigs), name: "IncrementalAlterConfigs", min: 0, max: 1, family: familyAdmin,
		new: func() kmsg.Request { return kmsg.NewPtrIncrementalAlterConfigsRequest() }, shape: shapeIncrementalAlterConfigs,
	}, refuseIncrementalAlterConfigs)
}

func refuseIncrementalAlterConfigs(r kmsg.Request, code int16) kmsg.Response {
	req := r.(*kmsg.IncrementalAlterConfigsRequest)
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	for _, x := range req.Resources {
		out := kmsg.NewIncrementalAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName, out.ErrorCode = x.ResourceType, x.ResourceName, code
		resp.Resources = append(resp.Resources, out)
	}
	return resp
}
