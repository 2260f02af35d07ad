package groups

import (
	"bytes"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Sync hands the leader's assignment in, or asks for one's own. The answer may come with a later call's Effects: when the
// leader has synced.
func (m *Manager) Sync(now time.Time, req *kmsg.SyncGroupRequest, reply func(*kmsg.SyncGroupResponse)) Effects {
	t, w := m.turn(now), newSyncWait(req, reply)
	g, x, code := m.checkSync(req)
	if code != 0 {
		t.refuseSync(w, code)
		return t.fx
	}
	switch g.state {
	case PreparingRebalance:
		t.refuseSync(w, kerr.RebalanceInProgress.Code)
	case CompletingRebalance:
		t.waitSync(x, w)
		if x.id == g.leader {
			t.assign(g, req)
		}
	case Stable:
		x.unsynced = false
		g.clearSyncDeadline()
		t.touch(g, x)
		t.answerSync(g, x, w)
	default:
		t.refuseSync(w, kerr.UnknownMemberID.Code)
	}
	return t.fx
}

func (m *Manager) checkSync(req *kmsg.SyncGroupRequest) (*group, *member, int16) {
	g := m.groups[req.Group]
	switch {
	case req.Group == "":
		return nil, nil, kerr.InvalidGroupID.Code
	case g == nil:
		return nil, nil, kerr.UnknownMemberID.Code
	}
	x, code := g.find(req.MemberID, instanceOf(req.InstanceID))
	switch {
	case code != 0:
	case req.Generation != g.generation:
		code = kerr.IllegalGeneration.Code
	case req.ProtocolType != nil && *req.ProtocolType != g.protocolType || req.Protocol != nil && *req.Protocol != g.protocol:
		// While a rebalance is prepared the protocol is still the one of the generation asked for.
		code = kerr.InconsistentGroupProtocol.Code
	}
	return g, x, code
}

// assign makes the generation Stable: the event and the answers that rest on it go together.
func (t *turn) assign(g *group, req *kmsg.SyncGroupRequest) {
	assignments := make(map[string][]byte, len(req.GroupAssignment))
	for _, a := range req.GroupAssignment {
		assignments[a.MemberID] = a.MemberAssignment
	}
	for _, m := range g.members {
		g.assign(m, bytes.Clone(assignments[m.id]))
	}
	if t.changedBytes(g) > t.m.cfg.MaxGroupBytes || g.assigned > 0 && t.m.bytes > t.m.cfg.MaxBytes {
		// Nothing of it can be kept: everybody hears of it, by the code that a Join gets for the same reason, and the group tries again.
		for _, m := range g.members {
			g.assign(m, nil)
			t.release(m, kerr.GroupMaxSizeReached.Code)
			t.touch(g, m)
		}
		t.membersChanged(g, true)
		return
	}
	g.state = Stable
	g.clearSyncDeadline()
	t.emit(g)
	for _, m := range g.members {
		w := m.sync
		if w == nil {
			continue
		}
		m.sync = nil
		t.touch(g, m)
		t.answerSync(g, m, w)
	}
}
