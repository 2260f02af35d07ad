package kafkaapi

import "github.com/twmb/franz-go/pkg/kmsg"

// OffsetDelete (key 47), version 0 (KIP-496). Forwarded to the coordinator leader.
//
// GROUP_SUBSCRIBED_TO_TOPIC for what a member reads; COORDINATOR_NOT_AVAILABLE as for the other group APIs.
func offsetDeleteAPI() *api {
	return forwarded(api{
		key: int16(kmsg.OffsetDelete), name: "OffsetDelete", min: 0, max: 0, family: familyGroup,
		new: func() kmsg.Request { return kmsg.NewPtrOffsetDeleteRequest() }, shape: shapeOffsetDelete,
	}, refuseOffsetDelete)
}

func refuseOffsetDelete(r kmsg.Request, code int16) kmsg.Response {
	resp := r.ResponseKind().(*kmsg.OffsetDeleteResponse)
	resp.ErrorCode = code
	return resp
}
