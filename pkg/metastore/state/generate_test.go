package state_test

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// step decides one random event that a correct leader might.
func (r *region) step(rng *rand.Rand) {
	r.t.Helper()
	r.now += rng.Int64N(50)
	topics := r.st().Topics()
	if len(topics) == 0 {
		r.createTopic(rng)
		return
	}
	topic := topics[rng.IntN(len(topics))]
	id := topic.Info().ID
	switch rng.IntN(25) {
	case 24:
		if rng.IntN(8) == 0 {
			r.beginIncarnation(rng)
		}
	case 0:
		r.createTopic(rng)
	case 1:
		r.emit(&metalogpb.TopicDeleted{TopicId: id[:]})
	case 2:
		r.emit(&metalogpb.PartitionsAdded{TopicId: id[:], Partitions: topic.Partitions() + 1})
	case 3:
		r.emit(&metalogpb.TopicConfigChanged{
			TopicId: id[:], Set: []*metalogpb.ConfigEntry{{Name: "retention.ms", Value: fmt.Sprint(rng.IntN(9))}}, Remove: []string{"cleanup.policy"},
		})
	case 4:
		p := rng.Int32N(topic.Partitions())
		r.emit(&metalogpb.RecordsDeleted{TopicId: id[:], Partition: p, LogStart: rng.Int64N(int64(topic.Partition(p).End) + 1)})
	case 5:
		r.openSession(1 + rng.Int32N(3))
	case 6:
		r.emit(&metalogpb.ProducersExpired{LastWriteBeforeMs: r.now - rng.Int64N(2000)})
	case 7:
		r.emit(&metalogpb.ProducerIdsAllocated{Next: r.st().NextProducerID() + 10})
	case 8:
		r.emit(&metalogpb.Tick{})
	case 9, 10, 11, 12:
		r.stepGroup(rng, topic)
	default:
		r.commitRandom(rng)
	}
}

// beginIncarnation is a restore, with or without a new epoch, and at times the release of what it held.
func (r *region) beginIncarnation(rng *rand.Rand) {
	r.t.Helper()
	st := r.st()
	ev := &metalogpb.IncarnationBegun{Incarnation: fmt.Sprint("i", len(st.Restores())), Parent: "p", Epoch: int32(st.Region().Epoch)}
	if rng.IntN(2) == 0 {
		ev.NextProducerId, ev.FirstSession = st.NextProducerID()+100, uint64(st.NextSession())+100
	} else {
		ev.Epoch = int32(base.NextEpoch(st.Region().Number, st.Region().Epoch))
		ev.FirstSession = uint64(base.StripedID(base.Epoch(ev.Epoch), 1))
	}
	r.emit(ev)
	if rng.IntN(2) == 0 {
		r.emit(&metalogpb.QuarantineReleased{Incarnation: ev.Incarnation})
	}
}

func (r *region) createTopic(rng *rand.Rand) base.TopicID {
	region := r.st().Region()
	name := fmt.Sprintf("%s-%d", region.Name, rng.IntN(12))
	if t := r.st().TopicByName(name); t != nil {
		return t.Info().ID
	}
	return r.create(rng, name, 1+rng.Int32N(3))
}

func (r *region) create(rng *rand.Rand, name string, partitions int32) base.TopicID {
	r.t.Helper()
	var id base.TopicID
	for i := range id {
		id[i] = byte(rng.Uint32())
	}
	r.emit(&metalogpb.TopicCreated{
		TopicId: id[:], Name: name, Partitions: partitions, ReplicationFactor: 3,
		Configs: []*metalogpb.ConfigEntry{{Name: "cleanup.policy", Value: "delete"}},
	})
	return id
}

func (r *region) openSession(node int32) base.SessionID {
	r.t.Helper()
	id, err := r.seq.OpenSession(r.now, node, "")
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func (r *region) stepGroup(rng *rand.Rand, topic *state.Topic) {
	group, id := fmt.Sprintf("g%d", rng.IntN(3)), topic.Info().ID
	p := rng.Int32N(topic.Partitions())
	switch rng.IntN(5) {
	case 0:
		r.emit(&metalogpb.GroupDeleted{Group: group})
	case 1:
		r.emit(&metalogpb.OffsetsDeleted{Group: group, Partitions: []*metalogpb.PartitionRef{{TopicId: id[:], Partition: p}}})
	case 2:
		r.emit(&metalogpb.GroupChanged{
			Group: group, ProtocolType: "consumer", Generation: rng.Int32N(9), Protocol: "range", Leader: "m1",
			Members: []*metalogpb.GroupMember{{MemberId: "m1", ClientId: "c", Protocols: []*metalogpb.GroupProtocol{{Name: "range", Metadata: []byte{1}}}}},
		})
	default:
		r.emit(&metalogpb.OffsetsCommitted{Group: group, Offsets: []*metalogpb.CommittedOffset{{
			TopicId: id[:], Partition: p, Offset: rng.Int64N(int64(topic.Partition(p).End) + 1), LeaderEpoch: -1, Metadata: "m"[rng.IntN(2):], RetentionMs: rng.Int64N(3),
		}}})
	}
}

// commitRandom commits an object of one to three extents under an open session, or sends an earlier commit again.
func (r *region) commitRandom(rng *rand.Rand) {
	r.t.Helper()
	session := r.session()
	done := r.commits[session]
	if len(done) > 0 && rng.IntN(6) == 0 {
		r.retry(done[rng.IntN(len(done))])
		return
	}
	req := &metalogpb.CommitRequest{Session: uint64(session), Number: uint64(r.st().Session(session).Floor) + 1, Size: 1000 + rng.Int64N(1000)}
	if rng.IntN(8) == 0 {
		req.Abandoned = []uint64{req.Number}
		req.Number++
	}
	position := int64(48)
	topics := r.st().Topics()
	for _, i := range rng.Perm(len(topics))[:min(len(topics), 1+rng.IntN(3))] {
		id := topics[i].Info().ID
		e := &metalogpb.ExtentMeta{TopicId: id[:], Partition: rng.Int32N(topics[i].Partitions()), Position: position}
		for range 1 + rng.IntN(3) {
			b := r.batch(rng, base.TopicPartition{Topic: id, Partition: e.Partition})
			e.Batches = append(e.Batches, b)
			e.Length += int64(b.Length)
		}
		position += e.Length
		req.Extents = append(req.Extents, e)
	}
	r.commit(req)
}

// session is an open session of an agent.
func (r *region) session() base.SessionID {
	for _, x := range r.st().Sessions() {
		if !x.Fenced && x.NodeID > 0 && base.EpochOfID(int64(x.ID)) == r.st().Region().Epoch {
			return x.ID
		}
	}
	return r.openSession(1)
}

func (r *region) commit(req *metalogpb.CommitRequest) *metalogpb.CommitResult {
	r.t.Helper()
	res, err := r.seq.Commit(r.now, req)
	if err != nil {
		r.t.Fatal(err)
	}
	id := base.SessionID(req.Session)
	r.commits[id] = append(r.commits[id], committed{req, res})
	return res
}

// retry sends a commit again: it must be answered as it was, by the state alone (S5). Log starts may have moved.
func (r *region) retry(c committed) {
	r.t.Helper()
	before := r.seq.Mark()
	res, err := r.seq.Commit(r.now, c.req)
	if err != nil {
		r.t.Fatal(err)
	}
	for i, e := range res.Extents {
		if !slices.EqualFunc(e.Batches, c.res.Extents[i].Batches, func(x, y *metalogpb.BatchResult) bool { return proto.Equal(x, y) }) {
			r.t.Fatalf("commit %d again got %v, at first %v", c.req.Number, e.Batches, c.res.Extents[i].Batches)
		}
	}
	if r.seq.Mark() != before {
		r.t.Fatal("a retry was entered into the log")
	}
}

// batch continues, repeats or breaks a producer's sequence, or has no producer.
func (r *region) batch(rng *rand.Rand, tp base.TopicPartition) *metalogpb.BatchMeta {
	digest := base.DigestOf([]byte(fmt.Sprint(rng.Uint64())))
	b := &metalogpb.BatchMeta{
		Length: 61 + rng.Int32N(500), Records: 1 + rng.Int32N(5), ProducerId: -1, BaseSequence: -1, MaxTimestampMs: r.now - rng.Int64N(100), Digest: digest[:],
	}
	if rng.IntN(3) == 0 {
		return b
	}
	b.ProducerId = base.StripedID(r.st().Region().Epoch, 1+rng.Uint64N(3))
	b.BaseSequence = 0
	p := r.st().Producer(tp, b.ProducerId)
	if p == nil {
		return b
	}
	b.ProducerEpoch, b.BaseSequence = int32(p.Epoch), p.LastSequence()+1
	switch rng.IntN(8) {
	case 0: // the last batch again
		last := p.Batches[len(p.Batches)-1]
		b.BaseSequence, b.Records = last.BaseSequence, last.LastOffsetDelta+1
	case 1: // a gap
		b.BaseSequence += 7
	case 2: // the producer starts anew
		b.ProducerEpoch, b.BaseSequence = b.ProducerEpoch+1, 0
	}
	return b
}
