package kafkaapi

import "github.com/twmb/franz-go/pkg/kmsg"

// JoinGroup (key 11), versions 2 to 9. Forwarded to the coordinator leader; waits for the rebalance, or until the client
// has gone.
//
// COORDINATOR_NOT_AVAILABLE when there is no leader, and for groups of the source at a standby.
func joinGroupAPI() *api {
	return forwarded(api{
		key: int16(kmsg.JoinGroup), name: "JoinGroup", min: 2, max: 9, family: familyGroup, waits: true,
		new: func() kmsg.Request { return kmsg.NewPtrJoinGroupRequest() }, shape: shapeJoinGroup,
	}, refuseJoinGroup)
}

func refuseJoinGroup(r kmsg.Request, code int16) kmsg.Response {
	req := r.(*kmsg.JoinGroupRequest)
	resp := req.ResponseKind().(*kmsg.JoinGroupResponse)
	resp.ErrorCode, resp.MemberID = code, req.MemberID
	return resp
}
