package state

import (
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// Input is one entry, ready to be applied.
type Input struct {
	Raw   metastore.RawEntry
	Entry *metalogpb.Entry // decoded from Raw
	// Blobs holds the payloads that Entry.Blobs names, by their SHA-256.
	Blobs map[metastore.Hash][]byte
}

// Decode makes an Input of an entry without blobs.
func Decode(raw metastore.RawEntry) (Input, error) {
	e, err := metastore.DecodeEntry(raw.Value)
	if err != nil {
		return Input{}, fmt.Errorf("decode entry %d: %w", raw.Seq, err)
	}
	return Input{Raw: raw, Entry: e}, nil
}

// Changes says what an entry changed, for whoever waits.
type Changes struct {
	Partitions []base.TopicPartition // with new records, or a new start or role
	Catalog    bool                  // topics, links or the region changed: look at everything again
}

func (c *Changes) partition(id base.TopicID, p int32) {
	c.Partitions = append(c.Partitions, base.TopicPartition{Topic: id, Partition: p})
}

// Apply moves the state on by one entry. It fails with metastore.ErrChain when the entry is not the next one, with
// base.ErrVersion when this build does not know the entry's feature level, and with base.ErrCorrupt when an event
// contradicts the state.
func (s *State) Apply(in Input) (Changes, error) {
	var c Changes
	if err := metastore.CheckNext(s.head, in.Raw, in.Entry); err != nil {
		return c, err
	}
	if in.Entry.FeatureLevel > FeatureLevel {
		return c, fmt.Errorf("entry %d needs feature level %d, this build knows %d: upgrade: %w",
			in.Raw.Seq, in.Entry.FeatureLevel, FeatureLevel, base.ErrVersion)
	}
	if err := s.applyEvents(in, nil, &c); err != nil {
		return c, err
	}
	s.head = metastore.Head{Seq: in.Raw.Seq, Hash: metastore.HashOf(in.Raw.Value)}
	return c, nil
}

// ApplyPending applies one event of an entry that is still being composed: the sequencer's working state. The entry is
// closed with Seal.
func (s *State) ApplyPending(ev *metalogpb.Event, timeMs int64, blobs map[metastore.Hash][]byte) (Changes, error) {
	var c Changes
	s.time = max(s.time, timeMs)
	err := s.applyEvent(ev, &eventContext{blobs: blobs, changes: &c})
	return c, err
}

// Seal ends the entry whose events were applied by ApplyPending.
func (s *State) Seal(head metastore.Head, timeMs int64, featureLevel uint32) {
	s.head, s.time, s.featureLevel = head, max(s.time, timeMs), featureLevel
}

// eventContext is what an event needs besides itself.
type eventContext struct {
	blobs   map[metastore.Hash][]byte
	changes *Changes
	// placed says where the bytes of a source's objects lie here; nil for a region's own events.
	placed *placements
}

func (s *State) applyEvents(in Input, placed *placements, c *Changes) error {
	s.time = max(s.time, in.Entry.TimeMs)
	s.featureLevel = in.Entry.FeatureLevel
	ctx := &eventContext{blobs: in.Blobs, changes: c, placed: placed}
	for i, ev := range in.Entry.Events {
		if err := s.applyEvent(ev, ctx); err != nil {
			return fmt.Errorf("apply entry %d, event %d: %w", in.Raw.Seq, i, err)
		}
	}
	return nil
}

func (s *State) applyEvent(ev *metalogpb.Event, ctx *eventContext) error {
	switch k := ev.Kind.(type) {
	case *metalogpb.Event_Tick:
		return nil
	case *metalogpb.Event_ClusterCreated:
		return s.applyClusterCreated(k.ClusterCreated, ctx)
	case *metalogpb.Event_FeatureLevelRaised:
		s.featureLevel = k.FeatureLevelRaised.Level
		return nil
	case *metalogpb.Event_TopicCreated:
		return s.applyTopicCreated(k.TopicCreated, ctx)
	case *metalogpb.Event_TopicDeleted:
		return s.applyTopicDeleted(k.TopicDeleted, ctx)
	case *metalogpb.Event_PartitionsAdded:
		return s.applyPartitionsAdded(k.PartitionsAdded, ctx)
	case *metalogpb.Event_TopicConfigChanged:
		return s.applyTopicConfigChanged(k.TopicConfigChanged, ctx)
	case *metalogpb.Event_RecordsDeleted:
		return s.applyRecordsDeleted(k.RecordsDeleted, ctx)
	case *metalogpb.Event_SessionOpened:
		return s.applySessionOpened(k.SessionOpened)
	case *metalogpb.Event_SessionFenced:
		return s.applySessionFenced(k.SessionFenced)
	case *metalogpb.Event_ObjectCommitted:
		return s.applyObjectCommitted(k.ObjectCommitted, ctx)
	case *metalogpb.Event_ProducerIdsAllocated:
		s.nextProducerID = max(s.nextProducerID, k.ProducerIdsAllocated.Next)
		return nil
	case *metalogpb.Event_ProducersExpired:
		s.applyProducersExpired(k.ProducersExpired)
		return nil
	}
	return s.applyGroupOrLinkEvent(ev, ctx)
}

func (s *State) applyGroupOrLinkEvent(ev *metalogpb.Event, ctx *eventContext) error {
	switch k := ev.Kind.(type) {
	case *metalogpb.Event_GroupChanged:
		s.applyGroupChanged(k.GroupChanged)
		return nil
	case *metalogpb.Event_GroupDeleted:
		s.setGroup(k.GroupDeleted.Group, nil)
		return nil
	case *metalogpb.Event_OffsetsCommitted:
		return s.applyOffsetsCommitted(k.OffsetsCommitted)
	case *metalogpb.Event_OffsetsDeleted:
		return s.applyOffsetsDeleted(k.OffsetsDeleted)
	case *metalogpb.Event_LinkCreated:
		return s.applyLinkCreated(k.LinkCreated, ctx)
	case *metalogpb.Event_LinkDeleted:
		return s.applyLinkDeleted(k.LinkDeleted, ctx)
	case *metalogpb.Event_LinkPaused:
		return s.updateLink(k.LinkPaused.Link, func(i *LinkInfo) { i.Paused = k.LinkPaused.Paused })
	case *metalogpb.Event_LinkAdopted:
		return s.applyLinkAdopted(k.LinkAdopted, ctx)
	case *metalogpb.Event_LinkApplied:
		return s.applyLinkApplied(k.LinkApplied, ctx)
	case *metalogpb.Event_LinkPlaced:
		return s.applyLinkPlaced(k.LinkPlaced, ctx)
	case *metalogpb.Event_LinkTopicFaulted:
		return s.applyLinkTopicFaulted(k.LinkTopicFaulted, ctx)
	case *metalogpb.Event_LinkFaulted:
		return s.updateLink(k.LinkFaulted.Link, func(i *LinkInfo) { i.Fault = k.LinkFaulted.Reason })
	case *metalogpb.Event_RegionFlipped:
		return s.applyRegionFlipped(k.RegionFlipped, ctx)
	case *metalogpb.Event_IncarnationBegun:
		return s.applyIncarnationBegun(k.IncarnationBegun, ctx)
	case *metalogpb.Event_QuarantineReleased:
		return s.applyQuarantineReleased(k.QuarantineReleased)
	}
	return fmt.Errorf("event kind %T: upgrade: %w", ev.Kind, base.ErrVersion)
}

func (s *State) applyClusterCreated(ev *metalogpb.ClusterCreated, ctx *eventContext) error {
	if len(ev.ClusterId) != len(base.ClusterID{}) {
		return fmt.Errorf("cluster id has %d bytes: %w", len(ev.ClusterId), base.ErrCorrupt)
	}
	s.region.Store(&Region{
		ClusterID:      base.ClusterID(ev.ClusterId),
		KafkaClusterID: ev.KafkaClusterId,
		Number:         base.RegionNumber(ev.RegionNumber),
		Name:           ev.RegionName,
		Epoch:          base.Epoch(ev.Epoch),
	})
	ctx.changes.Catalog = true
	return nil
}
