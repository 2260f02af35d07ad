package groups

import (
	"maps"
	"slices"
	"time"

	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Client says who sent a request.
type Client struct {
	ID   string
	Host string
}

// Effects is what a call decided. Replies run, in their order, once the events are confirmed; each runs at most once.
type Effects struct {
	Events  []*metalogpb.Event
	Replies []func()
}

// Manager holds the groups of one term of the coordinator. It belongs to one goroutine.
type Manager struct {
	cfg       Config
	groups    map[string]*group
	deadlines deadlines
	bytes     int // what is kept of all groups, members and announced ids, roughly
}

// New returns a Manager without groups.
func New(cfg Config) *Manager {
	return &Manager{cfg: cfg.withDefaults(), groups: map[string]*group{}}
}

// turn is one call of the Manager: the time it happens at, and what it decided so far.
type turn struct {
	m   *Manager
	now time.Time
	fx  Effects
}

func (m *Manager) turn(now time.Time) *turn { return &turn{m: m, now: now} }

func (t *turn) reply(fn func()) { t.fx.Replies = append(t.fx.Replies, fn) }

// by makes sure that Tick looks at the group at a time.
func (t *turn) by(g *group, at time.Time) { t.m.deadlines.by(g, at) }

// touch begins a member's session again. A member that waits has its session begun by the answer.
func (t *turn) touch(g *group, m *member) {
	if m.waits() {
		return
	}
	m.expires = t.now.Add(m.session)
	t.by(g, m.expires)
}

// settle forgets a group that turned out to be nothing.
func (t *turn) settle(g *group) {
	if g.vacuous() {
		t.m.forget(g)
	}
}

func (m *Manager) forget(g *group) {
	delete(m.groups, g.name)
	m.deadlines.remove(g)
	for id := range g.pending {
		g.unannounce(id)
	}
	m.bytes -= groupBytes + len(g.name) + g.bytes + g.assigned
}

// Knows tells whether the group has members, expects one, or had some.
func (m *Manager) Knows(name string) bool { return m.groups[name] != nil }

// NoteEmpty gives a group that has no members, nobody knows since when, the present time for it.
func (m *Manager) NoteEmpty(now time.Time, name string) Effects {
	g, t := m.groups[name], m.turn(now)
	if g != nil && len(g.members) == 0 && g.generation > 0 && g.emptySince == 0 {
		g.emptySince = now.UnixMilli()
		t.emit(g)
	}
	return t.fx
}

// MaxGroups is how many groups there may be.
func (m *Manager) MaxGroups() int { return m.cfg.MaxGroups }

// Resume is called when the owner was kept from its work for a while: no deadline ran in that time, and each member has its
// full session timeout from now on. Whoever was alive could not show it.
func (m *Manager) Resume(now time.Time, slept time.Duration) {
	// No deadline moves beyond where it would be if what it ends began now.
	shift := func(at time.Time, whole time.Duration) time.Time {
		if at.IsZero() {
			return at
		}
		if at, latest := at.Add(slept), now.Add(whole); at.Before(latest) {
			return at
		}
		return now.Add(whole)
	}
	for _, g := range m.groups {
		rebalance := g.rebalanceTimeout()
		g.joinBy, g.syncBy = shift(g.joinBy, rebalance), shift(g.syncBy, rebalance)
		for id, until := range g.pending {
			g.pending[id] = shift(until, m.cfg.MaxSessionTimeout)
		}
		for _, x := range g.members {
			switch full := now.Add(x.session); {
			case x.waits():
				x.expires = shift(x.expires, newMemberTimeout)
			case full.After(x.expires):
				x.expires = full
			}
		}
		m.deadlines.remove(g)
		m.deadlines.by(g, g.next())
	}
}

// NextDeadline returns when Tick is to be called. It may be earlier than anything is due, never later; false: no group
// has a deadline.
func (m *Manager) NextDeadline() (time.Time, bool) {
	if len(m.deadlines) == 0 {
		return time.Time{}, false
	}
	return m.deadlines[0].due, true
}

// Tick does what time demands: sessions end, and rebalances stop waiting.
func (m *Manager) Tick(now time.Time) Effects {
	t := m.turn(now)
	var due []*group
	for len(m.deadlines) > 0 && !m.deadlines[0].due.After(now) {
		g := m.deadlines[0]
		m.deadlines.remove(g)
		due = append(due, g)
	}
	for _, g := range due {
		t.tick(g)
		m.deadlines.remove(g) // what tick scheduled may be over again
		t.by(g, g.next())
		t.settle(g)
	}
	return t.fx
}

func (t *turn) passed(at time.Time) bool { return !at.IsZero() && !at.After(t.now) }

// tick removes all who are late before it looks at the rebalance, so that it is one rebalance for all of them.
func (t *turn) tick(g *group) {
	for id, until := range g.pending {
		if t.passed(until) {
			g.unannounce(id)
		}
	}
	unsynced := t.passed(g.syncBy)
	gone := false
	for _, m := range slices.Clone(g.members) {
		if t.passed(m.expires) || unsynced && m.unsynced {
			t.detach(g, m, kerr.UnknownMemberID.Code)
			gone = true
		}
	}
	if unsynced {
		g.syncBy = never
	}
	t.membersChanged(g, gone)
	if g.state == PreparingRebalance && t.passed(g.joinBy) {
		t.joinDeadline(g)
	}
}

// Abandon ends the machine: leadership is lost, and every Join and Sync that waits is answered with NOT_COORDINATOR. The
// Manager knows no groups afterwards.
func (m *Manager) Abandon() Effects {
	t := m.turn(time.Time{})
	for _, name := range slices.Sorted(maps.Keys(m.groups)) {
		for _, x := range m.groups[name].members {
			t.release(x, kerr.NotCoordinator.Code)
		}
	}
	m.groups, m.deadlines, m.bytes = map[string]*group{}, nil, 0
	return t.fx
}

// Delete forgets an Empty group, with a GroupDeleted event. GROUP_ID_NOT_FOUND: the machine does not know it (there may
// be committed offsets under its name); NON_EMPTY_GROUP: it has members. Who was only announced is told so when it comes, by
// UNKNOWN_MEMBER_ID.
func (m *Manager) Delete(name string) (int16, Effects) {
	g := m.groups[name]
	switch {
	case g == nil:
		return kerr.GroupIDNotFound.Code, Effects{}
	case len(g.members) > 0:
		return kerr.NonEmptyGroup.Code, Effects{}
	}
	m.forget(g)
	ev := &metalogpb.GroupDeleted{Group: name}
	return 0, Effects{Events: []*metalogpb.Event{{Kind: &metalogpb.Event_GroupDeleted{GroupDeleted: ev}}}}
}
