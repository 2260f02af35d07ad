package kafkaapi

import "github.com/twmb/franz-go/pkg/kmsg"

// SyncGroup (key 14), versions 0 to 5. Forwarded to the coordinator leader; waits for the group's leader, or until the
// client has gone.
//
// COORDINATOR_NOT_AVAILABLE when there is no leader, and for groups of the source at a standby.
func syncGroupAPI() *api {
	return forwarded(api{
		key: int16(kmsg.SyncGroup), name: "SyncGroup", min: 0, max: 5, family: familyGroup, waits: true,
		new: func() kmsg.Request { return kmsg.NewPtrSyncGroupRequest() }, shape: shapeSyncGroup,
	}, refuseSyncGroup)
}

func refuseSyncGroup(r kmsg.Request, code int16) kmsg.Response {
	resp := r.ResponseKind().(*kmsg.SyncGroupResponse)
	resp.ErrorCode = code
	return resp
}
