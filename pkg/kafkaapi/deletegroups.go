package kafkaapi

import "github.com/twmb/franz-go/pkg/kmsg"

// DeleteGroups (key 42), versions 0 to 2. Forwarded to the coordinator leader.
//
// NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND; COORDINATOR_NOT_AVAILABLE when there is no leader, and for groups of the source at a standby.
func deleteGroupsAPI() *api {
	return forwarded(api{
		key: int16(kmsg.DeleteGroups), name: "DeleteGroups", min: 0, max: 2, family: familyGroup,
		new: func() kmsg.Request { return kmsg.NewPtrDeleteGroupsRequest() }, shape: shapeDeleteGroups,
	}, refuseDeleteGroups)
}

func refuseDeleteGroups(r kmsg.Request, code int16) kmsg.Response {
	req := r.(*kmsg.DeleteGroupsRequest)
	resp := req.ResponseKind().(*kmsg.DeleteGroupsResponse)
	for _, name := range req.Groups {
		out := kmsg.NewDeleteGroupsResponseGroup()
		out.Group, out.ErrorCode = name, code
		resp.Groups = append(resp.Groups, out)
	}
	return resp
}
