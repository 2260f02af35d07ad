package groups

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
)

// detach removes a member, ending what it waits for with the code. membersChanged must follow.
func (t *turn) detach(g *group, m *member, code int16) {
	t.release(m, code)
	g.remove(m)
}

// membersChanged begins a rebalance if one is needed, and ends it if nobody is left to wait for.
func (t *turn) membersChanged(g *group, needed bool) {
	if needed && g.state != PreparingRebalance {
		t.prepare(g)
	}
	if g.state != PreparingRebalance {
		return
	}
	// Without members there is nobody to wait with, whoever was announced.
	if len(g.members) == 0 || !g.gathering && g.allJoined() {
		t.complete(g)
	}
}

// prepare asks everybody to join. Who waits for the assignment of the generation that ends here is told so.
func (t *turn) prepare(g *group) {
	for _, m := range g.members {
		m.unsynced = false
		if w := m.sync; w != nil {
			m.sync = nil
			t.refuseSync(w, kerr.RebalanceInProgress.Code)
			t.touch(g, m)
		}
	}
	g.syncBy = never
	timeout := g.rebalanceTimeout()
	g.gathering, g.grown = g.state == Empty && t.m.cfg.InitialRebalanceDelay > 0, false
	if g.gathering {
		whole := timeout
		timeout = min(t.m.cfg.InitialRebalanceDelay, whole)
		g.gatherLeft = whole - timeout
	}
	g.state, g.joinBy = PreparingRebalance, t.now.Add(timeout)
	t.by(g, g.joinBy)
}

// joinDeadline ends the waiting for members, or prolongs it while new ones keep coming to a group that was Empty.
func (t *turn) joinDeadline(g *group) {
	if g.gathering && g.grown && g.gatherLeft > 0 {
		more := min(t.m.cfg.InitialRebalanceDelay, g.gatherLeft)
		g.grown, g.gatherLeft = false, g.gatherLeft-more
		g.joinBy = t.now.Add(more)
		t.by(g, g.joinBy)
		return
	}
	t.complete(g)
}

// complete makes the next generation out of those who joined. Static members stay also if they have not: they may be
// restarting, and have until the end of their sessions.
func (t *turn) complete(g *group) {
	for _, m := range slices.Clone(g.members) {
		if m.join == nil && m.instance == "" {
			t.detach(g, m, kerr.UnknownMemberID.Code)
		}
	}
	g.gathering = false
	if len(g.members) > 0 && !g.electJoined() {
		// Only static members, none of which came: wait for the first, or for the end of their sessions.
		g.joinBy = t.now.Add(g.rebalanceTimeout())
		t.by(g, g.joinBy)
		return
	}
	g.joinBy = never
	g.generation++
	if len(g.members) == 0 {
		g.state, g.protocol, g.leader, g.emptySince = Empty, "", "", t.now.UnixMilli()
		t.emit(g)
		return
	}
	g.state, g.protocol = CompletingRebalance, g.selectProtocol()
	g.syncBy = t.now.Add(g.rebalanceTimeout())
	t.by(g, g.syncBy)
	for _, m := range g.members {
		m.unsynced, m.fresh = true, false
		w := m.join
		m.join = nil
		t.touch(g, m)
		if w != nil {
			t.answerJoin(g, m, w, m.id == g.leader)
		}
	}
}

// replaceStatic puts a static member that came back without its id in its old place. Whoever uses the old id is fenced.
func (t *turn) replaceStatic(g *group, m, n *member, w *joinWait) {
	formerLeader := g.leader
	t.release(m, kerr.FencedInstanceID.Code)
	delete(g.byID, m.id)
	before := m.size()
	if g.leader == m.id {
		g.leader = n.id
	}
	m.id = n.id
	g.account(m.size() - before)
	g.index(m)
	g.update(m, n)
	if g.state == Stable && g.selectProtocol() == g.protocol && t.changedBytes(g) <= t.m.cfg.MaxGroupBytes {
		t.touch(g, m)
		t.emit(g)
		leads := g.leader == m.id
		if w.resp.Version >= 9 {
			// It gets to know the members, but must not assign again (KIP-814).
			w.resp.SkipAssignment = leads
			t.answerJoin(g, m, w, leads)
			return
		}
		// Older clients would assign if they were told that they lead.
		t.answerJoin(g, m, w, false)
		w.resp.LeaderID = formerLeader
		return
	}
	t.waitJoin(g, m, w)
	t.membersChanged(g, true)
}

// clearSyncDeadline is called when a member has synced.
func (g *group) clearSyncDeadline() {
	if g.allSynced() {
		g.syncBy = never
	}
}
