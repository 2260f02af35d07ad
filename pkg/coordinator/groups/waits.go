package groups

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// joinWait is a JoinGroup request that is not answered yet. It keeps the response instead of the request, whose metadata
// may be large.
type joinWait struct {
	resp  *kmsg.JoinGroupResponse
	reply func(*kmsg.JoinGroupResponse)
}

func newJoinWait(req *kmsg.JoinGroupRequest, reply func(*kmsg.JoinGroupResponse)) *joinWait {
	resp := req.ResponseKind().(*kmsg.JoinGroupResponse)
	resp.MemberID = req.MemberID
	return &joinWait{resp: resp, reply: reply}
}

// syncWait is a SyncGroup request that is not answered yet.
type syncWait struct {
	resp  *kmsg.SyncGroupResponse
	reply func(*kmsg.SyncGroupResponse)
}

func newSyncWait(req *kmsg.SyncGroupRequest, reply func(*kmsg.SyncGroupResponse)) *syncWait {
	return &syncWait{resp: req.ResponseKind().(*kmsg.SyncGroupResponse), reply: reply}
}

func (t *turn) refuseJoin(w *joinWait, code int16) {
	w.resp.ErrorCode, w.resp.Generation = code, -1
	if w.resp.Version < 7 {
		w.resp.Protocol = kmsg.StringPtr("") // null only since version 7
	}
	t.reply(func() { w.reply(w.resp) })
}

func (t *turn) refuseSync(w *syncWait, code int16) {
	w.resp.ErrorCode, w.resp.MemberAssignment = code, []byte{}
	t.reply(func() { w.reply(w.resp) })
}

// answerJoin tells a member about the generation; with everybody's metadata if it is to assign.
func (t *turn) answerJoin(g *group, m *member, w *joinWait, roster bool) {
	r := w.resp
	r.Generation, r.MemberID, r.LeaderID = g.generation, m.id, g.leader
	r.ProtocolType, r.Protocol = kmsg.StringPtr(g.protocolType), kmsg.StringPtr(g.protocol)
	if roster {
		for _, x := range g.members {
			out := kmsg.NewJoinGroupResponseMember()
			out.MemberID, out.InstanceID, out.ProtocolMetadata = x.id, instancePtr(x.instance), x.metadata(g.protocol)
			r.Members = append(r.Members, out)
		}
	}
	t.reply(func() { w.reply(r) })
}

func (t *turn) answerSync(g *group, m *member, w *syncWait) {
	r := w.resp
	r.ProtocolType, r.Protocol, r.MemberAssignment = kmsg.StringPtr(g.protocolType), kmsg.StringPtr(g.protocol), m.assignment
	if r.MemberAssignment == nil {
		r.MemberAssignment = []byte{}
	}
	t.reply(func() { w.reply(r) })
}

// waitJoin lets a member wait for the end of the rebalance. If it asked before, over a connection that it probably gave
// up, that request ends.
func (t *turn) waitJoin(g *group, m *member, w *joinWait) {
	if m.join != nil {
		t.refuseJoin(m.join, kerr.RebalanceInProgress.Code)
	}
	m.join = w
	if m.fresh {
		m.expires = t.now.Add(newMemberTimeout)
		t.by(g, m.expires)
		return
	}
	m.expires = never
}

func (t *turn) waitSync(m *member, w *syncWait) {
	if m.sync != nil {
		t.refuseSync(m.sync, kerr.RebalanceInProgress.Code)
	}
	m.sync, m.unsynced, m.expires = w, false, never
}

// release ends whatever a member waits for.
func (t *turn) release(m *member, code int16) {
	if w := m.join; w != nil {
		m.join = nil
		t.refuseJoin(w, code)
	}
	if w := m.sync; w != nil {
		m.sync = nil
		t.refuseSync(w, code)
	}
}

func instancePtr(instance string) *string {
	if instance == "" {
		return nil
	}
	return &instance
}

func instanceOf(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}
