package state_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/golden"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// specimen has one of everything that a snapshot can hold: a link with its image, one that has failed over, and what B has of
// its own since.
func specimen(t *testing.T) *region {
	a, id, session := founded(t, 1)
	b := newRegion(t, 2)
	p := newPair(a, b, &metalogpb.LinkConfig{
		Name: "a-to-b", Coordinators: []string{"http://a:9644"}, EtcdEndpoints: []string{"http://a:2379"}, Bucket: "s3://a",
		CredentialFiles: map[string]string{"etcd_password_file": "/run/etcd", "bucket_credentials_file": "/run/bucket"},
	})
	a.emit(&metalogpb.GroupChanged{
		Group: "g", ProtocolType: "consumer", Generation: 2, Protocol: "range", Leader: "m",
		Members: []*metalogpb.GroupMember{{MemberId: "m", ClientId: "c", ClientHost: "h", SessionTimeoutMs: 45_000, Assignment: []byte{1}}},
	})
	a.emit(&metalogpb.OffsetsCommitted{Group: "g", Offsets: []*metalogpb.CommittedOffset{{TopicId: id[:], Offset: 2, LeaderEpoch: 1, Metadata: "m"}}})
	p.sync(nil)
	b.emit(&metalogpb.RegionFlipped{Link: "a-to-b", Epoch: 10, CutSeq: uint64(a.replica.Head().Seq), CutTimeMs: 1_000, SourceSeq: 9, SourceTimeMs: 2_000})
	mine := b.openSession(1001)
	b.commitRecords(id, mine, 2)
	a.commitRecords(id, session, 1)
	cluster := base.ClusterID{4}
	b.emit(&metalogpb.LinkCreated{Config: &metalogpb.LinkConfig{Name: "d-to-b", TopicFilters: include("d")}, SourceClusterId: cluster[:], SourceRegionNumber: 4})
	b.emit(&metalogpb.LinkPaused{Link: "d-to-b", Paused: true})
	b.emit(&metalogpb.LinkFaulted{Link: "d-to-b", Reason: "set back"})
	b.land()
	return b
}

// TestGoldenSnapshot pins the bytes of snapshot version 1: they are in buckets, and two builds that apply the same log must
// agree on them, or every digest differs.
func TestGoldenSnapshot(t *testing.T) {
	payload := snapshot(t, specimen(t).replica)
	d := golden.NewDump(payload)
	d.Title("Snapshot")
	d.Message((&metalogpb.Snapshot{}).ProtoReflect().Descriptor())
	golden.Compare(t, filepath.Join("testdata", fmt.Sprintf("v%d", state.SnapshotVersion), "snapshot.hex"), d.String())
}

// What an earlier build wrote is restored, and comes out as it was.
func TestGoldenSnapshotIsReadable(t *testing.T) {
	payload := golden.Read(t, filepath.Join("testdata", "v1", "snapshot.hex"))
	st, err := state.Restore(payload)
	if err != nil || !bytes.Equal(snapshot(t, st), payload) {
		t.Fatalf("restored with %v, and its own snapshot is the same: %v", err, bytes.Equal(snapshot(t, st), payload))
	}
	sameView(t, "what the file holds", specimen(t).replica, st)
}

// asGenerated fails unless a snapshot's bytes are those that the generated code makes of its message.
func asGenerated(t testing.TB, payload []byte) {
	t.Helper()
	var m metalogpb.Snapshot
	if err := proto.Unmarshal(payload, &m); err != nil {
		t.Fatal(err)
	}
	if want, err := (proto.MarshalOptions{Deterministic: true}).Marshal(&m); err != nil || !bytes.Equal(payload, want) {
		t.Fatalf("a snapshot has other bytes than the generated code gives it (%v):\n%x\n%x", err, payload, want)
	}
}

// The bytes of a snapshot are those of the generated code, whatever numbers spans have, in an image too.
func TestEncoderAgrees(t *testing.T) {
	var m metalogpb.Snapshot
	if err := proto.Unmarshal(golden.Read(t, filepath.Join("testdata", "v1", "snapshot.hex")), &m); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	number := func() int64 {
		return []int64{0, 1, 127, 128, -1, math.MaxInt64, math.MinInt64, rng.Int64() >> rng.IntN(64)}[rng.IntN(8)]
	}
	image := m.Links[len(m.Links)-1].Image
	image.Topics = append(image.Topics, proto.CloneOf(m.Topics[0]))
	for range 200 {
		for _, topic := range []*metalogpb.TopicState{m.Topics[0], image.Topics[0]} {
			p := topic.Partitions[0]
			p.Spans = nil
			for range rng.IntN(5) {
				p.Spans = append(p.Spans, &metalogpb.SpanState{
					BaseOffset: number(), LastOffset: number(), MaxTimestampMs: number(), Session: uint64(number()), Number: uint64(number()),
					Position: number(), Length: number(), Residency: int32(number()),
				})
			}
		}
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		st, err := state.Restore(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := snapshot(t, st); !bytes.Equal(got, want) {
			t.Fatalf("restored from\n%x, saved as\n%x", want, got)
		}
	}
}
