package kafkaapi

import "github.com/twmb/franz-go/pkg/kmsg"

// Heartbeat (key 12), versions 0 to 4. Forwarded to the coordinator leader.
//
// COORDINATOR_NOT_AVAILABLE when there is no leader, and for groups of the source at a standby.
func heartbeatAPI() *api {
	return forwarded(api{
		key: int16(kmsg.Heartbeat), name: "Heartbeat", min: 0, max: 4, family: familyGroup,
		new: func() kmsg.Request { return kmsg.NewPtrHeartbeatRequest() }, shape: shapeHeartbeat,
	}, refuseHeartbeat)
}

func refuseHeartbeat(r kmsg.Request, code int16) kmsg.Response {
	resp := r.ResponseKind().(*kmsg.HeartbeatResponse)
	resp.ErrorCode = code
	return resp
}
