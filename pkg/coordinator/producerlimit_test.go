package coordinator

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// of makes a batch of another producer than batchOf's.
func of(producer int64, sequence int32) *metalogpb.BatchMeta {
	b := batchOf(0, sequence, 1)
	b.ProducerId = producer
	return b
}

// later lets the log confirm what was decided, and time pass: the next entry has a later time.
func (b *bench) later() {
	b.t.Helper()
	b.confirm()
	b.now++
}

// Beyond the limit the longest silent producers are forgotten, a tenth at a time. Those that stay are judged as before, by
// the next leader too; those that went are unknown, as in Kafka.
func TestProducersForgotten(t *testing.T) {
	b := newBench(t)
	b.seq.SetLimits(Limits{Producers: 20})
	var offsets []int64
	for id := range int64(20) {
		b.later()
		offsets = append(offsets, b.commit(of(id, 0))[0].BaseOffset)
	}
	b.later()
	b.commit(of(0, 1)) // the oldest writes once more
	if n := b.seq.State().Counts().Producers; n != 20 {
		t.Fatalf("at the limit %d producers are known, want 20", n)
	}
	b.later()
	b.commit(of(20, 0))
	b.confirm()
	if n := b.seq.State().Counts().Producers; n != 18 || b.seq.forgotten != 3 {
		t.Fatalf("%d producers are known and %d forgotten, want 18 and 3", n, b.seq.forgotten)
	}

	b.seq = NewSequencer(b.replica.Clone(), []byte("next"))
	b.seq.SetLimits(Limits{Producers: 20})
	expect(t, b.commit(of(0, 1))[0], nil, 20, true)
	for id := int64(4); id < 20; id++ {
		expect(t, b.commit(of(id, 0))[0], nil, offsets[id], true)
		expect(t, b.commit(of(id, 7))[0], kerr.OutOfOrderSequenceNumber, -1, false)
	}
	expect(t, b.commit(of(1, 7))[0], nil, 22, false) // at any sequence
	expect(t, b.commit(of(1, 7))[0], nil, 22, true)  // and known again
	expect(t, b.commit(of(2, 0))[0], nil, 23, false) // what the documentation says to be at risk: written a second time
	b.confirm()
}

// A leader that died between the commit and what was to be forgotten for it leaves that to the next one. Writers of the last
// entry stay.
func TestNextLeaderForgets(t *testing.T) {
	b := newBench(t)
	for id := range int64(30) {
		if id < 20 {
			b.later()
		}
		b.commit(of(id, 0))
	}
	b.confirm()
	b.seq = NewSequencer(b.replica.Clone(), []byte("next"))
	b.seq.SetLimits(Limits{Producers: 8})
	b.commit(of(29, 1)) // in an entry of the same time
	if n := b.seq.State().Counts().Producers; n != 11 {
		t.Fatalf("%d producers are known, want the 11 that wrote last, in one entry", n)
	}
	b.later()
	b.commit(of(30, 0))
	if n := b.seq.State().Counts().Producers; n != 1 {
		t.Fatalf("%d producers are known, want the last one: those of one entry go together", n)
	}
	b.confirm()
}

// A topic takes what its partitions remember along, and a state that is restored counts as the one that was saved.
func TestProducersCounted(t *testing.T) {
	b := newBench(t)
	for id := range int64(5) {
		b.commit(of(id, 0), of(id, 1))
	}
	b.confirm()
	for name, st := range map[string]*state.State{"working": b.seq.State(), "restored": b.replica.Clone()} {
		if n := st.Counts().Producers; n != 5 {
			t.Errorf("the %s state counts %d producers, want 5", name, n)
		}
	}
	b.emit(&metalogpb.Event{Kind: &metalogpb.Event_TopicDeleted{TopicDeleted: &metalogpb.TopicDeleted{TopicId: b.topic[:]}}})
	b.confirm()
	if n := b.replica.Counts().Producers; n != 0 {
		t.Errorf("%d producers are counted of no topic", n)
	}
}
