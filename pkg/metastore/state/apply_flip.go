package state

import (
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// applyRegionFlipped makes the image of a link the region's own state. The event has a constant size; the work here is
// linear in the number of partitions and touches no span: a flip of any number of topics is one append.
//
// What becomes of the image: visible topics become the region's own, with a new leader epoch that begins at the cut;
// idempotent producers go on, each may leave one forward gap a partition; chosen groups are emptied and keep their
// offsets, those that already run here (local_groups) go on as they are; all writer sessions end, so that nothing that was sent to the sequencer before the flip is judged after it (see
// walk 10 of package appender). A topic whose name this region already has keeps out (it was FAULTED, and stays in the boundary list).
func (s *State) applyRegionFlipped(ev *metalogpb.RegionFlipped, ctx *eventContext) error {
	l, err := s.linkOf(ev.Link)
	if err != nil {
		return err
	}
	region := *s.Region()
	image := l.Image()
	epoch := base.Epoch(ev.Epoch)
	switch {
	case !l.Active():
		return fmt.Errorf("link %q fails over a second time: %w", ev.Link, base.ErrCorrupt)
	case epoch <= region.Epoch || epoch <= image.Region().Epoch || epoch.Region() != region.Number:
		return fmt.Errorf("flip to epoch %d from %d and %d: %w", epoch, region.Epoch, image.Region().Epoch, base.ErrCorrupt)
	case base.Offset(ev.CutSeq) != base.Offset(image.head.Seq):
		return fmt.Errorf("flip at seq %d of an image at %d: %w", ev.CutSeq, image.head.Seq, base.ErrCorrupt)
	}
	region.Epoch, region.yieldAbove = epoch, 0
	if image.Region().KafkaClusterID != "" {
		region.KafkaClusterID = image.Region().KafkaClusterID
	}
	var boundary []Boundary
	for _, t := range image.Topics() {
		if t.Info().Visible {
			boundary = append(boundary, s.adoptTopic(t, epoch)...)
		}
		if s.Topic(t.Info().ID) != t { // it ends with the image, and so does its claim to this region's objects
			image.releaseSpans(t)
		}
	}
	for name, g := range image.groups {
		if l.WantsGroup(name) && !l.LocalGroup(name) {
			s.setGroup(name, g.emptied())
		}
	}
	for _, x := range s.sessions {
		x.Fenced = true
		clear(x.Results)
	}
	s.nextProducerID, s.nextSession = 0, 0 // counters of the new epoch's stripe
	s.region.Store(&region)
	l.update(func(i *LinkInfo) { i.Flip, i.Boundary = ev, boundary })
	l.setImage(newState(s.serving), s)
	ctx.changes.Catalog = true
	return nil
}

// adoptTopic makes a topic of an image one of the region's own and returns where it was cut.
func (s *State) adoptTopic(t *Topic, epoch base.Epoch) []Boundary {
	info := t.Info()
	_, taken := s.byName.Load(info.Name)
	var boundary []Boundary
	for i, c := range *t.cells.Load() {
		p := *c.now.Load()
		boundary = append(boundary, Boundary{
			Partition: base.TopicPartition{Topic: info.ID, Partition: int32(i)}, End: p.End, Chain: p.Chain,
		})
		p.Epochs = append(p.Epochs[:len(p.Epochs):len(p.Epochs)], EpochStart{Epoch: epoch, Start: p.End})
		c.now.Store(&p)
		for _, producer := range c.producers {
			producer.GapAllowed = true
		}
	}
	if taken || info.Fault != "" {
		return boundary
	}
	if s.link != nil { // a link of the source's has failed over: what is shown here is for this region's link to say
		t.update(func(i *TopicInfo) { i.Visible = s.link.WantsTopic(i.Name) })
	}
	s.byID.Store(info.ID, t)
	s.countTopic(t, 1)
	s.byName.Store(info.Name, t)
	return boundary
}
