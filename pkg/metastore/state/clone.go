package state

import (
	"maps"
	"slices"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// Clone returns a state that goes its own way from here. What is never changed once it is there is shared, above all partitions with their
// spans: a leader's working state costs little beside the replica that it comes from. Applying goroutine only; the clone has one of its own.
//
// Of what is shared one thing is written to: Apply appends spans into the room behind those that readers see. So that two states do not do that
// in the same room, the clone's spans end where their room ends, and its first append to a partition moves them.
func (s *State) Clone() *State {
	c := newState(s.serving)
	c.copyFrom(s)
	return c
}

func (s *State) copyFrom(from *State) {
	s.region.Store(from.region.Load())
	s.head, s.time, s.featureLevel, s.incarnation = from.head, from.time, from.featureLevel, from.incarnation
	s.restores = slices.Clip(from.restores)
	s.counts, s.nextProducerID, s.nextSession = from.counts, from.nextProducerID, from.nextSession
	s.copyTopics(from)
	for id, x := range from.sessions {
		session := *x
		session.Results = maps.Clone(x.Results)
		if session.Results == nil {
			session.Results = map[base.ObjectNumber]*metalogpb.StoredResult{}
		}
		s.sessions[id] = &session
	}
	s.objects = make(map[base.ObjectID]*Object, len(from.objects))
	for id, x := range from.objects {
		object := *x
		s.objects[id] = &object
	}
	for name, g := range from.groups {
		s.groups[name] = &Group{Changed: g.Changed, Offsets: maps.Clone(g.Offsets)}
	}
	var links []*Link
	for _, l := range from.Links() {
		links = append(links, l.clone(s))
	}
	s.links.Store(&links)
}

// copyTopics copies the topics under their ids, and has names lead to the copies. A name leads to a topic that has an id here.
func (s *State) copyTopics(from *State) {
	from.byID.Range(func(id, t any) bool {
		s.byID.Store(id, t.(*Topic).clone())
		return true
	})
	from.byName.Range(func(name, t any) bool {
		if c, ok := s.byID.Load(t.(*Topic).Info().ID); ok {
			s.byName.Store(name, c)
		}
		return true
	})
}

func (t *Topic) clone() *Topic {
	out := &Topic{}
	out.info.Store(t.info.Load())
	old := *t.cells.Load()
	copies, cells := make([]cell, len(old)), make([]*cell, len(old))
	for i, c := range old {
		copies[i].copyFrom(c)
		cells[i] = &copies[i]
	}
	out.cells.Store(&cells)
	return out
}

func (c *cell) copyFrom(from *cell) {
	p := from.now.Load()
	if cap(p.Spans) > len(p.Spans) {
		own := *p
		own.Spans = slices.Clip(p.Spans)
		p = &own
	}
	c.now.Store(p)
	if from.producers == nil {
		return
	}
	c.producers = make(map[int64]*Producer, len(from.producers))
	for id, x := range from.producers {
		producer := *x
		producer.Batches = slices.Clone(x.Batches)
		c.producers[id] = &producer
	}
}

func (l *Link) clone(owner *State) *Link {
	out := &Link{topics: l.topics, groups: l.groups}
	out.info.Store(l.info.Load())
	image := newState(owner.serving)
	out.setImage(image, owner)
	image.copyFrom(l.Image())
	return out
}
