package groups

import (
	"bytes"
	"slices"
	"time"
)

// State is a group's state, as Kafka spells it.
type State string

// States of a group.
const (
	Empty               State = "Empty"
	PreparingRebalance  State = "PreparingRebalance"
	CompletingRebalance State = "CompletingRebalance"
	Stable              State = "Stable"
	Dead                State = "Dead"
)

type protocol struct {
	name     string
	metadata []byte
}

type member struct {
	id        string
	instance  string // "" for a dynamic member
	client    Client
	session   time.Duration
	rebalance time.Duration
	protocols []protocol // in the member's order of preference; never changed in place
	// assignment is of the last stable generation; never changed in place.
	assignment []byte

	fresh    bool      // was in no generation yet: it cannot heartbeat, so waiting does not prove that it lives
	unsynced bool      // was told of the generation and has not synced
	expires  time.Time // end of the session; zero while the member waits and needs no heartbeat
	join     *joinWait
	sync     *syncWait
}

// memberBytes is a generous bound for what the lengths, tags and numbers of a member take in GroupChanged.
const memberBytes = 64

// size bounds what the member takes in GroupChanged without its assignment.
func (m *member) size() int {
	n := memberBytes + len(m.id) + len(m.instance) + len(m.client.ID) + len(m.client.Host)
	for _, p := range m.protocols {
		n += 16 + len(p.name) + len(p.metadata)
	}
	return n
}

func (m *member) waits() bool { return m.join != nil || m.sync != nil }

func (m *member) supports(name string) bool {
	return slices.ContainsFunc(m.protocols, func(p protocol) bool { return p.name == name })
}

func (m *member) metadata(name string) []byte {
	for _, p := range m.protocols {
		if p.name == name {
			return p.metadata
		}
	}
	return nil
}

// sameProtocols tells whether a Join brings nothing new.
func (m *member) sameProtocols(other []protocol) bool {
	return slices.EqualFunc(m.protocols, other, func(a, b protocol) bool {
		return a.name == b.name && bytes.Equal(a.metadata, b.metadata)
	})
}

type group struct {
	name         string
	state        State
	protocolType string
	generation   int32
	protocol     string // selected for the generation
	leader       string
	emptySince   int64 // Unix milliseconds; 0 while there are members, and when nobody knows

	members   []*member // in the order of arrival
	byID      map[string]*member
	instances map[string]*member
	pending   map[string]time.Time // announced ids, and until when they may be used
	bytes     int                  // sum of the members' sizes
	assigned  int                  // sum of their assignments
	total     *int                 // what the manager counts of all groups: see account

	joinBy     time.Time     // in PreparingRebalance: when who has not joined is left behind
	gathering  bool          // the first rebalance of an Empty group, which waits for more members
	grown      bool          // a member came since the gathering was last prolonged
	gatherLeft time.Duration // by how much it may still be prolonged
	syncBy     time.Time     // when members that have not synced are removed; zero if all have

	due  time.Time // in the heap of deadlines
	slot int
}

// groupBytes and pendingBytes are what a group and an announced id cost besides their names, roughly.
const (
	groupBytes   = 512
	pendingBytes = 128
)

func newGroup(name string, total *int) *group {
	*total += groupBytes + len(name)
	return &group{
		name: name, state: Empty, slot: unscheduled, total: total,
		byID: map[string]*member{}, instances: map[string]*member{}, pending: map[string]time.Time{},
	}
}

// vacuous groups are forgotten: there is nothing to know about them.
func (g *group) vacuous() bool {
	return g.generation == 0 && len(g.members) == 0 && len(g.pending) == 0
}

// account counts bytes that members take, for the group and for the manager.
func (g *group) account(n int) {
	g.bytes += n
	*g.total += n
}

// announce enters an id that may join, or removes it.
func (g *group) announce(id string, until time.Time) {
	g.pending[id] = until
	*g.total += pendingBytes + len(id)
}

func (g *group) unannounce(id string) {
	delete(g.pending, id)
	*g.total -= pendingBytes + len(id)
}

// assign gives a member its assignment, which the group keeps.
func (g *group) assign(m *member, assignment []byte) {
	more := len(assignment) - len(m.assignment)
	m.assignment = assignment
	g.assigned += more
	*g.total += more
}

func (g *group) add(m *member) {
	g.members, g.emptySince = append(g.members, m), 0
	g.account(m.size())
	g.index(m)
	if g.leader == "" {
		g.leader = m.id
	}
}

func (g *group) index(m *member) {
	g.byID[m.id] = m
	if m.instance != "" {
		g.instances[m.instance] = m
	}
}

func (g *group) remove(m *member) {
	g.members = slices.DeleteFunc(g.members, func(x *member) bool { return x == m })
	g.account(-m.size())
	g.assign(m, nil)
	delete(g.byID, m.id)
	if m.instance != "" {
		delete(g.instances, m.instance)
	}
	if g.leader == m.id {
		g.leader = ""
		if len(g.members) > 0 {
			g.leader = g.members[0].id
		}
	}
}

// update gives a member what its new Join says.
func (g *group) update(m *member, from *member) {
	before := m.size()
	m.client, m.session, m.rebalance, m.protocols = from.client, from.session, from.rebalance, from.protocols
	g.account(m.size() - before)
}

// supported tells whether every member supports a protocol.
func (g *group) supported(name string) bool {
	for _, m := range g.members {
		if !m.supports(name) {
			return false
		}
	}
	return true
}

// accepts tells whether somebody with such protocols can be a member: one of them must be supported by all, also by the
// member's former self.
func (g *group) accepts(protocolType string, protocols []protocol) bool {
	if len(g.members) == 0 {
		return protocolType != "" && len(protocols) > 0
	}
	return protocolType == g.protocolType &&
		slices.ContainsFunc(protocols, func(p protocol) bool { return g.supported(p.name) })
}

// selectProtocol counts the members' votes: each is for the first of its protocols that all support. Among equals the
// one wins that the member who is here longest prefers.
func (g *group) selectProtocol() string {
	if len(g.members) == 0 {
		return ""
	}
	votes := map[string]int{}
	var candidates []string
	for _, p := range g.members[0].protocols {
		if g.supported(p.name) && !slices.Contains(candidates, p.name) {
			candidates = append(candidates, p.name)
		}
	}
	for _, m := range g.members {
		for _, p := range m.protocols {
			if slices.Contains(candidates, p.name) {
				votes[p.name]++
				break
			}
		}
	}
	best := ""
	for _, name := range candidates {
		if best == "" || votes[name] > votes[best] {
			best = name
		}
	}
	return best
}

// rebalanceTimeout is the longest that a member asks for.
func (g *group) rebalanceTimeout() time.Duration {
	var longest time.Duration
	for _, m := range g.members {
		longest = max(longest, m.rebalance)
	}
	return longest
}

// electJoined makes sure that the leader is among those who joined. false: nobody has.
func (g *group) electJoined() bool {
	if l := g.byID[g.leader]; l != nil && l.join != nil {
		return true
	}
	for _, m := range g.members {
		if m.join != nil {
			g.leader = m.id
			return true
		}
	}
	return false
}

func (g *group) allJoined() bool {
	return len(g.pending) == 0 && !slices.ContainsFunc(g.members, func(m *member) bool { return m.join == nil })
}

func (g *group) allSynced() bool {
	return !slices.ContainsFunc(g.members, func(m *member) bool { return m.unsynced })
}

// next is the earliest deadline; zero if there is none.
func (g *group) next() time.Time {
	var at time.Time
	consider := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	consider(g.joinBy)
	consider(g.syncBy)
	for _, t := range g.pending {
		consider(t)
	}
	for _, m := range g.members {
		consider(m.expires)
	}
	return at
}
