package kafkaapi

import "github.com/twmb/franz-go/pkg/kmsg"

// AlterConfigs (key 33), versions 0 to 2: replaces all settings of a resource. Forwarded to the coordinator leader; else as
// IncrementalAlterConfigs.
func alterConfigsAPI() *api {
	return forwardChange(api{
		key: int16(kmsg.AlterConfigs), name: "AlterConfigs", min: 0, max: 2, family: familyAdmin,
		new: func() kmsg.Request { return kmsg.NewPtrAlterConfigsRequest() }, shape: shapeAlterConfigs,
	}, refuseAlterConfigs)
}

func refuseAlterConfigs(r kmsg.Request, code int16) kmsg.Response {
	req := r.(*kmsg.AlterConfigsRequest)
	resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	for _, x := range req.Resources {
		out := kmsg.NewAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName, out.ErrorCode = x.ResourceType, x.ResourceName, code
		resp.Resources = append(resp.Resources, out)
	}
	return resp
}
