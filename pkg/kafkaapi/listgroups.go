package kafkaapi

import "github.com/twmb/franz-go/pkg/kmsg"

// ListGroups (key 16), versions 0 to 5. Forwarded to the coordinator leader: every agent lists all groups.
//
// COORDINATOR_NOT_AVAILABLE when there is no leader.
func listGroupsAPI() *api {
	return forwarded(api{
		key: int16(kmsg.ListGroups), name: "ListGroups", min: 0, max: 5, family: familyGroup,
		new: func() kmsg.Request { return kmsg.NewPtrListGroupsRequest() }, shape: shapeListGroups,
	}, refuseListGroups)
}

func refuseListGroups(r kmsg.Request, code int16) kmsg.Response {
	resp := r.ResponseKind().(*kmsg.ListGroupsResponse)
	resp.ErrorCode = code
	return resp
}
