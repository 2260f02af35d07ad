package groups

import (
	"time"

	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"google.golang.org/protobuf/proto"
)

// changed is the durable part of a group. It shares byte slices with the group, which replaces but never changes them.
func (g *group) changed() *metalogpb.GroupChanged {
	ev := &metalogpb.GroupChanged{
		Group: g.name, ProtocolType: g.protocolType, Generation: g.generation, Protocol: g.protocol, Leader: g.leader,
		EmptySinceMs: g.emptySince,
	}
	for _, m := range g.members {
		out := &metalogpb.GroupMember{
			MemberId: m.id, InstanceId: m.instance, ClientId: m.client.ID, ClientHost: m.client.Host,
			SessionTimeoutMs: int32(m.session.Milliseconds()), RebalanceTimeoutMs: int32(m.rebalance.Milliseconds()),
			Assignment: m.assignment,
		}
		for _, p := range m.protocols {
			out.Protocols = append(out.Protocols, &metalogpb.GroupProtocol{Name: p.name, Metadata: p.metadata})
		}
		ev.Members = append(ev.Members, out)
	}
	return ev
}

func (t *turn) changedBytes(g *group) int { return proto.Size(g.changed()) }

func (t *turn) emit(g *group) {
	ev := &metalogpb.Event{Kind: &metalogpb.Event_GroupChanged{GroupChanged: g.changed()}}
	t.fx.Events = append(t.fx.Events, ev)
}

// Restore makes the groups of a new term, in place of all that the Manager knows: members have their full session timeouts,
// and nothing is rebalanced. What could not have been written is mended: a second member of the same id or without one is
// left out, a leader that is no member is replaced.
func (m *Manager) Restore(now time.Time, groups []*metalogpb.GroupChanged) {
	m.groups, m.deadlines, m.bytes = map[string]*group{}, nil, 0
	t := m.turn(now)
	for _, ev := range groups {
		if old := m.groups[ev.Group]; old != nil {
			m.forget(old)
		}
		g := newGroup(ev.Group, &m.bytes)
		g.protocolType, g.generation, g.protocol, g.emptySince = ev.ProtocolType, ev.Generation, ev.Protocol, ev.EmptySinceMs
		for _, x := range ev.Members {
			n := m.restored(x)
			if n.id == "" || g.byID[n.id] != nil || n.instance != "" && g.instances[n.instance] != nil {
				continue
			}
			assignment := n.assignment
			n.assignment = nil
			g.add(n)
			g.assign(n, assignment)
			t.touch(g, n)
		}
		if g.byID[ev.Leader] != nil {
			g.leader = ev.Leader
		}
		if len(g.members) > 0 {
			g.state = Stable
		}
		m.groups[g.name] = g
		t.settle(g)
	}
}

func (m *Manager) restored(x *metalogpb.GroupMember) *member {
	n := &member{
		id: x.MemberId, instance: x.InstanceId, client: Client{ID: x.ClientId, Host: x.ClientHost},
		session: millis(x.SessionTimeoutMs), rebalance: millis(x.RebalanceTimeoutMs), assignment: x.Assignment,
	}
	if n.session <= 0 {
		n.session = m.cfg.MinSessionTimeout
	}
	if n.rebalance <= 0 {
		n.rebalance = n.session
	}
	for _, p := range x.Protocols {
		n.protocols = append(n.protocols, protocol{name: p.Name, metadata: p.Metadata})
	}
	return n
}
