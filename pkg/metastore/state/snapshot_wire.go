package state

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// A Snapshot message has millions of spans, and a generated message for each is what a start would spend its time on. So the path to
// them, Snapshot - TopicState - PartitionState - SpanState, and LinkState to an image that is a Snapshot too, is walked here; all the
// rest is left to the generated code. What one of them refuses the other would, and a field that nobody knows is skipped by both:
// TestWireAgrees and FuzzWireAgrees hold them to that.

// Numbers of the fields that are walked.
const (
	snapshotTopics  = 11
	snapshotLinks   = 17
	topicPartitions = 5
	partitionSpans  = 6
	linkImage       = 8
)

type wireSnapshot struct {
	*metalogpb.Snapshot // but for topics and links
	topics              []wireTopic
	links               []wireLink
}

type wireTopic struct {
	*metalogpb.TopicState // but for partitions
	partitions            []wirePartition
}

type wirePartition struct {
	*metalogpb.PartitionState // but for spans
	spans                     []Span
	raw                       []byte
	depth                     int
}

type wireLink struct {
	*metalogpb.LinkState // but for its image
	image                *wireSnapshot
}

// wireDecoder collects partitions: they hold nearly all that there is, and each is decoded by itself.
type wireDecoder struct{ partitions []*wirePartition }

func decodeSnapshot(payload []byte) (*wireSnapshot, error) {
	var d wireDecoder
	m, err := d.snapshot(payload, protowire.DefaultRecursionLimit)
	if err == nil {
		err = d.decodePartitions()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, base.ErrCorrupt)
	}
	return m, nil
}

var (
	errWire = errors.New("the message is cut off or damaged")
	errDeep = errors.New("messages are nested too deep")
)

// unmarshal decodes a message that may nest depth deep, itself included.
func unmarshal(b []byte, depth int, m proto.Message) error {
	if depth <= 0 {
		return errDeep
	}
	return proto.UnmarshalOptions{RecursionLimit: depth}.Unmarshal(b, m)
}

// peel hands each length-delimited field of a message to take, and returns the message without those that were taken. What it
// returns is the message itself when none was.
func peel(b []byte, take func(num protowire.Number, value []byte) (bool, error)) (rest []byte, err error) {
	kept := 0 // what lies before is in rest, or was taken
	for at := 0; at < len(b); {
		num, typ, n := consumeTag(b[at:])
		if n < 0 {
			return nil, errWire
		}
		size := protowire.ConsumeFieldValue(num, typ, b[at+n:])
		if size < 0 {
			return nil, errWire
		}
		end := at + n + size
		if typ == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(b[at+n : end])
			taken, err := take(num, value)
			if err != nil {
				return nil, err
			}
			if taken {
				rest = append(rest, b[kept:at]...)
				kept = end
			}
		}
		at = end
	}
	if kept == 0 {
		return b, nil
	}
	return append(rest, b[kept:]...), nil
}

// consumeTag is protowire.ConsumeTag, quick for a tag of one byte, and without the numbers that only a MessageSet has.
func consumeTag(b []byte) (protowire.Number, protowire.Type, int) {
	if b[0] < 0x80 && b[0] >= 1<<3 {
		return protowire.Number(b[0] >> 3), protowire.Type(b[0] & 7), 1
	}
	num, typ, n := protowire.ConsumeTag(b)
	if n >= 0 && num > protowire.MaxValidNumber {
		return 0, 0, -1
	}
	return num, typ, n
}

func (d *wireDecoder) snapshot(b []byte, depth int) (*wireSnapshot, error) {
	m := &wireSnapshot{Snapshot: &metalogpb.Snapshot{}}
	rest, err := peel(b, func(num protowire.Number, value []byte) (bool, error) {
		switch num {
		case snapshotTopics:
			t, err := d.topic(value, depth-1)
			m.topics = append(m.topics, t)
			return true, err
		case snapshotLinks:
			l, err := d.link(value, depth-1)
			m.links = append(m.links, l)
			return true, err
		}
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	return m, unmarshal(rest, depth, m.Snapshot)
}

func (d *wireDecoder) topic(b []byte, depth int) (wireTopic, error) {
	m := wireTopic{TopicState: &metalogpb.TopicState{}}
	rest, err := peel(b, func(num protowire.Number, value []byte) (bool, error) {
		if num != topicPartitions {
			return false, nil
		}
		m.partitions = append(m.partitions, wirePartition{raw: value, depth: depth - 1})
		return true, nil
	})
	if err != nil {
		return m, err
	}
	for i := range m.partitions {
		d.partitions = append(d.partitions, &m.partitions[i])
	}
	return m, unmarshal(rest, depth, m.TopicState)
}

func (d *wireDecoder) link(b []byte, depth int) (wireLink, error) {
	m := wireLink{LinkState: &metalogpb.LinkState{}}
	var pieces [][]byte
	rest, err := peel(b, func(num protowire.Number, value []byte) (bool, error) {
		if num != linkImage {
			return false, nil
		}
		pieces = append(pieces, value)
		return true, nil
	})
	if err != nil {
		return m, err
	}
	if len(pieces) > 0 {
		image, err := joined(pieces)
		if err != nil {
			return m, err
		}
		if m.image, err = d.snapshot(image, depth-1); err != nil {
			return m, err
		}
	}
	return m, unmarshal(rest, depth, m.LinkState)
}

// joined is a message that came in pieces, which is what they are side by side. Each has to be a message itself: one that is cut off
// must not go on in the next.
func joined(pieces [][]byte) ([]byte, error) {
	if len(pieces) == 1 {
		return pieces[0], nil
	}
	for _, p := range pieces {
		if _, err := peel(p, func(protowire.Number, []byte) (bool, error) { return false, nil }); err != nil {
			return nil, err
		}
	}
	return bytes.Join(pieces, nil), nil
}

// decodePartitions decodes what was collected, on all cores.
func (d *wireDecoder) decodePartitions() error {
	var next atomic.Int64
	var g errgroup.Group
	for range min(runtime.GOMAXPROCS(0), len(d.partitions)) {
		g.Go(func() error {
			var room []Span
			for {
				i := int(next.Add(1)) - 1
				if i >= len(d.partitions) {
					return nil
				}
				if err := d.partitions[i].decode(&room); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

// decode decodes the partition. The spans are gathered in room, so that they take no more memory than they need in the end.
func (m *wirePartition) decode(room *[]Span) error {
	spans := (*room)[:0]
	rest, err := peel(m.raw, func(num protowire.Number, value []byte) (bool, error) {
		if num != partitionSpans {
			return false, nil
		}
		// Snapshots are at odd levels, so spans at even ones, as the deepest: where a partition is not too deep its spans are not.
		spans = append(spans, Span{})
		return true, spans[len(spans)-1].decode(value)
	})
	if err != nil {
		return err
	}
	if *room = spans; len(spans) > 0 {
		m.spans = slices.Clone(spans)
	}
	m.PartitionState = &metalogpb.PartitionState{}
	return unmarshal(rest, m.depth, m.PartitionState)
}

// decode decodes a SpanState message.
func (sp *Span) decode(b []byte) error {
	for len(b) > 0 {
		num, typ, n := consumeTag(b)
		if n < 0 {
			return errWire
		}
		b = b[n:]
		if typ != protowire.VarintType {
			if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
				return errWire
			}
			b = b[n:]
			continue
		}
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return errWire
		}
		b = b[n:]
		switch num {
		case 1:
			sp.Base = base.Offset(v)
		case 2:
			sp.Last = base.Offset(v)
		case 3:
			sp.MaxTimestamp = int64(v)
		case 4:
			sp.Object.Session = base.SessionID(v)
		case 5:
			sp.Object.Number = base.ObjectNumber(v)
		case 6:
			sp.Position = int64(v)
		case 7:
			sp.Length = int64(v)
		case 8:
			sp.Residency = Residency(v)
		}
	}
	return nil
}
