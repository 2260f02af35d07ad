package sim

import (
	"maps"
	"slices"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// topicModel is a topic as the events of a log make it, kept apart from the state. It is replaced, never changed.
type topicModel struct {
	name       string
	configs    map[string]string
	partitions []partitionModel
}

type partitionModel struct {
	start, end base.Offset
	epochs     []state.EpochStart
}

// past is what a region's topics and groups were at one instant.
type past struct {
	topics map[base.TopicID]*topicModel
	groups map[string]*groupModel
}

func (t *topicModel) copy() *topicModel {
	return &topicModel{name: t.name, configs: maps.Clone(t.configs), partitions: slices.Clone(t.partitions)}
}

// changeTopic replaces a topic's model by a changed copy.
func (c *checker) changeTopic(r *Region, id []byte, change func(*topicModel)) {
	b := c.book(r)
	t := b.topics[base.TopicID(id)]
	if t == nil {
		c.w.fail("K15: region %s: an event names topic %x, which is not there", r.name, id)
		return
	}
	t = t.copy()
	change(t)
	b.topics[base.TopicID(id)] = t
}

// topicEvent follows one event of a topic, and asks whether it may be.
func (c *checker) topicEvent(r *Region, ev *metalogpb.Event) {
	switch k := ev.Kind.(type) {
	case *metalogpb.Event_TopicCreated:
		t := &topicModel{name: k.TopicCreated.Name, configs: map[string]string{}, partitions: make([]partitionModel, k.TopicCreated.Partitions)}
		c.book(r).topics[base.TopicID(k.TopicCreated.TopicId)] = t
	case *metalogpb.Event_TopicDeleted:
		b, id := c.book(r), base.TopicID(k.TopicDeleted.TopicId)
		if t := b.topics[id]; t == nil || !b.deletedNames[t.name] {
			c.w.fail("K15: region %s deletes topic %s, which nobody asked for", r.name, id)
		}
		b.deletedTopics[id] = true
		delete(b.topics, id)
		c.offsetsGone(r, id)
		c.w.logf("region %s: topic %s is deleted", r.name, id)
	case *metalogpb.Event_PartitionsAdded:
		c.changeTopic(r, k.PartitionsAdded.TopicId, func(t *topicModel) {
			if have := int32(len(t.partitions)); k.PartitionsAdded.Partitions <= have {
				c.w.fail("K15: region %s: topic %s goes from %d to %d partitions", r.name, t.name, have, k.PartitionsAdded.Partitions)
			}
			for int32(len(t.partitions)) < k.PartitionsAdded.Partitions {
				t.partitions = append(t.partitions, partitionModel{})
			}
			c.w.logf("region %s: topic %s has %d partitions", r.name, t.name, len(t.partitions))
		})
	case *metalogpb.Event_TopicConfigChanged:
		c.changeTopic(r, k.TopicConfigChanged.TopicId, func(t *topicModel) {
			for _, name := range k.TopicConfigChanged.Remove {
				delete(t.configs, name)
			}
			for _, e := range k.TopicConfigChanged.Set {
				t.configs[e.Name] = e.Value
			}
			c.w.logf("region %s: topic %s has %v", r.name, t.name, t.configs)
		})
	case *metalogpb.Event_RecordsDeleted:
		c.recordsDeleted(r, k.RecordsDeleted)
	}
}

// grown moves the models on by a commit: spans continue their partitions, under the region's epoch.
func (c *checker) grown(r *Region, ev *metalogpb.ObjectCommitted) {
	for _, te := range ev.Topics {
		c.changeTopic(r, te.TopicId, func(t *topicModel) {
			for _, sc := range te.Spans {
				p := &t.partitions[sc.Partition]
				if base.Offset(sc.BaseOffset) != p.end {
					c.w.fail("K3: region %s: partition %d of %s goes on at %d, its end was %d", r.name, sc.Partition, t.name, sc.BaseOffset, p.end)
				}
				if epoch := r.oracle.Region().Epoch; len(p.epochs) == 0 || p.epochs[len(p.epochs)-1].Epoch < epoch {
					p.epochs = append(slices.Clone(p.epochs), state.EpochStart{Epoch: epoch, Start: p.end})
				}
				p.end = base.Offset(sc.LastOffset) + 1
			}
		})
	}
}

// flippedTopics gives B the topics that A had at the cut: each with a new epoch, from where it was cut.
func (c *checker) flippedTopics(ev *metalogpb.RegionFlipped) {
	for id, at := range c.book(c.w.a).at(c.w.b.link().Info().Position.Hash).topics {
		if at.name == private {
			continue
		}
		t := at.copy()
		for i := range t.partitions {
			p := &t.partitions[i]
			p.epochs = append(slices.Clone(p.epochs), state.EpochStart{Epoch: base.Epoch(ev.Epoch), Start: p.end})
		}
		c.book(c.w.b).topics[id] = t
	}
}

// sameTopics holds K15: what st has is what the events of a log say.
func (c *checker) sameTopics(what string, st *state.State, want map[base.TopicID]*topicModel) {
	if have := len(st.Topics()); have != len(want) {
		c.w.fail("K15: %s has %d topics, the log says %d", what, have, len(want))
		return
	}
	for id, m := range want {
		t := st.Topic(id)
		switch {
		case t == nil:
			c.w.fail("K15: %s has no topic %s (%s)", what, m.name, id)
			return
		case st.TopicByName(m.name) != t || t.Info().Name != m.name:
			c.w.fail("K15: %s has another topic under the name %s", what, m.name)
		case !maps.Equal(t.Info().Configs, m.configs):
			c.w.fail("K15: topic %s of %s has %v, the log says %v", m.name, what, t.Info().Configs, m.configs)
		case int(t.Partitions()) != len(m.partitions):
			c.w.fail("K15: topic %s of %s has %d partitions, the log says %d", m.name, what, t.Partitions(), len(m.partitions))
			return
		}
		for i, want := range m.partitions {
			p := t.Partition(int32(i))
			if p.LogStart != want.start || p.End != want.end || !slices.Equal(p.Epochs, want.epochs) {
				c.w.fail("K15: partition %d of %s of %s is %d to %d with epochs %v, the log says %+v", i, m.name, what, p.LogStart, p.End, p.Epochs, want)
			}
		}
	}
}

// sameShown holds K15 of what a shadow shows: topics of the image, under the source's epoch, and not those that the filters leave out.
func (c *checker) sameShown(image *state.State, want map[base.TopicID]*topicModel) {
	st := c.w.b.oracle
	for id, m := range want {
		t, ok := st.Show(id)
		switch {
		case ok != (m.name != private):
			c.w.fail("K15: region b shows topic %s: %v", m.name, ok)
		case ok && (t.Writable() || st.Epoch(t) != image.Region().Epoch):
			c.w.fail("K15: region b shows topic %s under epoch %d, to be written to: %v; the source has epoch %d", m.name, st.Epoch(t), t.Writable(), image.Region().Epoch)
		}
	}
}

// references holds K17.
func (c *checker) references(r *Region) {
	count := map[base.ObjectID]int64{}
	note := func(st *state.State) {
		for _, t := range st.Topics() {
			for p := range t.Partitions() {
				for _, sp := range t.Partition(p).Spans {
					if sp.Residency == state.Local {
						count[sp.Object]++
					}
				}
			}
		}
	}
	note(r.oracle)
	if l := r.link(); l != nil {
		note(l.Image())
	}
	for _, id := range r.oracle.Objects() {
		if o := r.oracle.Object(id); o.References != count[id] {
			c.w.fail("K17: region %s counts %d spans in object %s, there are %d", r.name, o.References, id, count[id])
			return
		}
		delete(count, id)
	}
	for id := range count {
		c.w.fail("K17: region %s does not know object %s, which has spans", r.name, id)
		return
	}
}
