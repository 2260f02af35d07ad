package kafkaapi

import "github.com/twmb/franz-go/pkg/kmsg"

// LeaveGroup (key 13), versions 0 to 5. Forwarded to the coordinator leader.
//
// COORDINATOR_NOT_AVAILABLE when there is no leader, and for groups of the source at a standby.
func leaveGroupAPI() *api {
	return forwarded(api{
		key: int16(kmsg.LeaveGroup), name: "LeaveGroup", min: 0, max: 5, family: familyGroup,
		new: func() kmsg.Request { return kmsg.NewPtrLeaveGroupRequest() }, shape: shapeLeaveGroup,
	}, refuseLeaveGroup)
}

func refuseLeaveGroup(r kmsg.Request, code int16) kmsg.Response {
	resp := r.ResponseKind().(*kmsg.LeaveGroupResponse)
	resp.ErrorCode = code
	return resp
}
