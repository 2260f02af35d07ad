package groups

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Heartbeat begins a member's session again and tells it whether to join again (REBALANCE_IN_PROGRESS).
func (m *Manager) Heartbeat(now time.Time, req *kmsg.HeartbeatRequest, reply func(*kmsg.HeartbeatResponse)) Effects {
	t := m.turn(now)
	resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
	resp.ErrorCode = t.heartbeat(req)
	t.reply(func() { reply(resp) })
	return t.fx
}

func (t *turn) heartbeat(req *kmsg.HeartbeatRequest) int16 {
	g := t.m.groups[req.Group]
	switch {
	case req.Group == "":
		return kerr.InvalidGroupID.Code
	case g == nil:
		return kerr.UnknownMemberID.Code
	}
	x, code := g.find(req.MemberID, instanceOf(req.InstanceID))
	switch {
	case code != 0:
		return code
	case req.Generation != g.generation:
		return kerr.IllegalGeneration.Code
	}
	t.touch(g, x)
	if g.state == PreparingRebalance {
		return kerr.RebalanceInProgress.Code
	}
	return 0
}

// CheckCommit judges who commits offsets: 0, or the code to answer with. A commit by a member counts as its heartbeat.
// Without a generation (an admin tool, or a consumer that assigns by itself) it is allowed while the group has no
// members. A member may still commit under the generation that ends while a rebalance is prepared; between that and the
// assignment it may not (REBALANCE_IN_PROGRESS).
func (m *Manager) CheckCommit(now time.Time, group, memberID string, instanceID *string, generation int32) int16 {
	if !ValidGroupID(group) {
		return kerr.InvalidGroupID.Code
	}
	g := m.groups[group]
	if g == nil || len(g.members) == 0 {
		switch {
		case generation < 0:
			return 0
		case g == nil:
			return kerr.IllegalGeneration.Code
		}
		return kerr.UnknownMemberID.Code
	}
	x, code := g.find(memberID, instanceOf(instanceID))
	switch {
	case code != 0:
		return code
	case generation != g.generation:
		return kerr.IllegalGeneration.Code
	case g.state == CompletingRebalance:
		return kerr.RebalanceInProgress.Code
	}
	m.turn(now).touch(g, x)
	return 0
}
