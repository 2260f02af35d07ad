package state

import (
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// Restore returns the state that a snapshot holds.
func Restore(payload []byte) (*State, error) { return restoreInto(New(), payload) }

// RestoreServing returns an agent's view of the state that a snapshot holds.
func RestoreServing(payload []byte) (*State, error) { return restoreInto(NewServing(), payload) }

func restoreInto(s *State, payload []byte) (*State, error) {
	m, err := decodeSnapshot(payload)
	if err == nil {
		err = s.restore(m, Local)
	}
	if err != nil {
		return nil, fmt.Errorf("decode snapshot: %w", err)
	}
	return s, nil
}

// restore fills an empty state. Spans get the residency that they were saved with, or, when the snapshot is another
// region's and adopted as an image, at least `least`: what is local there is remote here.
func (s *State) restore(m *wireSnapshot, least Residency) error {
	if m.FormatVersion != SnapshotVersion {
		return fmt.Errorf("snapshot format version %d, this build knows %d: %w", m.FormatVersion, SnapshotVersion, base.ErrVersion)
	}
	if len(m.ClusterId) != len(base.ClusterID{}) || len(m.Hash) != len(metastore.Hash{}) {
		return fmt.Errorf("snapshot header: %w", base.ErrCorrupt)
	}
	s.head = metastore.Head{Seq: base.Seq(m.Seq), Hash: metastore.Hash(m.Hash)}
	s.time, s.featureLevel, s.incarnation = m.TimeMs, m.FeatureLevel, m.Incarnation
	s.nextProducerID, s.nextSession = m.NextProducerId, m.NextSession
	s.region.Store(&Region{
		ClusterID: base.ClusterID(m.ClusterId), KafkaClusterID: m.KafkaClusterId,
		Number: base.RegionNumber(m.RegionNumber), Name: m.RegionName, Epoch: base.Epoch(m.Epoch), yieldAbove: base.Epoch(m.YieldAbove),
	})
	for _, x := range m.Restores {
		s.restores = append(s.restores, Incarnation{
			ID: x.Incarnation, Parent: x.Parent, Seq: base.Seq(x.Seq), Time: x.TimeMs, FirstSession: base.SessionID(x.FirstSession), Released: x.Released,
		})
	}
	for _, o := range m.Objects {
		s.objects[base.ObjectID{Session: base.SessionID(o.Session), Number: base.ObjectNumber(o.Number)}] = &Object{Size: o.Size, References: o.References}
	}
	for _, t := range m.topics {
		if err := s.restoreTopic(&t, least); err != nil {
			return err
		}
	}
	for _, x := range m.Sessions {
		s.restoreSession(x)
	}
	for _, g := range m.Groups {
		if err := s.restoreGroup(g); err != nil {
			return err
		}
	}
	for _, l := range m.links {
		if err := s.restoreLink(&l, least); err != nil {
			return err
		}
	}
	return nil
}

func (s *State) restoreTopic(m *wireTopic, least Residency) error {
	id, err := base.TopicIDFromBytes(m.TopicId)
	if err != nil {
		return err
	}
	info := TopicInfo{
		ID: id, Name: m.Name, ReplicationFactor: m.ReplicationFactor, Configs: configMap(m.Configs),
		Visible: m.Visible, Fault: m.Fault, SourceDeleted: m.SourceDeleted,
	}
	t := newTopic(info, int32(len(m.partitions)))
	for i := range m.partitions {
		if err := t.cell(int32(i)).restore(&m.partitions[i], least, s.serving); err != nil {
			return err
		}
	}
	s.byID.Store(id, t)
	s.countTopic(t, 1)
	if other := s.TopicByName(m.Name); other == nil || outranks(&info, other.Info()) {
		s.byName.Store(m.Name, t)
	}
	return nil
}

// outranks tells whether x, not y, answers to the name that two topics of an image have, by what recreation left of them:
// if the link follows, the earlier topic is not visible any more; if not, the earlier one is the one that the source deleted.
func outranks(x, y *TopicInfo) bool {
	if x.Visible != y.Visible {
		return x.Visible
	}
	return x.SourceDeleted && !y.SourceDeleted
}

func (c *cell) restore(m *wirePartition, least Residency, serving bool) error {
	chain, err := base.ChainFromBytes(m.Chain)
	if err != nil {
		return err
	}
	p := &Partition{
		LogStart: base.Offset(m.LogStart), End: base.Offset(m.End), LastStable: base.Offset(m.LastStable),
		MaxTimestamp: m.MaxTimestampMs, Chain: chain, Spans: m.spans,
	}
	for _, e := range m.Epochs {
		p.Epochs = append(p.Epochs, EpochStart{Epoch: base.Epoch(e.Epoch), Start: base.Offset(e.StartOffset)})
	}
	for i := range m.spans {
		m.spans[i].Residency = demote(m.spans[i].Residency, least)
	}
	c.now.Store(p)
	if serving || len(m.Producers) == 0 {
		return nil
	}
	c.producers = make(map[int64]*Producer, len(m.Producers))
	for _, pr := range m.Producers {
		c.producers[pr.ProducerId] = &Producer{
			ID: pr.ProducerId, Epoch: int16(pr.ProducerEpoch), LastWrite: pr.LastWriteMs, GapAllowed: pr.GapAllowed, Batches: pr.Batches,
		}
	}
	return nil
}

// demote turns what another region holds into what this one sees: its local is our remote, its remote is absent.
func demote(r, least Residency) Residency {
	if least == Local {
		return r
	}
	return min(r+least, Absent)
}

func (s *State) restoreSession(m *metalogpb.SessionState) {
	x := &Session{
		ID: base.SessionID(m.Session), NodeID: m.NodeId, Link: m.Link, Fenced: m.Fenced, Quarantine: m.Quarantine,
		Floor: base.ObjectNumber(m.Floor), ResolvedBelow: base.ObjectNumber(m.ResolvedBelow),
		Results: map[base.ObjectNumber]*metalogpb.StoredResult{},
	}
	if !s.serving {
		for _, r := range m.Results {
			x.Results[base.ObjectNumber(r.Number)] = r
		}
	}
	s.sessions[x.ID] = x
}

func (s *State) restoreGroup(m *metalogpb.GroupState) error {
	if s.serving {
		return nil
	}
	if len(m.CommitTimesMs) != len(m.Offsets) {
		return fmt.Errorf("group %q has %d offsets and %d times: %w", m.Name, len(m.Offsets), len(m.CommitTimesMs), base.ErrCorrupt)
	}
	g := s.group(m.Name)
	g.Changed = m.Group
	for i, o := range m.Offsets {
		id, err := base.TopicIDFromBytes(o.TopicId)
		if err != nil {
			return err
		}
		s.setOffset(g, base.TopicPartition{Topic: id, Partition: o.Partition}, GroupOffset{
			Offset: base.Offset(o.Offset), LeaderEpoch: base.Epoch(o.LeaderEpoch), Metadata: o.Metadata, CommitTime: m.CommitTimesMs[i],
			Retention: o.RetentionMs,
		})
	}
	return nil
}

func (s *State) restoreLink(m *wireLink, least Residency) error {
	if m.Config == nil || m.image == nil || len(m.SourceClusterId) != len(base.ClusterID{}) || len(m.PositionHash) != len(metastore.Hash{}) {
		return fmt.Errorf("link of a snapshot: %w", base.ErrCorrupt)
	}
	info := LinkInfo{
		Config: m.Config, SourceCluster: base.ClusterID(m.SourceClusterId), SourceRegion: base.RegionNumber(m.SourceRegionNumber),
		SourceIncarnation: m.SourceIncarnation, Paused: m.Paused, Fault: m.Fault, Flip: m.Flip,
		Position: metastore.Head{Seq: base.Seq(m.PositionSeq), Hash: metastore.Hash(m.PositionHash)}, PositionTime: m.PositionTimeMs,
	}
	for _, b := range m.Boundary {
		id, err := base.TopicIDFromBytes(b.TopicId)
		if err != nil {
			return err
		}
		chain, err := base.ChainFromBytes(b.Chain)
		if err != nil {
			return err
		}
		info.Boundary = append(info.Boundary, Boundary{
			Partition: base.TopicPartition{Topic: id, Partition: b.Partition}, End: base.Offset(b.End), Chain: chain,
		})
	}
	l, err := newLink(info, s)
	if err != nil {
		return fmt.Errorf("link %q of a snapshot: %w: %w", m.Config.Name, err, base.ErrCorrupt)
	}
	if err := l.Image().restore(m.image, least); err != nil {
		return fmt.Errorf("image of link %q: %w", m.Config.Name, err)
	}
	s.putLink(l)
	return nil
}
