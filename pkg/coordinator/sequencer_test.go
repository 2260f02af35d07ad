package coordinator

import (
	"errors"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/twmb/franz-go/pkg/kerr"
)

// bench is a sequencer with one topic of one partition, and a replica that gets its entries.
type bench struct {
	t       *testing.T
	seq     *Sequencer
	replica *state.State
	topic   base.TopicID
	session base.SessionID
	n       uint64
	now     int64
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, seq: NewSequencer(state.New(), []byte("nonce")), replica: state.New(), topic: base.TopicID{1}, now: 1000}
	cluster := base.ClusterID{7}
	b.emit(&metalogpb.Event{Kind: &metalogpb.Event_ClusterCreated{ClusterCreated: &metalogpb.ClusterCreated{
		ClusterId: cluster[:], KafkaClusterId: "k", RegionNumber: 1, RegionName: "a", Epoch: 1,
	}}})
	b.emit(&metalogpb.Event{Kind: &metalogpb.Event_TopicCreated{TopicCreated: &metalogpb.TopicCreated{
		TopicId: b.topic[:], Name: "t", Partitions: 1, ReplicationFactor: 3,
	}}})
	var err error
	if b.session, err = b.seq.OpenSession(b.now, 1, ""); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) emit(ev *metalogpb.Event) {
	b.t.Helper()
	if err := b.seq.Emit(b.now, ev); err != nil {
		b.t.Fatal(err)
	}
}

// confirm lets the log have everything, and checks that a replica comes to the same state.
func (b *bench) confirm() {
	b.t.Helper()
	for b.seq.Pending() {
		value, _, before, err := b.seq.Next()
		if err != nil {
			b.t.Fatal(err)
		}
		in, err := state.Decode(metastore.RawEntry{Seq: before.Seq + 1, Value: value})
		if err != nil {
			b.t.Fatal(err)
		}
		if _, err := b.replica.Apply(in); err != nil {
			b.t.Fatal(err)
		}
	}
	mine, err1 := b.seq.State().Digest()
	its, err2 := b.replica.Digest()
	if err1 != nil || err2 != nil || mine != its {
		b.t.Fatalf("the replica's state differs from the working state (%v, %v)", err1, err2)
	}
}

// batchOf is a batch of n records of producer 5.
func batchOf(epoch, sequence, n int32) *metalogpb.BatchMeta {
	digest := base.DigestOf([]byte{byte(epoch), byte(sequence), byte(n)})
	return &metalogpb.BatchMeta{Length: 100, Records: n, ProducerId: 5, ProducerEpoch: epoch, BaseSequence: sequence, Digest: digest[:]}
}

func (b *bench) request(batches ...*metalogpb.BatchMeta) *metalogpb.CommitRequest {
	b.n++
	return &metalogpb.CommitRequest{Session: uint64(b.session), Number: b.n, Size: 1000, Extents: []*metalogpb.ExtentMeta{{
		TopicId: b.topic[:], Partition: 0, Position: 48, Length: int64(100 * len(batches)), Batches: batches,
	}}}
}

func (b *bench) commit(batches ...*metalogpb.BatchMeta) []*metalogpb.BatchResult {
	b.t.Helper()
	res, err := b.seq.Commit(b.now, b.request(batches...))
	if err != nil {
		b.t.Fatal(err)
	}
	return res.Extents[0].Batches
}

func expect(t *testing.T, got *metalogpb.BatchResult, code *kerr.Error, offset int64, duplicate bool) {
	t.Helper()
	want := int32(0)
	if code != nil {
		want = int32(code.Code)
	}
	if got.ErrorCode != want || got.BaseOffset != offset || got.Duplicate != duplicate {
		t.Fatalf("result %v, want code %d, offset %d, duplicate %v", got, want, offset, duplicate)
	}
}

// C5: Kafka's rules for idempotent producers, one after the other and within one object.
func TestIdempotence(t *testing.T) {
	b := newBench(t)
	r := b.commit(batchOf(0, 0, 10), batchOf(0, 10, 5), batchOf(0, 0, 10), batchOf(0, 16, 1), batchOf(0, 15, 1))
	expect(t, r[0], nil, 0, false)
	expect(t, r[1], nil, 10, false)
	expect(t, r[2], nil, 0, true)
	expect(t, r[3], kerr.OutOfOrderSequenceNumber, -1, false)
	expect(t, r[4], nil, 15, false)
	b.confirm()
	for i := range int32(5) { // pushes sequence 0 out of the last five
		expect(t, b.commit(batchOf(0, 16+i, 1))[0], nil, int64(16+i), false)
	}
	expect(t, b.commit(batchOf(0, 16, 1))[0], nil, 16, true)
	expect(t, b.commit(batchOf(0, 0, 10))[0], kerr.OutOfOrderSequenceNumber, -1, false)
	expect(t, b.commit(batchOf(1, 3, 1))[0], kerr.OutOfOrderSequenceNumber, -1, false)
	expect(t, b.commit(batchOf(1, 0, 1))[0], nil, 21, false)
	expect(t, b.commit(batchOf(0, 21, 1))[0], kerr.InvalidProducerEpoch, -1, false)
	b.confirm()
	if p := b.replica.Topic(b.topic).Partition(0); p.End != 22 || len(p.Epochs) != 1 {
		t.Fatalf("partition %+v", p)
	}
}

func TestSequenceWraps(t *testing.T) {
	b := newBench(t)
	b.commit(batchOf(0, 1<<31-2, 2)) // an unknown producer may start anywhere
	expect(t, b.commit(batchOf(0, 0, 1))[0], nil, 2, false)
}

// S5: a retry gets what the first call got, also after a change of the leader; an abandoned or foreign number does not.
func TestCommitRetry(t *testing.T) {
	b := newBench(t)
	req := b.request(batchOf(0, 0, 3), batchOf(0, 9, 1), batchOf(0, 3, 2))
	first, err := b.seq.Commit(b.now, req)
	if err != nil {
		t.Fatal(err)
	}
	b.confirm()
	b.seq = NewSequencer(b.replica, []byte("next")) // the next leader
	b.replica = b.replica.Clone()
	again, err := b.seq.Commit(b.now, req)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range first.Extents[0].Batches {
		expect(t, again.Extents[0].Batches[i], kerr.TypedErrorForCode(int16(r.ErrorCode)), r.BaseOffset, r.Duplicate)
	}
	if b.seq.Pending() {
		t.Fatal("a retry was entered into the log")
	}
	b.n++ // a number that nobody says is abandoned
	if _, err := b.seq.Commit(b.now, b.request(batchOf(0, 5, 1))); !errors.Is(err, base.ErrUnavailable) {
		t.Fatalf("a gap in the numbers: %v", err)
	}
	req = b.request(batchOf(0, 5, 1))
	req.Abandoned, req.ResolvedBelow = []uint64{2, 3}, 2
	if _, err := b.seq.Commit(b.now, req); err != nil {
		t.Fatal(err)
	}
	req.Number = 3
	if _, err := b.seq.Commit(b.now, req); !errors.Is(err, base.ErrFenced) {
		t.Fatalf("commit of an abandoned number: %v", err)
	}
	b.confirm()
}

// A session that is opened again by the same agent ends the one before.
func TestSessionFenced(t *testing.T) {
	b := newBench(t)
	late := b.request(batchOf(0, 0, 1))
	if _, err := b.seq.OpenSession(b.now, 1, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := b.seq.Commit(b.now, late); !errors.Is(err, base.ErrFenced) {
		t.Fatalf("commit of a fenced session: %v", err)
	}
	b.confirm()
}
