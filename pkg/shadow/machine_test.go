package shadow

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

func noFloor([]*metalogpb.Placement) uint64 { return 0 }

// offerAll offers what the machine lacks, and returns the copies that are asked for.
func offerAll(t *testing.T, m *Machine, src *region) []CopyJob {
	t.Helper()
	var jobs []CopyJob
	for _, raw := range src.entries[m.Next()-1:] {
		more, err := m.Offer(raw)
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, more...)
	}
	return jobs
}

// seqs are the seqs of the source's entries that events carry.
func seqs(t *testing.T, events []*metalogpb.Event) []base.Seq {
	t.Helper()
	var out []base.Seq
	for _, ev := range events {
		e, err := metastore.DecodeEntry(ev.GetLinkApplied().Entry)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, base.Seq(e.Seq))
	}
	return out
}

func machine(t *testing.T, prefix string) (a, b *region, m *Machine) {
	a, b = newRegion(t, 1), newRegion(t, 2)
	l := b.shadow(a, prefix)
	return a, b, NewMachine(l, b.openSession())
}

// L1: whatever order copies end in, entries come out in the source's order, each only once all its bytes are here.
func TestOneCut(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		a, b, m := machine(t, "*")
		a.topic("x")
		a.topic("y")
		for range 10 {
			a.produce(to{"x", 0, 2, 'a'}, to{"y", rng.Int32N(2), 1, 'b'})
			a.emit(&metalogpb.Event{Kind: &metalogpb.Event_Tick{Tick: &metalogpb.Tick{}}})
		}
		jobs := offerAll(t, m, a)
		if len(jobs) != 10 {
			t.Fatalf("%d copies for 10 objects", len(jobs))
		}
		here, number := map[base.ObjectID]bool{}, uint64(0)
		rng.Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })
		for len(jobs) > 0 || m.Queued() > 0 {
			if len(jobs) > 0 {
				number++
				here[jobs[0].Object] = true
				m.Copied(jobs[0].Object, &metalogpb.Placement{
					SourceSession: uint64(jobs[0].Object.Session), SourceNumber: uint64(jobs[0].Object.Number), Number: number,
				})
				jobs = jobs[1:]
			}
			for _, ev := range m.Ready(0, noFloor) {
				wantBytes(t, ev, here)
				b.emit(ev) // the state refuses any other order
			}
		}
		b.sameImage(a)
	}
}

// wantBytes checks that each object that an event's entry commits is here and placed.
func wantBytes(t *testing.T, ev *metalogpb.Event, here map[base.ObjectID]bool) {
	t.Helper()
	e, err := metastore.DecodeEntry(ev.GetLinkApplied().Entry)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range e.Events {
		if c := x.GetObjectCommitted(); c != nil {
			id := base.ObjectID{Session: base.SessionID(c.Session), Number: base.ObjectNumber(c.Number)}
			if !here[id] || len(ev.GetLinkApplied().Placements) != 1 {
				t.Fatalf("entry %d came out before object %s was here", e.Seq, id)
			}
		}
	}
}

// A limit holds entries back that are ready: verify compares at one seq.
func TestReadyStopsAtLimit(t *testing.T) {
	a, _, m := machine(t, "*")
	a.topic("x")
	offerAll(t, m, a)
	last := m.Next() - 1
	if got := seqs(t, m.Ready(last-1, noFloor)); len(got) == 0 || got[len(got)-1] != last-1 {
		t.Fatalf("up to %d: %v", last-1, got)
	}
	if got := m.Ready(last-1, noFloor); len(got) != 0 {
		t.Fatalf("again: %v", seqs(t, got))
	}
	if got := seqs(t, m.Ready(0, noFloor)); len(got) != 1 || got[0] != last {
		t.Fatalf("the rest: %v", got)
	}
}

// What is appended at a time is bounded, and an entry that is larger still goes, alone.
func TestReadyIsBounded(t *testing.T) {
	a, _, m := machine(t, "*")
	for range 3 {
		a.emit(&metalogpb.Event{Kind: &metalogpb.Event_GroupChanged{GroupChanged: &metalogpb.GroupChanged{
			Group: "g", Members: []*metalogpb.GroupMember{{Assignment: noise(400 << 10)}},
		}}})
	}
	offerAll(t, m, a)
	var takes []int
	for m.Queued() > 0 {
		takes = append(takes, len(m.Ready(0, noFloor)))
	}
	if !slices.Equal(takes, []int{3, 1, 1}) { // two small entries go with the first large one
		t.Fatalf("taken %v at a time", takes)
	}
}

// noise does not compress.
func noise(n int) []byte {
	rng, b := rand.NewPCG(1, 2), make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint64())
	}
	return b
}

// Filters decide what is copied: nothing of an object without a wanted topic, and the wanted runs of one that is mixed.
func TestFilters(t *testing.T) {
	a, _, m := machine(t, "x")
	x := a.topic("x1")
	a.topic("y")
	a.produce(to{"y", 0, 2, 'a'})
	mixed := a.produce(to{"y", 0, 1, 'b'}, to{"x1", 1, 3, 'c'})
	whole := a.produce(to{"x1", 0, 1, 'd'}, to{"x1", 1, 1, 'e'})
	jobs := offerAll(t, m, a)
	if len(jobs) != 2 || jobs[0].Object != mixed || jobs[0].Whole || jobs[1].Object != whole || !jobs[1].Whole {
		t.Fatalf("copies %+v", jobs)
	}
	if sp := jobs[0].Spans; len(sp) != 1 || sp[0].Topic != x || sp[0].Partition != 1 || sp[0].Base != 0 || sp[0].Last != 2 {
		t.Fatalf("of the mixed object %+v", sp)
	}
	// Chains run through what is not wanted, and on from one object to the next.
	if second := jobs[1].Spans[1]; second.Before != jobs[0].Spans[0].After || second.Base != 3 {
		t.Fatalf("the run behind it %+v", second)
	}
	if got := m.Ready(0, noFloor); int(seqs(t, got)[len(got)-1]) != len(a.entries)-2 {
		t.Fatalf("an entry without wanted bytes waits: %v", seqs(t, got))
	}
}

// L4: nothing of a faulted topic is copied, its entries go on, and no other topic is held up.
func TestFaultedTopic(t *testing.T) {
	a, b, m := machine(t, "*")
	x := a.topic("x")
	a.topic("y")
	lost := a.produce(to{"x", 0, 1, 'a'})
	if jobs := offerAll(t, m, a); len(jobs) != 1 || jobs[0].Object != lost {
		t.Fatalf("copies %+v", jobs)
	}
	m.Fault(x)
	m.Skipped(lost)
	both := a.produce(to{"x", 0, 1, 'b'}, to{"y", 0, 1, 'c'})
	a.produce(to{"x", 1, 1, 'd'})
	jobs := offerAll(t, m, a)
	if len(jobs) != 1 || jobs[0].Object != both || jobs[0].Whole || len(jobs[0].Spans) != 1 || jobs[0].Spans[0].Topic != a.topics["y"] {
		t.Fatalf("copies %+v", jobs)
	}
	m.Copied(both, &metalogpb.Placement{SourceSession: uint64(both.Session), SourceNumber: uint64(both.Number), Number: 1, Spans: []*metalogpb.PlacedSpan{
		{TopicId: jobs[0].Spans[0].Topic[:], BaseOffset: 0, Position: 48, Length: jobs[0].Spans[0].Length},
	}})
	for _, ev := range m.Ready(0, noFloor) {
		b.emit(ev)
	}
	b.sameImage(a)
	image := b.link().Image()
	if image.Topic(x).Partition(0).Spans[0].Residency != state.Remote || image.Topic(x).Partition(0).Spans[1].Residency != state.Remote {
		t.Error("bytes of a faulted topic are here")
	}
	if image.TopicByName("y").Partition(0).Spans[0].Residency != state.Local {
		t.Error("another topic was stopped")
	}
	// The next runner learns of it from the image.
	b.emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkTopicFaulted{LinkTopicFaulted: &metalogpb.LinkTopicFaulted{Link: "l", TopicId: x[:], Reason: "gone"}}})
	a.produce(to{"x", 0, 1, 'e'})
	if jobs := offerAll(t, NewMachine(b.link(), b.openSession()), a); len(jobs) != 0 {
		t.Errorf("a new machine copies %+v", jobs)
	}
}

// L3: a machine that starts anew goes on behind the image, with the image's chain heads.
func TestStartsAtImage(t *testing.T) {
	a, b, m := machine(t, "*")
	a.topic("x")
	first := a.produce(to{"x", 0, 2, 'a'})
	jobs := offerAll(t, m, a)
	m.Copied(first, &metalogpb.Placement{SourceSession: uint64(first.Session), SourceNumber: uint64(first.Number), Number: 1})
	for _, ev := range m.Ready(0, noFloor) {
		b.emit(ev)
	}
	again := NewMachine(b.link(), b.openSession())
	if again.Next() != m.Next() {
		t.Fatalf("begins at %d, the image is at %d", again.Next(), m.Next()-1)
	}
	a.produce(to{"x", 0, 1, 'b'})
	if more := offerAll(t, again, a); len(more) != 1 || more[0].Spans[0].Before != jobs[0].Spans[0].After {
		t.Fatalf("copies %+v", more)
	}
	if _, err := again.Offer(a.entries[0]); !errors.Is(err, metastore.ErrChain) {
		t.Fatalf("an entry that the image has: %v", err)
	}
}

// A source that is not what it was: another history, a newer format, damage. Each is told apart, and nothing is taken of it.
func TestOfferRefuses(t *testing.T) {
	a, _, m := machine(t, "*")
	a.topic("x")
	if _, err := m.Offer(a.entries[0]); err != nil {
		t.Fatal(err)
	}
	other := newRegion(t, 3)
	damaged := metastore.RawEntry{Seq: 2, Value: append([]byte{1, 0}, 0xff)}
	newer, err := metastore.EncodeEntry(&metalogpb.Entry{
		Seq: 2, PrevHash: m.head.Hash[:], FeatureLevel: state.FeatureLevel + 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		raw  metastore.RawEntry
		want error
	}{
		"another history":        {other.entries[1], metastore.ErrChain},
		"one left out":           {a.entries[2], metastore.ErrChain},
		"the same again":         {a.entries[0], metastore.ErrChain},
		"damage":                 {damaged, base.ErrCorrupt},
		"a newer format version": {metastore.RawEntry{Seq: 2, Value: []byte{9, 0}}, base.ErrVersion},
		"a higher feature level": {metastore.RawEntry{Seq: 2, Value: newer}, base.ErrVersion},
	} {
		if _, err := m.Offer(c.raw); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if offerAll(t, m, a); m.Queued() != len(a.entries) {
		t.Fatalf("%d entries are queued of %d", m.Queued(), len(a.entries))
	}
}

// What status tells of the source comes from what is queued: where its partitions end, how old, how much.
func TestWhatIsQueued(t *testing.T) {
	a, _, m := machine(t, "*")
	x := a.topic("x")
	offerAll(t, m, a)
	m.Ready(0, noFloor)
	if _, at := m.Head(); at != 0 || m.OldestTime() != 0 || m.QueuedBytes() != 0 || len(m.Ends()) != 0 {
		t.Fatal("an idle link has something queued")
	}
	a.now = 2000
	a.produce(to{"x", 0, 2, 'a'})
	a.now = 3000
	a.produce(append(slices.Repeat([]to{{"x", 0, 64, 'b'}}, 20), to{"x", 1, 1, 'c'})...)
	jobs := offerAll(t, m, a)
	if _, at := m.Head(); at != 3000 || m.OldestTime() != 2000 {
		t.Fatalf("times %d to %d", m.OldestTime(), at)
	}
	ends := m.Ends()
	if ends[base.TopicPartition{Topic: x}] != 2+20*64 || ends[base.TopicPartition{Topic: x, Partition: 1}] != 1 {
		t.Fatalf("ends %v", ends)
	}
	wanted := int64(0)
	for _, j := range jobs {
		for _, sp := range j.Spans {
			wanted += sp.Length
		}
	}
	if n := m.QueuedBytes(); n < wanted {
		t.Fatalf("%d bytes are queued, the records alone have %d", n, wanted)
	}
}
