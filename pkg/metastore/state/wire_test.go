package state

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/golden"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// whole is what the generated code makes of the same bytes, but for what spans have of fields that nobody knows.
func (m *wireSnapshot) whole() *metalogpb.Snapshot {
	for _, t := range m.topics {
		for _, p := range t.partitions {
			for _, sp := range p.spans {
				p.Spans = append(p.Spans, &metalogpb.SpanState{
					BaseOffset: int64(sp.Base), LastOffset: int64(sp.Last), MaxTimestampMs: sp.MaxTimestamp,
					Session: uint64(sp.Object.Session), Number: uint64(sp.Object.Number),
					Position: sp.Position, Length: sp.Length, Residency: int32(sp.Residency),
				})
			}
			t.Partitions = append(t.Partitions, p.PartitionState)
		}
		m.Topics = append(m.Topics, t.TopicState)
	}
	for _, l := range m.links {
		if l.image != nil {
			l.Image = l.image.whole()
		}
		m.Links = append(m.Links, l.LinkState)
	}
	return m.Snapshot
}

func forgetUnknown(m *metalogpb.Snapshot) {
	for _, t := range m.Topics {
		for _, p := range t.Partitions {
			for _, sp := range p.Spans {
				sp.ProtoReflect().SetUnknown(nil)
			}
		}
	}
	for _, l := range m.Links {
		if l.Image != nil {
			forgetUnknown(l.Image)
		}
	}
}

// agree compares what decodes here with the generated code, and tells whether they took the payload.
func agree(t *testing.T, payload []byte) bool {
	t.Helper()
	before := bytes.Clone(payload)
	var want metalogpb.Snapshot
	refused := proto.Unmarshal(payload, &want)
	got, err := decodeSnapshot(payload)
	if (err == nil) != (refused == nil) {
		t.Fatalf("the generated code says %v, this one %v: %x", refused, err, payload)
	}
	if !bytes.Equal(payload, before) {
		t.Fatalf("decoding changed the payload: %x", before)
	}
	if err != nil {
		return false
	}
	forgetUnknown(&want)
	if m := got.whole(); !proto.Equal(m, &want) {
		t.Fatalf("the generated code has\n%v\nthis one\n%v\nof %x", &want, m, payload)
	}
	return true
}

// kind is a message that is walked: which of its fields are messages that are walked too.
type kind map[protowire.Number]kind

var (
	spanKind     = kind{}
	topicKind    = kind{topicPartitions: {partitionSpans: spanKind}}
	snapshotKind = kind{snapshotTopics: topicKind}
	linkKind     = kind{linkImage: snapshotKind}
)

func init() { snapshotKind[snapshotLinks] = linkKind }

// scribble is a message of a kind, or nearly: its fields in any order, of any type, at times cut off or nested wrongly.
func (k kind) scribble(rng *rand.Rand, depth int) (b []byte) {
	for range rng.IntN(8) {
		num, nested := protowire.Number(rng.IntN(24)), kind(nil)
		for _, n := range slices.Sorted(maps.Keys(k)) { // sorted, so that a seed makes the same message always
			if depth > 0 && rng.IntN(2) == 0 {
				num, nested = n, k[n]
			}
		}
		typ := protowire.Type(rng.IntN(60))
		switch {
		case nested != nil && rng.IntN(20) != 0:
			b = protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), nested.scribble(rng, depth-1))
			continue
		case typ > protowire.Fixed32Type && rng.IntN(30) != 0:
			typ = protowire.VarintType
		}
		if rng.IntN(200) == 0 {
			num = []protowire.Number{0, protowire.MaxValidNumber, protowire.MaxValidNumber + 1}[rng.IntN(3)]
		}
		b = appendAny(protowire.AppendVarint(b, uint64(num)<<3|uint64(typ&7)), rng, num, typ&7)
	}
	if rng.IntN(60) == 0 {
		b = b[:rng.IntN(len(b)+1)]
	}
	return b
}

func appendAny(b []byte, rng *rand.Rand, num protowire.Number, typ protowire.Type) []byte {
	switch typ {
	case protowire.VarintType:
		if rng.IntN(10) == 0 {
			return append(b, bytes.Repeat([]byte{0x80 | byte(rng.IntN(128))}, rng.IntN(11))...) // not the shortest form, or none at all
		}
		return protowire.AppendVarint(b, rng.Uint64()>>rng.IntN(64))
	case protowire.Fixed64Type:
		return protowire.AppendFixed64(b, rng.Uint64())
	case protowire.Fixed32Type:
		return protowire.AppendFixed32(b, rng.Uint32())
	case protowire.BytesType:
		return protowire.AppendString(b, []string{"", "x", "\x08\x01", "\xff"}[rng.IntN(10)%4])
	case protowire.StartGroupType:
		return protowire.AppendTag(append(b, 8, 1), num+protowire.Number(rng.IntN(20)/19), protowire.EndGroupType)
	}
	return b
}

// The decoder agrees with the generated one: on messages of any fields, and on a real one with bytes changed, cut out and doubled.
func TestWireAgrees(t *testing.T) {
	good := golden.Read(t, "testdata/v1/snapshot.hex")
	rng := rand.New(rand.NewPCG(1, 2))
	taken := map[bool]int{}
	for range 8_000 {
		taken[agree(t, snapshotKind.scribble(rng, 7))]++
	}
	for range 8_000 {
		b := bytes.Clone(good)
		for range 1 + rng.IntN(3) {
			at := rng.IntN(len(b))
			switch rng.IntN(4) {
			case 0:
				b[at] = byte(rng.Uint32())
			case 1:
				b[at] ^= 1 << rng.IntN(8)
			case 2:
				b = append(b[:at:at], b[min(at+1+rng.IntN(4), len(b)):]...)
			case 3:
				b = append(b[:at:at], b[max(at-rng.IntN(40), 0):]...)
			}
			if len(b) == 0 {
				break
			}
		}
		taken[agree(t, b)]++
	}
	if taken[true] < 1_000 || taken[false] < 1_000 {
		t.Errorf("%d were taken and %d refused: one side is hardly tested", taken[true], taken[false])
	}
}

func field(num protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
}

// The same of each message that is walked with one field that is hardly ever there.
func TestWireAgreesOnOddFields(t *testing.T) {
	number := func(num uint64) []byte { return append(protowire.AppendVarint(nil, num<<3), 1) }
	for name, odd := range map[string][]byte{
		"number 0": number(0), "the highest number": number(1<<29 - 1), "a number too high": number(1 << 29), "a number of 60 bits": number(1 << 60),
		"a tag of two bytes for a small number": {0x88, 0, 1}, "a varint too long": {8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2},
		"the longest varint": {8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}, "an open group": {11, 8, 1}, "a group": {11, 8, 1, 12}, "the end of a group": {12},
		"a wire type that is none": {14}, "a length beyond the end": {98, 1}, "a negative length": {98, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1},
		"a residency of more than 32 bits": {64, 255, 255, 255, 255, 31},
	} {
		for _, path := range [][]protowire.Number{
			{}, {snapshotTopics}, {snapshotTopics, topicPartitions}, {snapshotTopics, topicPartitions, partitionSpans}, {snapshotLinks}, {snapshotLinks, linkImage},
		} {
			t.Run(fmt.Sprint(name, path), func(t *testing.T) {
				payload := odd
				for i := len(path) - 1; i >= 0; i-- {
					payload = field(path[i], payload)
				}
				agree(t, payload)
			})
		}
	}
}

// An image may come in pieces, each a message itself: the end of one must not make a field with the start of the next.
func TestWireAgreesOnPieces(t *testing.T) {
	whole := protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), 1<<40)
	for cut := range len(whole) + 1 {
		link := append(field(linkImage, whole[:cut]), field(linkImage, whole[cut:])...)
		if got, want := agree(t, field(snapshotLinks, link)), cut == 0 || cut == len(whole); got != want {
			t.Errorf("cut at byte %d of %d: taken %v, want %v", cut, len(whole), got, want)
		}
	}
}

// Messages that nest as deep as the generated code allows are taken, and not one level more.
func TestWireDepth(t *testing.T) {
	for name, tail := range map[string]struct {
		nest []protowire.Number // inside of the innermost image
		ok   bool
	}{
		"a span":                         {[]protowire.Number{snapshotTopics, topicPartitions, partitionSpans}, true},
		"an image in the last link":      {[]protowire.Number{snapshotLinks, linkImage, snapshotTopics}, true},
		"a span one level too deep":      {[]protowire.Number{snapshotLinks, linkImage, snapshotTopics, topicPartitions, partitionSpans}, false},
		"a partition one level too deep": {[]protowire.Number{snapshotLinks, linkImage, snapshotTopics, topicPartitions}, false},
		"an image one level too deep":    {[]protowire.Number{snapshotLinks, linkImage, snapshotLinks, linkImage}, false},
		"a topic's config, at the edge":  {[]protowire.Number{snapshotLinks, linkImage, snapshotTopics, 4}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inner := []byte(nil)
			for i := len(tail.nest) - 1; i >= 0; i-- {
				inner = field(tail.nest[i], inner)
			}
			payload := inner
			for range (protowire.DefaultRecursionLimit - 4) / 2 {
				payload = field(snapshotLinks, field(linkImage, payload))
			}
			if got := agree(t, payload); got != tail.ok {
				t.Errorf("taken: %v", got)
			}
		})
	}
}

// FuzzWireAgrees is TestWireAgrees on any bytes.
func FuzzWireAgrees(f *testing.F) {
	f.Add(golden.Read(f, "testdata/v1/snapshot.hex"))
	for seed := range uint64(8) {
		f.Add(snapshotKind.scribble(rand.New(rand.NewPCG(seed, 3)), 7))
	}
	f.Fuzz(func(t *testing.T, payload []byte) { agree(t, payload) })
}
