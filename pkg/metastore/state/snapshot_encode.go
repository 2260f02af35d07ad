package state

import (
	"cmp"
	"maps"
	"slices"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"google.golang.org/protobuf/proto"
)

// SnapshotVersion is the format version of the Snapshot message that this build writes.
const SnapshotVersion = 1

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// Snapshot encodes the whole state. Equal states give equal bytes. Applying goroutine only.
func (s *State) Snapshot() ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(s.message())
}

// Digest is the SHA-256 of the snapshot, cut to 128 bits: replicas that differ have different digests.
func (s *State) Digest() (base.Digest, error) {
	b, err := s.Snapshot()
	return base.DigestOf(b), err
}

// LogicalDigest is a digest of everything but where bytes lie: an image's equals its source's at the same seq (S4).
func (s *State) LogicalDigest() (base.Digest, error) {
	m := s.message()
	for _, t := range m.Topics {
		t.Visible, t.Fault = true, ""
	}
	forgetPlaces(m)
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	return base.DigestOf(b), err
}

// forgetPlaces takes out what is private to a region: where bytes lie, in the images that it holds too.
func forgetPlaces(m *metalogpb.Snapshot) {
	m.Objects, m.Incarnation = nil, ""
	for _, t := range m.Topics {
		for _, p := range t.Partitions {
			for _, sp := range p.Spans {
				sp.Session, sp.Number, sp.Position, sp.Residency = 0, 0, 0, 0
			}
		}
	}
	for _, l := range m.Links {
		forgetPlaces(l.Image)
	}
}

func (s *State) message() *metalogpb.Snapshot {
	r := s.Region()
	m := &metalogpb.Snapshot{
		FormatVersion: SnapshotVersion, Seq: uint64(s.head.Seq), Hash: s.head.Hash[:], TimeMs: s.time,
		FeatureLevel: s.featureLevel, ClusterId: r.ClusterID[:], KafkaClusterId: r.KafkaClusterID,
		RegionNumber: int32(r.Number), RegionName: r.Name, Epoch: int32(r.Epoch),
		NextProducerId: s.nextProducerID, NextSession: s.nextSession, Incarnation: s.incarnation,
		YieldAbove: int32(r.yieldAbove),
	}
	for _, x := range s.restores {
		m.Restores = append(m.Restores, &metalogpb.IncarnationState{
			Incarnation: x.ID, Parent: x.Parent, Seq: uint64(x.Seq), TimeMs: x.Time, FirstSession: uint64(x.FirstSession), Released: x.Released,
		})
	}
	for _, t := range s.Topics() {
		m.Topics = append(m.Topics, t.message())
	}
	for _, x := range s.Sessions() {
		m.Sessions = append(m.Sessions, x.message())
	}
	for _, id := range s.Objects() {
		o := s.objects[id]
		m.Objects = append(m.Objects, &metalogpb.ObjectState{
			Session: uint64(id.Session), Number: uint64(id.Number), Size: o.Size, References: o.References,
		})
	}
	for _, name := range s.Groups() {
		m.Groups = append(m.Groups, s.groups[name].message(name))
	}
	for _, l := range s.Links() {
		m.Links = append(m.Links, l.message())
	}
	return m
}

func configEntries(configs map[string]string) []*metalogpb.ConfigEntry {
	var out []*metalogpb.ConfigEntry
	for _, name := range sortedKeys(configs) {
		out = append(out, &metalogpb.ConfigEntry{Name: name, Value: configs[name]})
	}
	return out
}

func (t *Topic) message() *metalogpb.TopicState {
	info := t.Info()
	m := &metalogpb.TopicState{
		TopicId: info.ID[:], Name: info.Name, ReplicationFactor: info.ReplicationFactor, Configs: configEntries(info.Configs),
		Fault: info.Fault, Visible: info.Visible, SourceDeleted: info.SourceDeleted,
	}
	for _, c := range *t.cells.Load() {
		m.Partitions = append(m.Partitions, c.message())
	}
	return m
}

func (c *cell) message() *metalogpb.PartitionState {
	p := c.now.Load()
	m := &metalogpb.PartitionState{
		LogStart: int64(p.LogStart), End: int64(p.End), LastStable: int64(p.LastStable), Chain: p.Chain[:],
		MaxTimestampMs: p.MaxTimestamp,
	}
	for _, e := range p.Epochs {
		m.Epochs = append(m.Epochs, &metalogpb.EpochStart{Epoch: int32(e.Epoch), StartOffset: int64(e.Start)})
	}
	for _, sp := range p.Spans {
		m.Spans = append(m.Spans, &metalogpb.SpanState{
			BaseOffset: int64(sp.Base), LastOffset: int64(sp.Last), MaxTimestampMs: sp.MaxTimestamp,
			Session: uint64(sp.Object.Session), Number: uint64(sp.Object.Number),
			Position: sp.Position, Length: sp.Length, Residency: int32(sp.Residency),
		})
	}
	for _, id := range sortedKeys(c.producers) {
		pr := c.producers[id]
		m.Producers = append(m.Producers, &metalogpb.ProducerState{
			ProducerId: id, ProducerEpoch: int32(pr.Epoch), LastWriteMs: pr.LastWrite, GapAllowed: pr.GapAllowed, Batches: pr.Batches,
		})
	}
	return m
}

func (x *Session) message() *metalogpb.SessionState {
	m := &metalogpb.SessionState{
		Session: uint64(x.ID), NodeId: x.NodeID, Link: x.Link, Fenced: x.Fenced,
		Floor: uint64(x.Floor), ResolvedBelow: uint64(x.ResolvedBelow), Quarantine: x.Quarantine,
	}
	for _, n := range sortedKeys(x.Results) {
		m.Results = append(m.Results, x.Results[n])
	}
	return m
}

func (g *Group) message(name string) *metalogpb.GroupState {
	m := &metalogpb.GroupState{Group: g.Changed, Name: name}
	for _, tp := range slices.SortedFunc(maps.Keys(g.Offsets), base.TopicPartition.Compare) {
		o := g.Offsets[tp]
		m.Offsets = append(m.Offsets, &metalogpb.CommittedOffset{
			TopicId: tp.Topic[:], Partition: tp.Partition, Offset: int64(o.Offset), LeaderEpoch: int32(o.LeaderEpoch), Metadata: o.Metadata,
			RetentionMs: o.Retention,
		})
		m.CommitTimesMs = append(m.CommitTimesMs, o.CommitTime)
	}
	return m
}

func (l *Link) message() *metalogpb.LinkState {
	i := l.Info()
	m := &metalogpb.LinkState{
		Config: i.Config, SourceClusterId: i.SourceCluster[:], SourceRegionNumber: int32(i.SourceRegion),
		SourceIncarnation: i.SourceIncarnation, Paused: i.Paused, Fault: i.Fault, Flip: i.Flip, Image: l.Image().message(),
		PositionSeq: uint64(i.Position.Seq), PositionHash: i.Position.Hash[:], PositionTimeMs: i.PositionTime,
	}
	for _, b := range i.Boundary {
		m.Boundary = append(m.Boundary, &metalogpb.BoundaryState{
			TopicId: b.Partition.Topic[:], Partition: b.Partition.Partition, End: int64(b.End), Chain: b.Chain[:],
		})
	}
	return m
}
