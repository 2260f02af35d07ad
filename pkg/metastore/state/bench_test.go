package state_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// bigSnapshot is a snapshot with that many spans in 1,000 partitions of 10 topics, each object with 1,000 of them.
func bigSnapshot(tb testing.TB, spans int) []byte {
	tb.Helper()
	const topics, partitions = 10, 100
	each := spans / topics / partitions
	m := &metalogpb.Snapshot{
		FormatVersion: state.SnapshotVersion, Seq: 9, Hash: make([]byte, len(metastore.Hash{})), ClusterId: make([]byte, len(base.ClusterID{})),
		RegionNumber: 1, Epoch: int32(base.NextEpoch(1)), FeatureLevel: state.FeatureLevel,
	}
	for t := range topics {
		id := binary.BigEndian.AppendUint64(make([]byte, 8), uint64(t)+1)
		topic := &metalogpb.TopicState{TopicId: id, Name: fmt.Sprint("t", t), Visible: true, ReplicationFactor: 1}
		for p := range partitions {
			topic.Partitions = append(topic.Partitions, bigPartition(t*partitions+p, each))
		}
		m.Topics = append(m.Topics, topic)
	}
	for number := range spans/1_000 + 1 {
		m.Objects = append(m.Objects, &metalogpb.ObjectState{Session: 1<<60 + 1, Number: uint64(number), Size: 10 << 20, References: 1_000})
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func bigPartition(number, spans int) *metalogpb.PartitionState {
	const records, size = 10, 10 << 10
	p := &metalogpb.PartitionState{
		End: int64(spans) * records, LastStable: int64(spans) * records, Chain: make([]byte, len(base.Chain{})), MaxTimestampMs: 1_700_000_000_000,
		Epochs: []*metalogpb.EpochStart{{Epoch: 9}},
	}
	for i := range int64(spans) {
		p.Spans = append(p.Spans, &metalogpb.SpanState{
			BaseOffset: i * records, LastOffset: i*records + records - 1, MaxTimestampMs: 1_700_000_000_000 + i,
			Session: 1<<60 + 1, Number: uint64(i), Position: int64(number) * size, Length: size,
		})
	}
	return p
}

const benchSpans = 1_000_000

func perSpan(b *testing.B) {
	b.ReportAllocs()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchSpans, "ns/span")
}

// BenchmarkRestore is what a start does with a snapshot of a million spans once it is read and unpacked.
func BenchmarkRestore(b *testing.B) {
	payload := bigSnapshot(b, benchSpans)
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		if _, err := state.Restore(payload); err != nil {
			b.Fatal(err)
		}
	}
	perSpan(b)
}

// BenchmarkSnapshot is what a leader does for a snapshot of a million spans, before it is packed and stored.
func BenchmarkSnapshot(b *testing.B) {
	st, err := state.Restore(bigSnapshot(b, benchSpans))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		snapshot(b, st)
	}
	perSpan(b)
}

// BenchmarkClone is for how long a leader's replica applies nothing when a snapshot of a million spans begins.
func BenchmarkClone(b *testing.B) {
	st, err := state.Restore(bigSnapshot(b, benchSpans))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		st.Clone()
	}
	perSpan(b)
}
