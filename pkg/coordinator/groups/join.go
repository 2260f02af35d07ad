package groups

import (
	"bytes"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// versionAnnounced is the JoinGroup version since which a dynamic member must join twice (KIP-394).
const versionAnnounced = 4

// Join enters a member, or makes it take part in the next generation. The answer may come with a later call's Effects:
// by the end of the rebalance.
func (m *Manager) Join(now time.Time, client Client, req *kmsg.JoinGroupRequest, reply func(*kmsg.JoinGroupResponse)) Effects {
	t, w := m.turn(now), newJoinWait(req, reply)
	if code := m.checkJoin(req); code != 0 {
		t.refuseJoin(w, code)
		return t.fx
	}
	g := m.groups[req.Group]
	switch {
	case g != nil:
	case req.MemberID != "":
		t.refuseJoin(w, kerr.UnknownMemberID.Code)
		return t.fx
	case len(m.groups) >= m.cfg.MaxGroups:
		t.refuseJoin(w, kerr.GroupMaxSizeReached.Code)
		return t.fx
	default:
		g = newGroup(strings.Clone(req.Group), &m.bytes)
		m.groups[g.name] = g
	}
	t.join(g, joining(client, req), req, w)
	t.settle(g)
	return t.fx
}

// checkJoin looks at the request alone. Strings must be UTF-8, as the metalog can keep no other.
func (m *Manager) checkJoin(req *kmsg.JoinGroupRequest) int16 {
	session := millis(req.SessionTimeoutMillis)
	switch {
	case req.Group == "" || !ValidGroupID(req.Group):
		return kerr.InvalidGroupID.Code
	case len(instanceOf(req.InstanceID)) > instanceIDBytesMax:
		return kerr.InvalidRequest.Code
	case session < m.cfg.MinSessionTimeout || session > m.cfg.MaxSessionTimeout:
		return kerr.InvalidSessionTimeout.Code
	case !utf8.ValidString(instanceOf(req.InstanceID)) || !utf8.ValidString(req.ProtocolType):
		return kerr.InvalidRequest.Code
	}
	for _, p := range req.Protocols {
		if !utf8.ValidString(p.Name) {
			return kerr.InvalidRequest.Code
		}
	}
	return 0
}

// ValidGroupID tells whether a group may have that id. An empty one has offsets only, as in Kafka.
func ValidGroupID(id string) bool { return len(id) <= GroupIDBytesMax && utf8.ValidString(id) }

// joining is the member that a request describes, made of copies.
func joining(client Client, req *kmsg.JoinGroupRequest) *member {
	n := &member{
		id:       strings.Clone(req.MemberID),
		instance: strings.Clone(instanceOf(req.InstanceID)),
		client:   Client{ID: strings.ToValidUTF8(strings.Clone(client.ID), "?"), Host: strings.ToValidUTF8(strings.Clone(client.Host), "?")},
		session:  millis(req.SessionTimeoutMillis),
		fresh:    true,
	}
	if n.rebalance = millis(req.RebalanceTimeoutMillis); req.Version < 1 || n.rebalance <= 0 {
		n.rebalance = n.session // version 0 has one timeout
	}
	for _, p := range req.Protocols {
		n.protocols = append(n.protocols, protocol{name: strings.Clone(p.Name), metadata: bytes.Clone(p.Metadata)})
	}
	return n
}

func millis(ms int32) time.Duration { return time.Duration(ms) * time.Millisecond }

func (t *turn) join(g *group, n *member, req *kmsg.JoinGroupRequest, w *joinWait) {
	if !t.hasRoom(g, n) {
		t.refuseJoin(w, kerr.GroupMaxSizeReached.Code)
		return
	}
	if !g.accepts(req.ProtocolType, n.protocols) {
		t.refuseJoin(w, kerr.InconsistentGroupProtocol.Code)
		return
	}
	_, announced := g.pending[n.id]
	switch {
	case n.id == "" && n.instance != "":
		n.id = t.m.cfg.NewMemberID(n.instance)
		if old := g.instances[n.instance]; old != nil {
			t.replaceStatic(g, old, n, w)
			return
		}
		t.addMember(g, n, req, w)
	case n.id == "" && req.Version >= versionAnnounced:
		t.announce(g, n, w)
	case n.id == "":
		n.id = t.m.cfg.NewMemberID(n.client.ID)
		t.addMember(g, n, req, w)
	case announced && n.instance == "":
		g.unannounce(n.id)
		t.addMember(g, n, req, w)
	default:
		t.joinAgain(g, n, w)
	}
}

// hasRoom tells whether the limits allow one to be a member that may be one already. Its id is not checked yet, but that
// it is known is enough to know that there is room.
func (t *turn) hasRoom(g *group, n *member) bool {
	known := g.byID[n.id]
	if known == nil && n.id == "" && n.instance != "" {
		known = g.instances[n.instance]
	}
	more := n.size()
	if known != nil {
		more -= known.size()
	}
	fits := more <= 0 || len(g.name)+g.bytes+more <= t.m.cfg.MaxGroupBytes/2 && t.m.bytes+more <= t.m.cfg.MaxBytes
	if known != nil {
		return fits
	}
	if _, announced := g.pending[n.id]; announced {
		return fits && len(g.members) < t.m.cfg.MaxMembersPerGroup
	}
	return fits && len(g.members)+len(g.pending) < t.m.cfg.MaxMembersPerGroup
}

// announce gives out an id without making a member: a client that never hears of it leaves nothing behind but the id,
// until its session timeout.
func (t *turn) announce(g *group, n *member, w *joinWait) {
	id := t.m.cfg.NewMemberID(n.client.ID)
	until := t.now.Add(n.session)
	g.announce(id, until)
	t.by(g, until)
	w.resp.MemberID = id
	t.refuseJoin(w, kerr.MemberIDRequired.Code)
}

func (t *turn) addMember(g *group, n *member, req *kmsg.JoinGroupRequest, w *joinWait) {
	if len(g.members) == 0 {
		g.protocolType = strings.Clone(req.ProtocolType)
	}
	g.grown = g.grown || g.gathering
	g.add(n)
	t.waitJoin(g, n, w)
	t.membersChanged(g, true)
}

// joinAgain is a Join by a member: the next generation is made, unless the member only has not heard of this one.
func (t *turn) joinAgain(g *group, n *member, w *joinWait) {
	m, code := g.find(n.id, n.instance)
	if code != 0 {
		t.refuseJoin(w, code)
		return
	}
	leads, same := g.leader == m.id, m.sameProtocols(n.protocols)
	if same && (g.state == CompletingRebalance || g.state == Stable && !leads) {
		t.touch(g, m)
		t.answerJoin(g, m, w, leads)
		return
	}
	g.update(m, n)
	t.waitJoin(g, m, w)
	t.membersChanged(g, true)
}

// find returns the member of that id. UNKNOWN_MEMBER_ID: there is none, or no static member of that instance;
// FENCED_INSTANCE_ID: the instance goes by another id now.
func (g *group) find(id, instance string) (*member, int16) {
	if instance != "" {
		m := g.instances[instance]
		switch {
		case m == nil:
			return nil, kerr.UnknownMemberID.Code
		case m.id != id:
			return nil, kerr.FencedInstanceID.Code
		}
		return m, 0
	}
	if m := g.byID[id]; m != nil {
		return m, 0
	}
	return nil, kerr.UnknownMemberID.Code
}
