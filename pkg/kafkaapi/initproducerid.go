package kafkaapi

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// InitProducerId (key 22), versions 0 to 5. Forwarded to the coordinator leader.
//
// When there is no leader, or at a standby: COORDINATOR_NOT_AVAILABLE with a transactional id. Without one no coordinator
// is to be looked up, and clients that are told to do so fail: COORDINATOR_LOAD_IN_PROGRESS, which they simply retry.
func initProducerIDAPI() *api {
	return &api{
		key: int16(kmsg.InitProducerID), name: "InitProducerId", min: 0, max: 5, family: familyGroup,
		new: func() kmsg.Request { return kmsg.NewPtrInitProducerIDRequest() }, shape: shapeInitProducerID, handle: initProducerID,
	}
}

func initProducerID(ctx context.Context, q *request) answer {
	if q.body.(*kmsg.InitProducerIDRequest).TransactionalID == nil {
		plain := *q.api
		plain.family = familyProducerID
		q.api = &plain
	}
	return forward(ctx, q, refuseInitProducerID)
}

func refuseInitProducerID(r kmsg.Request, code int16) kmsg.Response {
	resp := r.ResponseKind().(*kmsg.InitProducerIDResponse)
	resp.ErrorCode, resp.ProducerID, resp.ProducerEpoch = code, -1, -1
	return resp
}
