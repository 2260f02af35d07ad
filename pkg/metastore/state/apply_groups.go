package state

import (
	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

func (s *State) group(name string) *Group {
	g := s.groups[name]
	if g == nil {
		g = &Group{Offsets: map[base.TopicPartition]GroupOffset{}}
		s.groups[name] = g
	}
	return g
}

func (s *State) applyGroupChanged(ev *metalogpb.GroupChanged) {
	if !s.serving {
		s.group(ev.Group).Changed = ev
	}
}

func (s *State) applyOffsetsCommitted(ev *metalogpb.OffsetsCommitted) error {
	if s.serving {
		return nil
	}
	g := s.group(ev.Group)
	for _, o := range ev.Offsets {
		id, err := base.TopicIDFromBytes(o.TopicId)
		if err != nil {
			return err
		}
		s.setOffset(g, base.TopicPartition{Topic: id, Partition: o.Partition}, GroupOffset{
			Offset: base.Offset(o.Offset), LeaderEpoch: base.Epoch(o.LeaderEpoch), Metadata: o.Metadata, CommitTime: s.time, Retention: o.RetentionMs,
		})
	}
	return nil
}

func (s *State) applyOffsetsDeleted(ev *metalogpb.OffsetsDeleted) error {
	g := s.groups[ev.Group]
	if g == nil {
		return nil
	}
	for _, p := range ev.Partitions {
		id, err := base.TopicIDFromBytes(p.TopicId)
		if err != nil {
			return err
		}
		s.deleteOffset(g, base.TopicPartition{Topic: id, Partition: p.Partition})
	}
	s.forgetVacuous(ev.Group, g)
	return nil
}

// dropOffsetsOf lets a deleted topic's committed offsets go with it.
func (s *State) dropOffsetsOf(id base.TopicID) {
	for name, g := range s.groups {
		for tp := range g.Offsets {
			if tp.Topic == id {
				s.deleteOffset(g, tp)
			}
		}
		s.forgetVacuous(name, g)
	}
}

// forgetVacuous removes a group about which nothing is left to know: it never had members, and has no offsets any more.
func (s *State) forgetVacuous(name string, g *Group) {
	if g.Changed == nil && len(g.Offsets) == 0 {
		delete(s.groups, name)
	}
}

// generationJump is added to a group's generation by a flip, so that members of the old region's generations are told
// to rejoin whatever they heard last.
const generationJump = 1000

// emptied returns the group as a flip leaves it: offsets stay, members go, the generation jumps.
func (g *Group) emptied() *Group {
	if g.Changed == nil {
		return g
	}
	return &Group{Offsets: g.Offsets, Changed: &metalogpb.GroupChanged{
		Group: g.Changed.Group, ProtocolType: g.Changed.ProtocolType, Generation: g.Changed.Generation + generationJump,
	}}
}
