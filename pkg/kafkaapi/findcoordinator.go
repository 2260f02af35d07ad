package kafkaapi

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// FindCoordinator (key 10), versions 0 to 6; several keys from version 4.
//
// Any agent forwards for any group and transactional id, so the coordinator is the agent that was asked, as long as it is
// in the list of agents.
//
// Not implemented: share groups (key type 2): INVALID_REQUEST.
func findCoordinatorAPI() *api {
	return &api{
		key: int16(kmsg.FindCoordinator), name: "FindCoordinator", min: 0, max: 6, family: familyGroup,
		new: func() kmsg.Request { return kmsg.NewPtrFindCoordinatorRequest() }, shape: shapeFindCoordinator, handle: findCoordinator,
	}
}

// coordinatorTypes is how many key types there are: groups and transactions.
const coordinatorTypes = 2

func findCoordinator(_ context.Context, q *request) answer {
	req := q.body.(*kmsg.FindCoordinatorRequest)
	resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
	self, err := q.server.self()
	if req.CoordinatorType < 0 || req.CoordinatorType >= coordinatorTypes {
		err = fmt.Errorf("coordinator type %d: %w", req.CoordinatorType, kerr.InvalidRequest)
	}
	code, why := q.code(err), (*string)(nil)
	if err != nil {
		self = Broker{NodeID: -1, Port: -1}
		why = kmsg.StringPtr(err.Error())
	}
	if q.version < 4 {
		resp.ErrorCode, resp.ErrorMessage, resp.NodeID, resp.Host, resp.Port = code, why, self.NodeID, self.Host, self.Port
		return message{resp}
	}
	for _, key := range req.CoordinatorKeys {
		c := kmsg.NewFindCoordinatorResponseCoordinator()
		c.Key, c.ErrorCode, c.ErrorMessage, c.NodeID, c.Host, c.Port = key, code, why, self.NodeID, self.Host, self.Port
		resp.Coordinators = append(resp.Coordinators, c)
	}
	return message{resp}
}

// self is this agent as clients reach it.
func (s *Server) self() (Broker, error) {
	for _, b := range s.deps.Catalog.Cluster().Brokers {
		if b.NodeID == s.cfg.NodeID {
			return b, nil
		}
	}
	return Broker{}, fmt.Errorf("agent %d is not in the list of agents yet: %w", s.cfg.NodeID, kerr.CoordinatorNotAvailable)
}
