package state_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// founded is a region with one topic of one partition, one session, and one commit of three records.
func founded(t *testing.T, number base.RegionNumber) (*region, base.TopicID, base.SessionID) {
	r := newRegion(t, number)
	id := r.create(rand.New(rand.NewPCG(uint64(number), 1)), "orders", 1)
	session := r.openSession(1)
	r.commitRecords(id, session, 3)
	r.land()
	return r, id, session
}

// commitRecords commits n records to partition 0 of a topic, of producer 5.
func (r *region) commitRecords(id base.TopicID, session base.SessionID, n int32) *metalogpb.BatchResult {
	r.t.Helper()
	tp := base.TopicPartition{Topic: id}
	sequence := int32(0)
	if p := r.st().Producer(tp, 5); p != nil {
		sequence = p.LastSequence() + 1
	}
	return r.commitBatch(id, session, n, sequence)
}

func (r *region) commitBatch(id base.TopicID, session base.SessionID, n, sequence int32) *metalogpb.BatchResult {
	r.t.Helper()
	number := uint64(r.st().Session(session).Floor) + 1
	digest := base.DigestOf([]byte{byte(session), byte(number), byte(n)})
	return r.commit(&metalogpb.CommitRequest{Session: uint64(session), Number: number, Size: 400, Extents: []*metalogpb.ExtentMeta{{
		TopicId: id[:], Position: 48, Length: 100, Batches: []*metalogpb.BatchMeta{{
			Length: 100, Records: n, ProducerId: 5, BaseSequence: sequence, MaxTimestampMs: r.now, Digest: digest[:],
		}},
	}}}).Extents[0].Batches[0]
}

// next makes the entry that follows a state, of events that the sequencer would never decide.
func next(t *testing.T, st *state.State, level uint32, messages ...proto.Message) state.Input {
	t.Helper()
	e := &metalogpb.Entry{Seq: uint64(st.Head().Seq) + 1, FeatureLevel: level, TimeMs: 1}
	if head := st.Head(); head.Seq > 0 {
		e.PrevHash = head.Hash[:]
	}
	for _, m := range messages {
		e.Events = append(e.Events, event(m))
	}
	return entryInput(t, e)
}

func entryInput(t *testing.T, e *metalogpb.Entry) state.Input {
	t.Helper()
	value, err := metastore.EncodeEntry(e)
	if err != nil {
		t.Fatal(err)
	}
	in, err := state.Decode(metastore.RawEntry{Seq: base.Seq(e.Seq), Value: value})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// S6: an entry is applied only behind the one that it names, and a refused one leaves the state as it was.
func TestOrder(t *testing.T) {
	r, _, _ := founded(t, 1)
	r.emit(&metalogpb.Tick{})
	r.land()
	st := state.New()
	apply := func(in state.Input) error {
		before := snapshot(t, st)
		_, err := st.Apply(in)
		if err != nil && !bytes.Equal(before, snapshot(t, st)) {
			t.Fatal("a refused entry changed the state")
		}
		return err
	}
	if err := apply(r.entries[1]); !errors.Is(err, metastore.ErrChain) {
		t.Fatalf("the second entry before the first: %v", err)
	}
	if err := apply(r.entries[0]); err != nil {
		t.Fatal(err)
	}
	if err := apply(r.entries[0]); !errors.Is(err, metastore.ErrChain) {
		t.Fatalf("an entry again: %v", err)
	}
	other := next(t, st, 1, &metalogpb.Tick{})
	if err := apply(other); err != nil {
		t.Fatal(err)
	}
	if err := apply(r.entries[1]); !errors.Is(err, metastore.ErrChain) {
		t.Fatalf("an entry of another history: %v", err)
	}
}

// A newer leader's entry halts with a message of its own kind: the log is not damaged, this build is old.
func TestNewerEntries(t *testing.T) {
	r, _, _ := founded(t, 1)
	if _, err := r.replica.Apply(next(t, r.replica, state.FeatureLevel+1, &metalogpb.Tick{})); !errors.Is(err, base.ErrVersion) {
		t.Errorf("a higher feature level: %v", err)
	}
	in := next(t, r.replica, 1)
	in.Entry.Events = []*metalogpb.Event{{}} // a kind that this build does not know decodes to none
	if _, err := r.replica.Apply(in); !errors.Is(err, base.ErrVersion) {
		t.Errorf("an unknown kind of event: %v", err)
	}
}

// span is the event of a commit of one run.
func span(session base.SessionID, number uint64, id base.TopicID, sc *metalogpb.SpanCommitted) *metalogpb.ObjectCommitted {
	if sc.Chain == nil {
		sc.Chain = make([]byte, 16)
	}
	return &metalogpb.ObjectCommitted{
		Session: uint64(session), Number: number, Topics: []*metalogpb.TopicExtents{{TopicId: id[:], Spans: []*metalogpb.SpanCommitted{sc}}},
	}
}

// S2, S5 and the like: what contradicts the state is refused as corrupt, by the replica and by the view.
func TestContradictions(t *testing.T) {
	r, id, session := founded(t, 1)
	fenced := r.openSession(2)
	r.emit(&metalogpb.SessionFenced{Session: uint64(fenced)})
	r.emit(&metalogpb.LinkCreated{Config: &metalogpb.LinkConfig{Name: "l", TopicFilters: include("")}, SourceClusterId: make([]byte, 16)})
	r.land()
	ghost := base.TopicID{9}
	for name, m := range map[string]proto.Message{
		"S2 a hole":                        span(session, 2, id, &metalogpb.SpanCommitted{BaseOffset: 4, LastOffset: 5}),
		"S2 an overlap":                    span(session, 2, id, &metalogpb.SpanCommitted{BaseOffset: 2, LastOffset: 5}),
		"S2 a run of no records":           span(session, 2, id, &metalogpb.SpanCommitted{BaseOffset: 3, LastOffset: 2}),
		"S3 a chain head of no length":     span(session, 2, id, &metalogpb.SpanCommitted{BaseOffset: 3, LastOffset: 3, Chain: []byte{1}}),
		"S5 a number again":                span(session, 1, id, &metalogpb.SpanCommitted{BaseOffset: 3, LastOffset: 3}),
		"S5 a fenced session":              span(fenced, 1, id, &metalogpb.SpanCommitted{BaseOffset: 3, LastOffset: 3}),
		"S5 a session that never was":      span(99, 1, id, &metalogpb.SpanCommitted{BaseOffset: 3, LastOffset: 3}),
		"S5 a session opened again":        &metalogpb.SessionOpened{Session: uint64(session), NodeId: 1},
		"S5 the fence of no session":       &metalogpb.SessionFenced{Session: 99},
		"a partition that is not there":    span(session, 2, id, &metalogpb.SpanCommitted{Partition: 1, LastOffset: 3}),
		"a negative partition":             span(session, 2, id, &metalogpb.SpanCommitted{Partition: -1, LastOffset: 3}),
		"a topic that is not there":        &metalogpb.TopicDeleted{TopicId: ghost[:]},
		"a topic id of three bytes":        &metalogpb.TopicDeleted{TopicId: []byte{1, 2, 3}},
		"a topic created again":            &metalogpb.TopicCreated{TopicId: id[:], Name: "x", Partitions: 1},
		"a topic of no partition":          &metalogpb.TopicCreated{TopicId: ghost[:], Name: "x"},
		"fewer partitions":                 &metalogpb.PartitionsAdded{TopicId: id[:], Partitions: 1},
		"a log start beyond the end":       &metalogpb.RecordsDeleted{TopicId: id[:], LogStart: 4},
		"a link created again":             &metalogpb.LinkCreated{Config: &metalogpb.LinkConfig{Name: "l"}, SourceClusterId: make([]byte, 16)},
		"a link that is not there":         &metalogpb.LinkPaused{Link: "x"},
		"a snapshot by a short hash":       &metalogpb.LinkAdopted{Link: "l", SnapshotBlob: []byte{1}},
		"a snapshot that was not loaded":   &metalogpb.LinkAdopted{Link: "l", SnapshotBlob: make([]byte, 32)},
		"a source's entry that is none":    &metalogpb.LinkApplied{Link: "l", Entry: []byte{1, 0, 255}},
		"a placement of no session":        &metalogpb.LinkPlaced{Link: "l", Session: 99},
		"a placement of a fenced session":  &metalogpb.LinkPlaced{Link: "l", Session: uint64(fenced)},
		"a fault of a topic not there":     &metalogpb.LinkTopicFaulted{Link: "l", TopicId: id[:]},
		"a flip to a lower epoch":          &metalogpb.RegionFlipped{Link: "l", Epoch: 1},
		"a flip to another region's epoch": &metalogpb.RegionFlipped{Link: "l", Epoch: 10},
		"a flip somewhere else":            &metalogpb.RegionFlipped{Link: "l", Epoch: 9, CutSeq: 3},
		"a cluster id of one byte":         &metalogpb.ClusterCreated{ClusterId: []byte{1}},
	} {
		for kind, st := range map[string]*state.State{"state": restored(t, r.replica), "view": restoredView(t, r.replica)} {
			if _, err := st.Apply(next(t, st, 1, m)); !errors.Is(err, base.ErrCorrupt) {
				t.Errorf("%s (%s): %v", name, kind, err)
			}
		}
	}
}

func restoredView(t *testing.T, st *state.State) *state.State {
	t.Helper()
	view, err := state.RestoreServing(snapshot(t, st))
	if err != nil {
		t.Fatal(err)
	}
	return view
}

// S5: a commit that names numbers as abandoned moves the floor past them, and what the agent has answered is forgotten.
func TestSessionFloor(t *testing.T) {
	r, id, session := founded(t, 1)
	digest := base.DigestOf(nil)
	r.commit(&metalogpb.CommitRequest{Session: uint64(session), Number: 5, Abandoned: []uint64{2, 3, 4}, ResolvedBelow: 2, Extents: []*metalogpb.ExtentMeta{{
		TopicId: id[:], Batches: []*metalogpb.BatchMeta{{Length: 100, Records: 2, ProducerId: -1, Digest: digest[:]}},
	}}})
	r.land()
	x := r.replica.Session(session)
	if x.Floor != 5 || x.Results[1] != nil || x.Results[5] == nil {
		t.Fatalf("session %+v", x)
	}
	if p := r.replica.Topic(id).Partition(0); p.End != 5 || len(p.Spans) != 2 || p.Spans[1].Base != 3 {
		t.Fatalf("partition %+v", p)
	}
}

// What a reader was given stays as it was, whatever is applied behind it.
func TestReadersKeepWhatTheyHave(t *testing.T) {
	r, id, session := founded(t, 1)
	held := r.replica.Topic(id).Partition(0)
	was := *held
	spans := append([]state.Span(nil), held.Spans...)
	for range 3 {
		r.commitRecords(id, session, 2)
	}
	r.emit(&metalogpb.RecordsDeleted{TopicId: id[:], LogStart: 4})
	r.emit(&metalogpb.TopicDeleted{TopicId: id[:]})
	r.land()
	if held.End != was.End || held.LogStart != 0 || len(held.Spans) != 1 || held.Spans[0] != spans[0] {
		t.Fatalf("a partition in a reader's hands became %+v", held)
	}
}

// An object's references are the spans that lie in it, so that a collector may rely on them.
func TestObjectReferences(t *testing.T) {
	r, id, session := founded(t, 1)
	r.commitRecords(id, session, 2)
	object := func(n base.ObjectNumber) int64 {
		return r.replica.Object(base.ObjectID{Session: session, Number: n}).References
	}
	r.land()
	if object(1) != 1 || object(2) != 1 {
		t.Fatalf("references %d and %d", object(1), object(2))
	}
	r.emit(&metalogpb.RecordsDeleted{TopicId: id[:], LogStart: 3})
	r.land()
	if object(1) != 0 || object(2) != 1 {
		t.Fatalf("after the first three records went: %d and %d", object(1), object(2))
	}
	r.emit(&metalogpb.TopicDeleted{TopicId: id[:]})
	r.land()
	if object(2) != 0 {
		t.Fatalf("after the topic went: %d", object(2))
	}
}
