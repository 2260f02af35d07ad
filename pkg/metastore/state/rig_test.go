package state_test

import (
	"bytes"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// region is a sequencer that decides events, the log of what it decided, a replica and a serving view that follow the log.
type region struct {
	t       *testing.T
	seq     *coordinator.Sequencer
	replica *state.State
	clone   *state.State // of the replica, as it was some entries ago
	view    *state.State
	now     int64
	entries []state.Input
	blobs   map[metastore.Hash][]byte
	logical [][]byte // after each entry, by seq: the state without residency
	commits map[base.SessionID][]committed
}

// committed is a commit and what it was answered.
type committed struct {
	req *metalogpb.CommitRequest
	res *metalogpb.CommitResult
}

// newRegion founds a region of that number.
func newRegion(t *testing.T, number base.RegionNumber) *region {
	r := &region{
		t: t, seq: coordinator.NewSequencer(state.New(), []byte{byte(number)}), replica: state.New(), view: state.NewServing(), now: 1_000,
		blobs: map[metastore.Hash][]byte{}, commits: map[base.SessionID][]committed{},
	}
	r.seq.SetLimits(coordinator.Limits{Producers: 10}) // so that some are forgotten
	r.logical = [][]byte{logical(t, r.replica)}
	cluster := base.ClusterID{byte(number)}
	r.emit(&metalogpb.ClusterCreated{
		ClusterId: cluster[:], KafkaClusterId: "pair", RegionNumber: int32(number), RegionName: string(rune('a' - 1 + number)), Epoch: int32(number),
	})
	return r
}

// st is the working state.
func (r *region) st() *state.State { return r.seq.State() }

// emit decides one event.
func (r *region) emit(message proto.Message, blobs ...[]byte) {
	r.t.Helper()
	if err := r.tryEmit(message, blobs...); err != nil {
		r.t.Fatalf("%T: %v", message, err)
	}
}

func (r *region) tryEmit(message proto.Message, blobs ...[]byte) error {
	for _, b := range blobs {
		r.blobs[metastore.HashOf(b)] = b
	}
	return r.seq.Emit(r.now, event(message), blobs...)
}

// event wraps an event's message.
func event(message proto.Message) *metalogpb.Event {
	ev := &metalogpb.Event{}
	fields := ev.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); f.Message() == message.ProtoReflect().Descriptor() {
			ev.ProtoReflect().Set(f, protoreflect.ValueOfMessage(message.ProtoReflect()))
			return ev
		}
	}
	panic("no event of that kind")
}

// land closes what was decided and applies it. The replica must come to the bytes of the working state, the view to what a
// reader sees of them (S1).
func (r *region) land() {
	r.t.Helper()
	if r.clone == nil || len(r.entries)%5 == 0 {
		r.clone = r.replica.Clone()
	}
	for r.seq.Pending() {
		value, _, before, err := r.seq.Next()
		if err != nil {
			r.t.Fatal(err)
		}
		in := r.input(before.Seq+1, value)
		r.entries = append(r.entries, in)
		for _, st := range []*state.State{r.clone, r.replica, r.view} { // the clone first, as a leader goes before the replica that it began from
			if _, err := st.Apply(in); err != nil {
				r.t.Fatal(err)
			}
		}
		r.logical = append(r.logical, logical(r.t, r.replica))
	}
	if !bytes.Equal(snapshot(r.t, r.replica), snapshot(r.t, r.st())) {
		r.t.Fatalf("at seq %d the replica differs from the working state", r.replica.Head().Seq)
	}
	if !bytes.Equal(snapshot(r.t, r.clone), snapshot(r.t, r.st())) {
		r.t.Fatalf("at seq %d the clone differs from the working state", r.clone.Head().Seq)
	}
	sameCounts(r.t, r.clone, r.replica)
	sameView(r.t, "the serving view", r.replica, r.view)
	sameCounts(r.t, restored(r.t, r.replica), r.replica)
}

func (r *region) input(seq base.Seq, value []byte) state.Input {
	r.t.Helper()
	in, err := state.Decode(metastore.RawEntry{Seq: seq, Value: value})
	if err != nil {
		r.t.Fatal(err)
	}
	in.Blobs = map[metastore.Hash][]byte{}
	for _, h := range in.Entry.Blobs {
		in.Blobs[metastore.Hash(h)] = r.blobs[metastore.Hash(h)]
	}
	return in
}

func snapshot(t testing.TB, st *state.State) []byte {
	t.Helper()
	b, err := st.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// logical is a snapshot without what a region has for itself: where bytes lie, what of an image is shown, the incarnation.
func logical(t testing.TB, st *state.State) []byte {
	t.Helper()
	var m metalogpb.Snapshot
	if err := proto.Unmarshal(snapshot(t, st), &m); err != nil {
		t.Fatal(err)
	}
	for _, topic := range m.Topics {
		topic.Visible, topic.Fault = true, ""
	}
	stripPlaces(&m)
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(&m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func stripPlaces(m *metalogpb.Snapshot) {
	m.Objects, m.Incarnation = nil, ""
	for _, topic := range m.Topics {
		for _, p := range topic.Partitions {
			for _, sp := range p.Spans {
				sp.Session, sp.Number, sp.Position, sp.Residency = 0, 0, 0, 0
			}
		}
	}
	for _, l := range m.Links {
		stripPlaces(l.Image)
	}
}

// sameView holds what readers see of two states against each other: topics by name and by id, their partitions, links.
func sameView(t testing.TB, what string, want, got *state.State) {
	t.Helper()
	if !reflect.DeepEqual(want.Region(), got.Region()) {
		t.Fatalf("%s: region %+v, want %+v", what, got.Region(), want.Region())
	}
	shown, has := want.ShowAll(), got.ShowAll()
	if len(shown) != len(has) || len(want.Links()) != len(got.Links()) {
		t.Fatalf("%s: %d topics, %d links, want %d, %d", what, len(has), len(got.Links()), len(shown), len(want.Links()))
	}
	for i, w := range shown {
		sameTopic(t, what, want, got, w, has[i])
		byName, ok := got.ShowByName(w.Info().Name)
		other, found := want.ShowByName(w.Info().Name)
		if ok != found || ok && byName.Info().ID != other.Info().ID {
			t.Fatalf("%s: topic %q is found by its name: %v, want %v", what, w.Info().Name, ok, found)
		}
	}
	for i, l := range want.Links() {
		if !reflect.DeepEqual(l.Info().Position, got.Links()[i].Info().Position) || l.Active() != got.Links()[i].Active() {
			t.Fatalf("%s: link %+v, want %+v", what, got.Links()[i].Info(), l.Info())
		}
		sameView(t, what+", image of "+l.Name(), l.Image(), got.Links()[i].Image())
	}
}

func sameTopic(t testing.TB, what string, want, got *state.State, x, y state.Shadowed) {
	t.Helper()
	if len(x.Info().Configs) == 0 && len(y.Info().Configs) == 0 { // nil or empty is the same
		x.Info().Configs, y.Info().Configs = nil, nil
	}
	if !reflect.DeepEqual(x.Info(), y.Info()) || x.Partitions() != y.Partitions() || want.Epoch(x) != got.Epoch(y) || x.Writable() != y.Writable() {
		t.Fatalf("%s: topic %+v, want %+v", what, y.Info(), x.Info())
	}
	for i := range x.Partitions() {
		p, q := *x.Partition(i), *y.Partition(i)
		if len(p.Spans) == 0 && len(q.Spans) == 0 {
			p.Spans, q.Spans = nil, nil
		}
		if !reflect.DeepEqual(p, q) {
			t.Fatalf("%s: partition %s-%d %+v, want %+v", what, x.Info().Name, i, q, p)
		}
	}
}

// restored is the state that comes out of a snapshot.
func restored(t testing.TB, st *state.State) *state.State {
	t.Helper()
	out, err := state.Restore(snapshot(t, st))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sameCounts: a state that has come all the way counts what one does that was restored, from the start; and so do images.
func sameCounts(t testing.TB, want, got *state.State) {
	t.Helper()
	if want.Counts() != got.Counts() {
		t.Fatalf("counts %+v, want %+v", got.Counts(), want.Counts())
	}
	for i, l := range want.Links() {
		sameCounts(t, l.Image(), got.Links()[i].Image())
	}
}
