package kafkaapi

import "github.com/twmb/franz-go/pkg/kmsg"

// DescribeGroups (key 15), versions 0 to 6. Forwarded to the coordinator leader.
//
// COORDINATOR_NOT_AVAILABLE when there is no leader.
func describeGroupsAPI() *api {
	return forwarded(api{
		key: int16(kmsg.DescribeGroups), name: "DescribeGroups", min: 0, max: 6, family: familyGroup,
		new: func() kmsg.Request { return kmsg.NewPtrDescribeGroupsRequest() }, shape: shapeDescribeGroups,
	}, refuseDescribeGroups)
}

func refuseDescribeGroups(r kmsg.Request, code int16) kmsg.Response {
	req := r.(*kmsg.DescribeGroupsRequest)
	resp := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
	for _, name := range req.Groups {
		out := kmsg.NewDescribeGroupsResponseGroup()
		out.Group, out.ErrorCode = name, code
		resp.Groups = append(resp.Groups, out)
	}
	return resp
}
