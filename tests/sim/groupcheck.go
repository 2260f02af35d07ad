package sim

import (
	"fmt"
	"maps"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// groupModel is a group as the events of a log make it, kept apart from the state. It is replaced, never changed.
type groupModel struct {
	generation int32
	members    map[string]string // member id -> instance id
	emptySince int64             // 0 with members, without a generation, and when nobody knows
	joined     bool              // it had members at some time
	offsets    map[base.TopicPartition]modelOffset
}

type modelOffset struct {
	offset base.Offset
	at     int64
}

// attempt is one commit that somebody sent.
type attempt struct {
	r          *Region
	group, id  string
	generation int32
	tp         base.TopicPartition
	offset     int64
	tag        string
	entered    bool
}

func (g *groupModel) copy() *groupModel {
	if g == nil {
		return &groupModel{offsets: map[base.TopicPartition]modelOffset{}}
	}
	x := *g
	x.offsets = maps.Clone(g.offsets)
	return &x
}

// attempted notes a commit before it is sent, under a tag of its own.
func (c *checker) attempted(r *Region, group, id string, generation int32, tp base.TopicPartition, offset int64) *attempt {
	x := &attempt{r: r, group: group, id: id, generation: generation, tp: tp, offset: offset, tag: fmt.Sprint("commit ", len(c.commits))}
	c.commits[x.tag] = x
	return x
}

// committed takes what a client was told (K7).
func (c *checker) committed(x *attempt) {
	if !x.entered {
		c.w.fail("K7: %s was told that %s is committed in region %s, the log does not have it", x.id, x.tag, x.r.name)
	}
}

// groupEvent follows one event of a group, and asks whether it may be.
func (c *checker) groupEvent(r *Region, ev *metalogpb.Event, now int64) {
	b := c.book(r)
	switch k := ev.Kind.(type) {
	case *metalogpb.Event_GroupChanged:
		b.groups[k.GroupChanged.Group] = c.changed(r, b.groups[k.GroupChanged.Group], k.GroupChanged)
	case *metalogpb.Event_OffsetsCommitted:
		g := b.groups[k.OffsetsCommitted.Group].copy()
		for _, o := range k.OffsetsCommitted.Offsets {
			c.mayCommit(r, g, k.OffsetsCommitted.Group, o)
			tp := base.TopicPartition{Topic: base.TopicID(o.TopicId), Partition: o.Partition}
			g.offsets[tp] = modelOffset{base.Offset(o.Offset), now}
		}
		b.groups[k.OffsetsCommitted.Group] = g
	case *metalogpb.Event_OffsetsDeleted:
		c.mayDelete(r, k.OffsetsDeleted, now)
	case *metalogpb.Event_GroupDeleted:
		c.mayDeleteGroup(r, k.GroupDeleted.Group, now)
		maps.Copy(c.gone, b.members[k.GroupDeleted.Group])
		delete(b.groups, k.GroupDeleted.Group)
	}
}

// changed holds K10: generations do not fall, and members change only with them, or by a static member that comes back.
func (c *checker) changed(r *Region, old *groupModel, ev *metalogpb.GroupChanged) *groupModel {
	g := old.copy()
	if ev.Generation < g.generation {
		c.w.fail("K10: group %s of region %s goes from generation %d to %d", ev.Group, r.name, g.generation, ev.Generation)
	}
	b := c.book(r)
	if b.members[ev.Group] == nil {
		b.members[ev.Group] = map[string]bool{}
	}
	members := map[string]string{}
	for _, m := range ev.Members {
		b.members[ev.Group][m.MemberId] = true
		if c.gone[m.MemberId] {
			c.w.fail("K13: member %s is back in group %s of region %s, which was deleted after it", m.MemberId, ev.Group, r.name)
		}
		members[m.MemberId] = m.InstanceId
		if _, same := g.members[m.MemberId]; !same && ev.Generation == g.generation && m.InstanceId == "" {
			c.w.fail("K10: group %s of region %s has a new member %s in generation %d", ev.Group, r.name, m.MemberId, ev.Generation)
		}
	}
	if len(members) > 0 && members[ev.Leader] == "" && !hasMember(members, ev.Leader) {
		c.w.fail("K10: the leader %s of group %s is no member", ev.Leader, ev.Group)
	}
	if len(members) != len(g.members) && ev.Generation == g.generation {
		c.w.fail("K10: group %s of region %s has %d members instead of %d in generation %d", ev.Group, r.name, len(members), len(g.members), ev.Generation)
	}
	g.generation, g.members, g.emptySince, g.joined = ev.Generation, members, ev.EmptySinceMs, true
	return g
}

func hasMember(members map[string]string, id string) bool {
	_, ok := members[id]
	return ok
}

// mayCommit holds K7: a generation that is over commits nothing once the next one is stable, nor does who is not a member of it. (As
// in Kafka, one that never became stable may, while the group gathers again.)
func (c *checker) mayCommit(r *Region, g *groupModel, group string, o *metalogpb.CommittedOffset) {
	x := c.commits[o.Metadata]
	switch {
	case x == nil || x.group != group || x.r != r || x.offset != o.Offset:
		c.w.fail("K7: nobody committed %s of group %s in region %s", o.Metadata, group, r.name)
		return
	case c.gone[x.id]:
		c.w.fail("K13: %s by %s is in the log of region %s; its group %s was deleted after it", x.tag, x.id, r.name, group)
	case x.entered:
		c.w.fail("K7: %s is in the log of region %s twice", x.tag, r.name)
	case x.generation < 0 && len(g.members) > 0:
		c.w.fail("K7: %s without a generation, to group %s that has members", x.tag, group)
	case x.generation >= 0 && x.generation < g.generation, x.generation == g.generation && !hasMember(g.members, x.id):
		c.w.fail("K7: %s by %s under generation %d; group %s is at %d, a member: %v", x.tag, x.id, x.generation, group, g.generation, hasMember(g.members, x.id))
	}
	x.entered = true
}

// mayDelete holds K13: offsets go because somebody asked, or because they expired; never those of a topic that members read.
func (c *checker) mayDelete(r *Region, ev *metalogpb.OffsetsDeleted, now int64) {
	b := c.book(r)
	g := b.groups[ev.Group].copy()
	asked := false
	for _, p := range ev.Partitions {
		tp := base.TopicPartition{Topic: base.TopicID(p.TopicId), Partition: p.Partition}
		t, ok := r.oracle.Show(tp.Topic)
		if len(g.members) > 0 && ok && t.Info().Name == topics[0].name {
			c.w.fail("K13: region %s deletes an offset of %s that members of %s read", r.name, tp, ev.Group)
		}
		if !g.expired(tp, now) && !asked {
			asked = b.deleteAsked(ev.Group)
		}
		if !g.expired(tp, now) && !asked {
			c.w.fail("K13: region %s deletes an offset of %s of group %s, which is neither asked for nor expired", r.name, tp, ev.Group)
		}
		delete(g.offsets, tp)
	}
	if b.groups[ev.Group] = g; len(g.offsets) == 0 && !g.joined {
		delete(b.groups, ev.Group)
	}
}

// offsetsGone follows a topic that is deleted: what groups have committed for it goes with it.
func (c *checker) offsetsGone(r *Region, id base.TopicID) {
	b := c.book(r)
	for name, old := range b.groups {
		g := old.copy()
		maps.DeleteFunc(g.offsets, func(tp base.TopicPartition, _ modelOffset) bool { return tp.Topic == id })
		if b.groups[name] = g; len(g.offsets) == 0 && !g.joined {
			delete(b.groups, name)
		}
	}
}

// deleteAsked tells whether somebody has asked to delete something of a group: one event for each request.
func (b *book) deleteAsked(group string) bool {
	if b.deletes[group] == 0 {
		return false
	}
	b.deletes[group]--
	return true
}

func (c *checker) mayDeleteGroup(r *Region, group string, now int64) {
	b := c.book(r)
	g := b.groups[group].copy()
	if len(g.members) > 0 {
		c.w.fail("K13: region %s deletes group %s, which has members", r.name, group)
	}
	asked := false
	for tp := range g.offsets {
		if !g.expired(tp, now) && !asked {
			asked = b.deleteAsked(group)
		}
		if !g.expired(tp, now) && !asked {
			c.w.fail("K13: region %s deletes group %s with an offset of %s, which is neither asked for nor expired", r.name, group, tp)
		}
	}
}

// expired tells whether an offset's time is over.
func (g *groupModel) expired(tp base.TopicPartition, now int64) bool {
	since := g.offsets[tp].at
	if g.joined && len(g.members) == 0 {
		if g.emptySince == 0 {
			return false
		}
		since = g.emptySince
	}
	return now-since >= retentionMs
}

// sameGroups compares the state's offsets with the model's (K7).
func (c *checker) sameGroups(r *Region) {
	b := c.book(r)
	if n := r.oracle.GroupCount(); n != len(b.groups) {
		c.w.fail("K7: region %s has %d groups, the log says %d", r.name, n, len(b.groups))
		return
	}
	for name, g := range b.groups {
		have := r.oracle.Group(name)
		if have == nil || len(have.Offsets) != len(g.offsets) || have.Changed.GetGeneration() != g.generation || len(have.Changed.GetMembers()) != len(g.members) {
			c.w.fail("K7: group %s of region %s is not what the log says", name, r.name)
			return
		}
		for tp, o := range g.offsets {
			if have.Offsets[tp].Offset != o.offset {
				c.w.fail("K7: group %s of region %s has %d of %s, the log says %d", name, r.name, have.Offsets[tp].Offset, tp, o.offset)
			}
		}
	}
}

// generationJump is by how much a flip raises the generations of groups.
const generationJump = 1000

// flipped holds K7 and K10 at the flip: groups have what they had committed at the cut, and no members.
func (c *checker) flipped() {
	b := c.book(c.w.b)
	for name, at := range c.book(c.w.a).at(c.w.b.link().Info().Position.Hash).groups {
		g := at.copy()
		if g.joined {
			g.generation, g.members, g.emptySince = g.generation+generationJump, nil, 0
		}
		b.groups[name] = g
	}
}

// newProducer holds K12: no producer id is given out twice.
func (c *checker) newProducer(p *producer) {
	if other := c.producers[p.id]; other != nil {
		c.w.fail("K12: %s has the id that %s was given", p, other)
	}
	c.producers[p.id] = p
	c.w.logf("%s has its id", p)
}
