package groups

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// versionLeaveMany is the LeaveGroup version since which a request names several members (KIP-345).
const versionLeaveMany = 3

// Leave removes members: one rebalance for all of a request.
func (m *Manager) Leave(now time.Time, req *kmsg.LeaveGroupRequest, reply func(*kmsg.LeaveGroupResponse)) Effects {
	t := m.turn(now)
	resp := req.ResponseKind().(*kmsg.LeaveGroupResponse)
	t.leave(req, resp)
	t.reply(func() { reply(resp) })
	return t.fx
}

func (t *turn) leave(req *kmsg.LeaveGroupRequest, resp *kmsg.LeaveGroupResponse) {
	if req.Group == "" {
		resp.ErrorCode = kerr.InvalidGroupID.Code
		return
	}
	g := t.m.groups[req.Group]
	left := false
	leaveOne := func(id, instance string) int16 {
		if g == nil {
			return kerr.UnknownMemberID.Code
		}
		code, member := t.leaveOne(g, id, instance)
		left = left || member
		return code
	}
	if req.Version < versionLeaveMany {
		resp.ErrorCode = leaveOne(req.MemberID, "")
	} else {
		for _, x := range req.Members {
			out := kmsg.NewLeaveGroupResponseMember()
			out.MemberID, out.InstanceID = x.MemberID, x.InstanceID
			out.ErrorCode = leaveOne(x.MemberID, instanceOf(x.InstanceID))
			resp.Members = append(resp.Members, out)
		}
	}
	if g != nil {
		t.membersChanged(g, left)
		t.settle(g)
	}
}

// leaveOne removes one member; member is false for one that was only announced. An instance may be named without its
// member id, by an administrator.
func (t *turn) leaveOne(g *group, id, instance string) (code int16, member bool) {
	if _, announced := g.pending[id]; announced && instance == "" {
		g.unannounce(id)
		return 0, false
	}
	if m := g.instances[instance]; id == "" && instance != "" && m != nil {
		id = m.id
	}
	m, code := g.find(id, instance)
	if code != 0 {
		return code, false
	}
	t.detach(g, m, kerr.UnknownMemberID.Code)
	return 0, true
}
