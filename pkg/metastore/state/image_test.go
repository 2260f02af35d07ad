package state_test

import (
	"math/rand/v2"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// shadowed is region a with topic "orders" and three records, and region b that shadows all of it.
func shadowed(t *testing.T, cfg *metalogpb.LinkConfig) (p *pair, id base.TopicID, session base.SessionID) {
	a, id, session := founded(t, 1)
	cfg.Name = "a-to-b"
	p = newPair(a, newRegion(t, 2), cfg)
	p.sync(nil)
	return p, id, session
}

// shows returns the topic that b shows under a name, and where it is shown from.
func (p *pair) shows(name string) (state.Shadowed, bool) {
	p.dst.land()
	for _, st := range []*state.State{restored(p.dst.t, p.dst.replica), p.dst.view} {
		t, ok := st.ShowByName(name)
		own, has := p.dst.replica.ShowByName(name)
		if ok != has || ok && t.Info().ID != own.Info().ID {
			p.dst.t.Fatalf("topic %q is one topic for a replica, and another for a view or after a restore", name)
		}
	}
	return p.dst.replica.ShowByName(name)
}

// S4: filters decide what is shown, and cut nothing out of the image.
func TestFilters(t *testing.T) {
	p, _, _ := shadowed(t, &metalogpb.LinkConfig{TopicFilters: include("pay")})
	p.src.create(rand.New(rand.NewPCG(1, 2)), "payments", 2)
	p.sync(nil)
	if _, ok := p.shows("orders"); ok {
		t.Error("a topic that the filters leave out is shown")
	}
	if topic, ok := p.shows("payments"); !ok || topic.Writable() || topic.Link == nil {
		t.Error("a topic that the filters choose is not shown, or can be written to")
	}
	if image := p.dst.replica.Links()[0].Image(); len(image.Topics()) != 2 || image.TopicByName("orders").Partition(0).End != 3 {
		t.Error("the image is cut by the filters")
	}
}

// Where a span lies: local once its object was placed, whole or in part; remote before; local after a backfill.
func TestPlacement(t *testing.T) {
	p, id, session := shadowed(t, &metalogpb.LinkConfig{})
	p.src.commitRecords(id, session, 2)
	p.src.land()
	in := p.src.entries[p.sent]
	later := &metalogpb.Placement{SourceSession: uint64(session), SourceNumber: 2, Number: p.number + 1, Size: 300, Spans: []*metalogpb.PlacedSpan{
		{TopicId: id[:], Partition: 0, BaseOffset: 3, Position: 77, Length: 100},
	}}
	p.dst.emit(&metalogpb.LinkApplied{Link: p.name, Entry: in.Raw.Value})
	p.dst.land()
	p.compare()
	spans := func() []state.Span {
		p.dst.land()
		return p.dst.replica.Links()[0].Image().Topic(id).Partition(0).Spans
	}
	first := base.ObjectID{Session: p.session, Number: 1}
	if sp := spans()[0]; sp.Residency != state.Local || sp.Object != first || sp.Position != 48 {
		t.Fatalf("a span of an object that was placed whole: %+v", sp)
	}
	if sp := spans()[1]; sp.Residency != state.Remote || sp.Object != (base.ObjectID{Session: session, Number: 2}) {
		t.Fatalf("a span of an object that was not placed: %+v", sp)
	}
	p.dst.emit(&metalogpb.LinkPlaced{Link: p.name, Placements: []*metalogpb.Placement{later}, Session: uint64(p.session), Floor: later.Number})
	local := base.ObjectID{Session: p.session, Number: base.ObjectNumber(later.Number)}
	if sp := spans()[1]; sp.Residency != state.Local || sp.Object != local || sp.Position != 77 {
		t.Fatalf("a span after its backfill: %+v", sp)
	}
	if o := p.dst.replica.Object(local); o == nil || o.References != 1 || o.Size != 300 || p.dst.replica.Session(p.session).Floor != base.ObjectNumber(later.Number) {
		t.Fatalf("object %+v of session %+v", o, p.dst.replica.Session(p.session))
	}
	p.compare()
}

// L3, S4: an event that names another entry than the image's next is refused by the working state, so that a runner that
// lost its place enters nothing.
func TestLinkOrder(t *testing.T) {
	p, _, _ := shadowed(t, &metalogpb.LinkConfig{})
	p.src.emit(&metalogpb.Tick{})
	p.src.land()
	p.src.emit(&metalogpb.Tick{})
	p.src.land()
	for name, at := range map[string]int{"again": p.sent - 1, "beyond the next": p.sent + 1} {
		ev := &metalogpb.LinkApplied{Link: p.name, Entry: p.src.entries[at].Raw.Value}
		if err := p.dst.tryEmit(ev); err == nil {
			t.Errorf("an entry of the source %s was taken", name)
		}
	}
	p.sync(nil)
}

// A topic deleted at the source: DELETE drops it, KEEP (the default of a shadow) goes on showing what is there.
func TestTopicDeletedAtSource(t *testing.T) {
	for policy, kept := range map[string]bool{"DELETE": false, "KEEP": true} {
		t.Run(policy, func(t *testing.T) {
			p, id, _ := shadowed(t, &metalogpb.LinkConfig{OnTopicDeleted: policy})
			p.src.emit(&metalogpb.OffsetsCommitted{Group: "g", Offsets: []*metalogpb.CommittedOffset{{TopicId: id[:], Offset: 2}}})
			p.dst.emit(&metalogpb.OffsetsCommitted{Group: "local", Offsets: []*metalogpb.CommittedOffset{{TopicId: id[:], Offset: 2}}})
			p.sync(nil)
			p.src.emit(&metalogpb.TopicDeleted{TopicId: id[:]})
			p.src.land()
			p.send(nil, 9)
			topic, shown := p.shows("orders")
			if shown != kept || kept && (!topic.Info().SourceDeleted || topic.Partition(0).End != 3) {
				t.Fatalf("shown: %v", shown)
			}
			object := p.dst.replica.Object(base.ObjectID{Session: p.session, Number: 1})
			if (object.References == 1) != kept {
				t.Fatalf("its object is named %d times", object.References)
			}
			for name, st := range map[string]*state.State{"the source's group": p.dst.replica.Links()[0].Image(), "a group of B's own": p.dst.replica} {
				group := map[*state.State]string{p.dst.replica: "local"}[st]
				if group == "" {
					group = "g"
				}
				g := st.Group(group)
				if there := g != nil; there != kept || kept && g.Offsets[base.TopicPartition{Topic: id}].Offset != 2 {
					t.Fatalf("%s is there: %v", name, there)
				}
			}
		})
	}
}

// A topic deleted and created again at the source, of which the earlier life is kept: FAULT shows the earlier one and faults
// the new one, FOLLOW shows the new one. Either outlives a restore.
func TestTopicRecreatedAtSource(t *testing.T) {
	for policy, follows := range map[string]bool{"FAULT": false, "FOLLOW": true} {
		for seed := range uint64(4) { // ids in both orders
			p, old, session := shadowed(t, &metalogpb.LinkConfig{OnTopicDeleted: "KEEP", OnTopicRecreated: policy})
			p.src.emit(&metalogpb.TopicDeleted{TopicId: old[:]})
			renewed := p.src.create(rand.New(rand.NewPCG(seed, 3)), "orders", 1)
			p.src.commitRecords(renewed, session, 2)
			p.src.land()
			p.send(nil, 9)
			want := old
			if follows {
				want = renewed
			}
			topic, ok := p.shows("orders")
			if !ok || topic.Info().ID != want || topic.Info().Fault != "" {
				t.Fatalf("%s: shows %+v, want %s", policy, topic.Info(), want)
			}
			if image := p.dst.replica.Links()[0].Image(); (image.Topic(renewed).Info().Fault != "") == follows {
				t.Fatalf("%s: the new topic's fault is %q", policy, image.Topic(renewed).Info().Fault)
			}
			p.flip()
			if topic, ok := p.shows("orders"); !ok || topic.Info().ID != want || !topic.Writable() {
				t.Fatalf("%s: after the flip %+v, want %s", policy, topic.Info(), want)
			}
			p.countsSpans(1) // that of the life which ended with the image
		}
	}
}

// A faulted topic keeps its name and its records, for readers that followed and for those that restored.
func TestFaultedTopicIsShown(t *testing.T) {
	p, id, _ := shadowed(t, &metalogpb.LinkConfig{})
	p.dst.emit(&metalogpb.LinkTopicFaulted{Link: p.name, TopicId: id[:], Reason: "object gone"})
	if topic, ok := p.shows("orders"); !ok || topic.Info().Fault == "" || topic.Partition(0).End != 3 {
		t.Fatalf("shown %v", ok)
	}
	p.dst.emit(&metalogpb.LinkTopicFaulted{Link: p.name, TopicId: id[:]})
	if topic, ok := p.shows("orders"); !ok || topic.Info().Fault != "" {
		t.Fatal("the fault cannot be lifted")
	}
}

// A deleted link takes its image along and lets go of the objects.
func TestLinkDeleted(t *testing.T) {
	p, _, _ := shadowed(t, &metalogpb.LinkConfig{})
	p.dst.emit(&metalogpb.LinkDeleted{Link: p.name})
	if _, ok := p.shows("orders"); ok || len(p.dst.replica.Links()) != 0 {
		t.Fatal("what a deleted link showed is shown")
	}
	if o := p.dst.replica.Object(base.ObjectID{Session: p.session, Number: 1}); o.References != 0 {
		t.Fatalf("an object of a deleted link is named %d times", o.References)
	}
}

// S4: a snapshot that is adopted is the source at its seq. Nothing of it is here yet, and filters hold.
func TestAdopt(t *testing.T) {
	a, id, _ := founded(t, 1)
	p := newPair(a, newRegion(t, 2), &metalogpb.LinkConfig{Name: "a-to-b"})
	p.adopt()
	p.dst.land()
	p.compare()
	topic, ok := p.shows("orders")
	if !ok || topic.Partition(0).End != 3 || topic.Partition(0).Spans[0].Residency != state.Remote {
		t.Fatalf("shown: %v", ok)
	}
	if x := p.dst.replica.Links()[0].Info(); x.Position != a.replica.Head() {
		t.Fatalf("position %+v, the source is at %+v", x.Position, a.replica.Head())
	}
	if objects := p.dst.replica.Object(base.ObjectID{Session: p.session, Number: 1}); objects != nil {
		t.Fatal("an adopted snapshot brought objects along")
	}
	_ = id
	p.src.emit(&metalogpb.Tick{})
	p.sync(nil)
}
