package state

import (
	"cmp"
	"maps"
	"slices"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// SnapshotVersion is the format version of the Snapshot message that this build writes.
const SnapshotVersion = 1

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// Snapshot encodes the whole state. Equal states give equal bytes. Applying goroutine only.
func (s *State) Snapshot() ([]byte, error) {
	return encoder{}.snapshot(make([]byte, 0, s.snapshotSize()), s, true)
}

// Digest is the SHA-256 of the snapshot, cut to 128 bits: replicas that differ have different digests.
func (s *State) Digest() (base.Digest, error) {
	b, err := s.Snapshot()
	return base.DigestOf(b), err
}

// LogicalDigest is a digest of everything but where bytes lie: an image's equals its source's at the same seq (S4).
func (s *State) LogicalDigest() (base.Digest, error) {
	b, err := encoder{logical: true}.snapshot(nil, s, true)
	return base.DigestOf(b), err
}

// header is what a Snapshot message begins with, up to the topics.
func (s *State) header() *metalogpb.Snapshot {
	r := s.Region()
	return &metalogpb.Snapshot{
		FormatVersion: SnapshotVersion, Seq: uint64(s.head.Seq), Hash: s.head.Hash[:], TimeMs: s.time,
		FeatureLevel: s.featureLevel, ClusterId: r.ClusterID[:], KafkaClusterId: r.KafkaClusterID,
		RegionNumber: int32(r.Number), RegionName: r.Name, Epoch: int32(r.Epoch),
	}
}

// middle is what lies between topics and links.
func (s *State) middle() *metalogpb.Snapshot {
	m := &metalogpb.Snapshot{NextProducerId: s.nextProducerID, NextSession: s.nextSession}
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
	return m
}

// tail is what comes behind the links.
func (s *State) tail() *metalogpb.Snapshot {
	m := &metalogpb.Snapshot{Incarnation: s.incarnation, YieldAbove: int32(s.Region().yieldAbove)}
	for _, x := range s.restores {
		m.Restores = append(m.Restores, &metalogpb.IncarnationState{
			Incarnation: x.ID, Parent: x.Parent, Seq: uint64(x.Seq), TimeMs: x.Time, FirstSession: uint64(x.FirstSession), Released: x.Released,
		})
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
