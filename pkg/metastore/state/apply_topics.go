package state

import (
	"fmt"
	"maps"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

func (s *State) topicOf(id []byte) (*Topic, base.TopicID, error) {
	tid, err := base.TopicIDFromBytes(id)
	if err != nil {
		return nil, tid, err
	}
	t := s.Topic(tid)
	if t == nil {
		return nil, tid, fmt.Errorf("event names topic %s, which does not exist: %w", tid, base.ErrCorrupt)
	}
	return t, tid, nil
}

func (s *State) cellOf(id []byte, partition int32) (*cell, base.TopicID, error) {
	t, tid, err := s.topicOf(id)
	if err != nil {
		return nil, tid, err
	}
	c := t.cell(partition)
	if c == nil {
		return nil, tid, fmt.Errorf("event names partition %s-%d, which does not exist: %w", tid, partition, base.ErrCorrupt)
	}
	return c, tid, nil
}

func configMap(entries []*metalogpb.ConfigEntry) map[string]string {
	m := make(map[string]string, len(entries))
	for _, e := range entries {
		m[e.Name] = e.Value
	}
	return m
}

func (s *State) applyTopicCreated(ev *metalogpb.TopicCreated, ctx *eventContext) error {
	id, err := base.TopicIDFromBytes(ev.TopicId)
	if err != nil {
		return err
	}
	if s.Topic(id) != nil || ev.Partitions < 1 || ev.Partitions > PartitionsMax {
		return fmt.Errorf("create topic %q (%s) with %d partitions: %w", ev.Name, id, ev.Partitions, base.ErrCorrupt)
	}
	info := TopicInfo{ID: id, Name: ev.Name, ReplicationFactor: ev.ReplicationFactor, Configs: configMap(ev.Configs), Visible: true}
	if s.link != nil {
		info.Visible = s.link.WantsTopic(ev.Name)
		info.Fault = s.recreation(ev.Name)
	}
	t := newTopic(info, ev.Partitions)
	s.byID.Store(id, t)
	s.countTopic(t, 1)
	if info.Fault == "" {
		s.byName.Store(ev.Name, t)
	}
	ctx.changes.Catalog = true
	return nil
}

// recreation decides, in an image, what becomes of a topic whose name a deleted but kept topic still holds. It returns
// the new topic's fault, or clears the way for it.
func (s *State) recreation(name string) string {
	old := s.TopicByName(name)
	if old == nil {
		return ""
	}
	if s.link.Info().Config.OnTopicRecreated == "FOLLOW" {
		old.update(func(i *TopicInfo) { i.Visible = false })
		return ""
	}
	return "deleted and created again at the source; the link keeps the earlier topic of this name"
}

func (s *State) applyTopicDeleted(ev *metalogpb.TopicDeleted, ctx *eventContext) error {
	t, id, err := s.topicOf(ev.TopicId)
	if err != nil {
		return err
	}
	ctx.changes.Catalog = true
	if s.link != nil && s.link.Info().Config.OnTopicDeleted != "DELETE" && t.Info().Visible && t.Info().Fault == "" {
		t.update(func(i *TopicInfo) { i.SourceDeleted = true })
		return nil
	}
	s.dropTopic(t, id)
	s.dropOffsetsOf(id)
	return nil
}

func (s *State) dropTopic(t *Topic, id base.TopicID) {
	s.byID.Delete(id)
	s.countTopic(t, -1)
	if name := t.Info().Name; s.TopicByName(name) == t {
		s.byName.Delete(name)
	}
	s.releaseSpans(t)
}

func (s *State) releaseSpans(t *Topic) {
	for _, c := range *t.cells.Load() {
		for _, sp := range c.now.Load().Spans {
			s.release(sp)
		}
	}
}

// retain and release count the spans of each object in this region's bucket.
func (s *State) retain(sp Span) {
	if sp.Residency != Local {
		return
	}
	if o := s.owner.objects[sp.Object]; o != nil {
		o.References++
	}
}

func (s *State) release(sp Span) {
	if sp.Residency != Local {
		return
	}
	if o := s.owner.objects[sp.Object]; o != nil {
		o.References--
	}
}

func (s *State) applyPartitionsAdded(ev *metalogpb.PartitionsAdded, ctx *eventContext) error {
	t, _, err := s.topicOf(ev.TopicId)
	if err != nil {
		return err
	}
	if ev.Partitions <= t.Partitions() || ev.Partitions > PartitionsMax {
		return fmt.Errorf("grow topic %q from %d to %d partitions: %w", t.Info().Name, t.Partitions(), ev.Partitions, base.ErrCorrupt)
	}
	s.counts.Partitions += int(ev.Partitions - t.Partitions())
	t.grow(ev.Partitions)
	ctx.changes.Catalog = true
	return nil
}

func (s *State) applyTopicConfigChanged(ev *metalogpb.TopicConfigChanged, ctx *eventContext) error {
	t, _, err := s.topicOf(ev.TopicId)
	if err != nil {
		return err
	}
	t.update(func(i *TopicInfo) {
		configs := maps.Clone(i.Configs)
		if configs == nil {
			configs = map[string]string{}
		}
		for _, name := range ev.Remove {
			delete(configs, name)
		}
		maps.Copy(configs, configMap(ev.Set))
		i.Configs = configs
	})
	ctx.changes.Catalog = true
	return nil
}

func (s *State) applyRecordsDeleted(ev *metalogpb.RecordsDeleted, ctx *eventContext) error {
	c, id, err := s.cellOf(ev.TopicId, ev.Partition)
	if err != nil {
		return err
	}
	p := *c.now.Load()
	start := base.Offset(ev.LogStart)
	if start > p.End {
		return fmt.Errorf("delete records of %s-%d up to %d, beyond its end %d: %w", id, ev.Partition, start, p.End, base.ErrCorrupt)
	}
	if start <= p.LogStart {
		return nil
	}
	p.LogStart = start
	kept := p.FindSpan(start)
	for _, sp := range p.Spans[:kept] {
		s.release(sp)
	}
	p.Spans = p.Spans[kept:]
	p.MaxTimestamp = -1
	for _, sp := range p.Spans {
		p.MaxTimestamp = max(p.MaxTimestamp, sp.MaxTimestamp)
	}
	c.now.Store(&p)
	ctx.changes.partition(id, ev.Partition)
	return nil
}
