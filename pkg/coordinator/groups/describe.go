package groups

import (
	"cmp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// typeClassic is what the groups of this protocol are called since KIP-848.
const typeClassic = "classic"

// Describe returns a group and its members, whose metadata and assignments are only told while it is Stable. A group that is
// not known is Dead; the caller decides whether that is an error in the version asked for.
func (m *Manager) Describe(name string) *kmsg.DescribeGroupsResponseGroup {
	out := kmsg.NewDescribeGroupsResponseGroup()
	out.Group, out.State = name, string(Dead)
	g := m.groups[name]
	if g == nil {
		return &out
	}
	out.State, out.ProtocolType = string(g.state), g.protocolType
	stable := g.state == Stable
	if stable {
		out.Protocol = g.protocol
	}
	for _, x := range g.members {
		d := kmsg.NewDescribeGroupsResponseGroupMember()
		d.MemberID, d.InstanceID, d.ClientID, d.ClientHost = x.id, instancePtr(x.instance), x.client.ID, x.client.Host
		d.ProtocolMetadata, d.MemberAssignment = []byte{}, []byte{}
		if stable {
			d.ProtocolMetadata = append(d.ProtocolMetadata, x.metadata(g.protocol)...)
			d.MemberAssignment = append(d.MemberAssignment, x.assignment...)
		}
		out.Members = append(out.Members, d)
	}
	return &out
}

// List returns the groups, sorted by name. states and types filter, whatever the case; empty means all. withOffsets
// names groups that have committed offsets: those the Manager does not know are Empty.
func (m *Manager) List(states, types, withOffsets []string) []kmsg.ListGroupsResponseGroup {
	if !allows(types, typeClassic) {
		return nil
	}
	var out []kmsg.ListGroupsResponseGroup
	add := func(name, protocolType string, state State) {
		if !allows(states, string(state)) {
			return
		}
		x := kmsg.NewListGroupsResponseGroup()
		x.Group, x.ProtocolType, x.GroupState, x.GroupType = name, protocolType, string(state), typeClassic
		out = append(out, x)
	}
	for _, g := range m.groups {
		add(g.name, g.protocolType, g.state)
	}
	for _, name := range withOffsets {
		if m.groups[name] == nil {
			add(name, "", Empty)
		}
	}
	byName := func(a, b kmsg.ListGroupsResponseGroup) int { return cmp.Compare(a.Group, b.Group) }
	slices.SortFunc(out, byName)
	return slices.CompactFunc(out, func(a, b kmsg.ListGroupsResponseGroup) bool { return a.Group == b.Group })
}

func allows(filter []string, value string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, value) })
}
