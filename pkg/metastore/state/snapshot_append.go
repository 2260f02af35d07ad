package state

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// encoder appends the messages that snapshot_wire.go walks: what comes before, between and behind the fields that lead to spans is
// generated code's, in the order of field numbers, so that the bytes are those that generated code alone would give (TestEncoderAgrees).
type encoder struct {
	// logical leaves out what is private to a region: where bytes lie, in the images that it holds too, and what of its topics a link shows.
	logical bool
}

// snapshotSize is about what a snapshot takes, rather too much.
func (s *State) snapshotSize() int {
	const header, partition, span, object = 4 << 10, 128, 48, 40
	size := header + object*len(s.objects)
	for _, t := range s.Topics() {
		for _, c := range *t.cells.Load() {
			size += partition + span*len(c.now.Load().Spans)
		}
	}
	for _, l := range s.Links() {
		size += l.Image().snapshotSize()
	}
	return size
}

func marshalAppend(b []byte, m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, m)
}

// appendMessage appends a field that is a message: what fill appends. Its length is known only then, and put before it.
func appendMessage(b []byte, num protowire.Number, fill func([]byte) ([]byte, error)) ([]byte, error) {
	b = protowire.AppendTag(b, num, protowire.BytesType)
	at := len(b)
	b, err := fill(b)
	if err != nil {
		return nil, err
	}
	var length [10]byte
	return slices.Insert(b, at, protowire.AppendVarint(length[:0], uint64(len(b)-at))...), nil
}

// snapshot appends a state's message; whole is false for that of an image within another.
func (e encoder) snapshot(b []byte, s *State, whole bool) ([]byte, error) {
	b, err := marshalAppend(b, s.header())
	if err != nil {
		return nil, err
	}
	for _, t := range s.Topics() {
		if b, err = appendMessage(b, snapshotTopics, func(b []byte) ([]byte, error) { return e.topic(b, t, e.logical && whole) }); err != nil {
			return nil, err
		}
	}
	middle, tail := s.middle(), s.tail()
	if e.logical {
		middle.Objects, tail.Incarnation = nil, ""
	}
	if b, err = marshalAppend(b, middle); err != nil {
		return nil, err
	}
	for _, l := range s.Links() {
		if b, err = appendMessage(b, snapshotLinks, func(b []byte) ([]byte, error) { return e.link(b, l) }); err != nil {
			return nil, err
		}
	}
	return marshalAppend(b, tail)
}

func (e encoder) topic(b []byte, t *Topic, plain bool) ([]byte, error) {
	info := t.Info()
	b, err := marshalAppend(b, &metalogpb.TopicState{
		TopicId: info.ID[:], Name: info.Name, ReplicationFactor: info.ReplicationFactor, Configs: configEntries(info.Configs),
	})
	if err != nil {
		return nil, err
	}
	for _, c := range *t.cells.Load() {
		if b, err = appendMessage(b, topicPartitions, func(b []byte) ([]byte, error) { return e.partition(b, c) }); err != nil {
			return nil, err
		}
	}
	tail := &metalogpb.TopicState{Fault: info.Fault, Visible: info.Visible, SourceDeleted: info.SourceDeleted}
	if plain {
		tail.Fault, tail.Visible = "", true
	}
	return marshalAppend(b, tail)
}

func (e encoder) partition(b []byte, c *cell) ([]byte, error) {
	p := c.now.Load()
	m := &metalogpb.PartitionState{LogStart: int64(p.LogStart), End: int64(p.End), LastStable: int64(p.LastStable), Chain: p.Chain[:]}
	for _, x := range p.Epochs {
		m.Epochs = append(m.Epochs, &metalogpb.EpochStart{Epoch: int32(x.Epoch), StartOffset: int64(x.Start)})
	}
	b, err := marshalAppend(b, m)
	if err != nil {
		return nil, err
	}
	for i := range p.Spans {
		b = p.Spans[i].append(b, e.logical)
	}
	m = &metalogpb.PartitionState{MaxTimestampMs: p.MaxTimestamp}
	for _, id := range sortedKeys(c.producers) {
		x := c.producers[id]
		m.Producers = append(m.Producers, &metalogpb.ProducerState{
			ProducerId: id, ProducerEpoch: int32(x.Epoch), LastWriteMs: x.LastWrite, GapAllowed: x.GapAllowed, Batches: x.Batches,
		})
	}
	return marshalAppend(b, m)
}

// append appends the span as a field of its partition. With eight numbers of eleven bytes at most its length takes one byte.
func (sp *Span) append(b []byte, logical bool) []byte {
	b = protowire.AppendTag(b, partitionSpans, protowire.BytesType)
	at := len(b)
	b = append(b, 0)
	b = appendNumber(b, 1, uint64(sp.Base))
	b = appendNumber(b, 2, uint64(sp.Last))
	b = appendNumber(b, 3, uint64(sp.MaxTimestamp))
	if !logical {
		b = appendNumber(b, 4, uint64(sp.Object.Session))
		b = appendNumber(b, 5, uint64(sp.Object.Number))
		b = appendNumber(b, 6, uint64(sp.Position))
	}
	b = appendNumber(b, 7, uint64(sp.Length))
	if !logical {
		b = appendNumber(b, 8, uint64(sp.Residency))
	}
	b[at] = byte(len(b) - at - 1)
	return b
}

// appendNumber appends a field that is a number; one that is 0 is not there.
func appendNumber(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(append(b, byte(num)<<3), v)
}

func (e encoder) link(b []byte, l *Link) ([]byte, error) {
	i := l.Info()
	b, err := marshalAppend(b, &metalogpb.LinkState{
		Config: i.Config, SourceClusterId: i.SourceCluster[:], SourceRegionNumber: int32(i.SourceRegion),
		SourceIncarnation: i.SourceIncarnation, Paused: i.Paused, Fault: i.Fault,
	})
	if err != nil {
		return nil, err
	}
	if b, err = appendMessage(b, linkImage, func(b []byte) ([]byte, error) { return e.snapshot(b, l.Image(), false) }); err != nil {
		return nil, err
	}
	m := &metalogpb.LinkState{Flip: i.Flip, PositionSeq: uint64(i.Position.Seq), PositionHash: i.Position.Hash[:], PositionTimeMs: i.PositionTime}
	for _, x := range i.Boundary {
		m.Boundary = append(m.Boundary, &metalogpb.BoundaryState{
			TopicId: x.Partition.Topic[:], Partition: x.Partition.Partition, End: int64(x.End), Chain: x.Chain[:],
		})
	}
	return marshalAppend(b, m)
}
