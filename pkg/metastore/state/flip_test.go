package state_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// S7: one event makes the image the region's own: topics, epochs, boundary, chains; nothing of the records is rewritten.
func TestFlip(t *testing.T) {
	p, id, _ := shadowed(t, &metalogpb.LinkConfig{})
	p.src.emit(&metalogpb.TopicConfigChanged{TopicId: id[:], Set: []*metalogpb.ConfigEntry{{Name: "retention.ms", Value: "7"}}})
	p.sync(nil)
	before := *p.link().Image().Topic(id).Partition(0)
	p.flip()
	p.dst.land()
	st := p.dst.replica
	topic, ok := st.ShowByName("orders")
	if !ok || !topic.Writable() || topic.Info().ID != id || topic.Info().Configs["retention.ms"] != "7" {
		t.Fatalf("topic %+v", topic.Info())
	}
	after := *topic.Partition(0)
	if after.End != before.End || after.Chain != before.Chain || fmt.Sprint(after.Spans) != fmt.Sprint(before.Spans) {
		t.Fatalf("the partition was %+v and is %+v", before, after)
	}
	if epochs := fmt.Sprint(after.Epochs); epochs != "[{1 0} {10 3}]" || st.Region().Epoch != 10 || st.Epoch(topic) != 10 {
		t.Fatalf("epochs %s, region %+v", epochs, st.Region())
	}
	l := st.Links()[0]
	want := []state.Boundary{{Partition: base.TopicPartition{Topic: id}, End: 3, Chain: before.Chain}}
	if l.Active() || fmt.Sprint(l.Info().Boundary) != fmt.Sprint(want) || len(l.Image().Topics()) != 0 {
		t.Fatalf("link %+v", l.Info())
	}
	if l.Info().Position.Seq != p.src.replica.Head().Seq {
		t.Fatalf("the cut is forgotten: %+v", l.Info().Position)
	}
	// KIP-320: the end of A's epoch is the cut, that of B's the end of the log; an epoch between belongs to A's.
	for asked, want := range map[base.Epoch]state.EpochStart{0: {Epoch: 0, Start: 0}, 1: {Epoch: 1, Start: 3}, 9: {Epoch: 1, Start: 3}, 10: {Epoch: 10, Start: 3}} {
		if got := after.EpochEnd(asked); got != want {
			t.Errorf("end of epoch %d is %+v, want %+v", asked, got, want)
		}
	}
}

// L6: what comes after a flip is refused: another flip, another entry of the source.
func TestFlipIsOnce(t *testing.T) {
	p, _, _ := shadowed(t, &metalogpb.LinkConfig{})
	again := p.flipped()
	p.flip()
	again.Epoch += 8
	if err := p.dst.tryEmit(again); err == nil {
		t.Error("a link failed over twice")
	}
	p.src.emit(&metalogpb.Tick{})
	p.src.land()
	if err := p.dst.tryEmit(&metalogpb.LinkApplied{Link: p.name, Entry: p.src.entries[p.sent].Raw.Value}); err == nil {
		t.Error("a link went on after its failover")
	}
	p.dst.land()
}

// An idempotent producer of A goes on at B: what B has is a duplicate, one forward gap is what the cut lost, the next is an error.
func TestProducerGoesOnAfterFlip(t *testing.T) {
	p, id, session := shadowed(t, &metalogpb.LinkConfig{})
	p.src.commitRecords(id, session, 2) // sequences 3 and 4, which B never sees
	p.flip()
	p.dst.land()
	if pr := p.dst.replica.Producer(base.TopicPartition{Topic: id}, 5); pr == nil || !pr.GapAllowed || pr.LastSequence() != 2 {
		t.Fatalf("producer %+v", pr)
	}
	mine := p.dst.openSession(2)
	for i, c := range []struct {
		n, sequence int32
		code        int16
		offset      int64
		duplicate   bool
	}{
		{3, 0, 0, 0, true},  // B has it
		{2, 5, 0, 3, false}, // 3 and 4 are lost: the gap
		{1, 9, kerr.OutOfOrderSequenceNumber.Code, -1, false},
		{1, 7, 0, 5, false},
	} {
		got := p.dst.commitBatch(id, mine, c.n, c.sequence)
		if got.ErrorCode != int32(c.code) || got.BaseOffset != c.offset || got.Duplicate != c.duplicate {
			t.Fatalf("batch %d after the flip: %v", i, got)
		}
	}
	p.dst.land()
}

// Groups come along empty, at a generation that none of A's members has, with their offsets; those not chosen stay out.
func TestGroupsAfterFlip(t *testing.T) {
	p, id, _ := shadowed(t, &metalogpb.LinkConfig{GroupFilters: include("g-")})
	for _, g := range []string{"g-members", "other"} {
		p.src.emit(&metalogpb.GroupChanged{Group: g, ProtocolType: "consumer", Generation: 4, Members: []*metalogpb.GroupMember{{MemberId: "m"}}})
		p.src.emit(&metalogpb.OffsetsCommitted{Group: g, Offsets: []*metalogpb.CommittedOffset{{TopicId: id[:], Offset: 2, Metadata: "x"}}})
	}
	p.src.emit(&metalogpb.OffsetsCommitted{Group: "g-offsets", Offsets: []*metalogpb.CommittedOffset{{TopicId: id[:], Offset: 1}}})
	p.sync(nil)
	p.flip()
	p.dst.land()
	st := p.dst.replica
	if names := fmt.Sprint(st.Groups()); names != "[g-members g-offsets]" {
		t.Fatalf("groups %s", names)
	}
	g := st.Group("g-members")
	if g.Changed.Generation <= 4+100 || len(g.Changed.Members) != 0 || g.Changed.ProtocolType != "consumer" {
		t.Fatalf("group %v", g.Changed)
	}
	if o := g.Offsets[base.TopicPartition{Topic: id}]; o.Offset != 2 || o.Metadata != "x" {
		t.Fatalf("offset %+v", o)
	}
}

// A name that B has for a topic of its own, and a faulted topic, keep out of B, and are in the boundary all the same.
func TestFlipLeavesOut(t *testing.T) {
	p, id, session := shadowed(t, &metalogpb.LinkConfig{})
	rng := rand.New(rand.NewPCG(4, 4))
	broken := p.src.create(rng, "broken", 1)
	fine := p.src.create(rng, "fine", 1)
	p.src.commitRecords(fine, session, 1)
	own := p.dst.create(rng, "orders", 1)
	p.sync(nil)
	p.dst.emit(&metalogpb.LinkTopicFaulted{Link: p.name, TopicId: broken[:], Reason: "gone"})
	p.flip()
	if topic, ok := p.shows("orders"); !ok || topic.Info().ID != own {
		t.Error("B lost its own topic")
	}
	if topic, ok := p.shows("fine"); !ok || topic.Info().ID != fine {
		t.Error("a topic beside was left out")
	}
	if _, ok := p.shows("broken"); ok || p.dst.replica.Topic(id) != nil {
		t.Error("a topic that had to keep out is there")
	}
	if n := len(p.dst.replica.Links()[0].Info().Boundary); n != 3 {
		t.Errorf("the boundary names %d partitions, want 3", n)
	}
	p.countsSpans(1)
}

// countsSpans compares the references of B's objects with the spans of its topics: a collector relies on them. none is how many
// objects there are that nothing names.
func (p *pair) countsSpans(none int) {
	p.dst.t.Helper()
	count := map[base.ObjectID]int64{}
	for _, topic := range p.dst.replica.Topics() {
		for i := range topic.Partitions() {
			for _, sp := range topic.Partition(i).Spans {
				if sp.Residency == state.Local {
					count[sp.Object]++
				}
			}
		}
	}
	for _, id := range p.dst.replica.Objects() {
		if n := p.dst.replica.Object(id).References; n != count[id] {
			p.dst.t.Errorf("object %s is named %d times, and counted %d times", id, count[id], n)
		}
		if count[id] == 0 {
			none--
		}
	}
	if none != 0 {
		p.dst.t.Errorf("%d objects too few are named by nothing", none)
	}
}

// Ids that B hands out after the flip are of its epoch's stripe. Writer sessions of before end with it, so that nothing that
// was sent to the shadow is accepted by the primary behind what was refused.
func TestIdsAfterFlip(t *testing.T) {
	p, _, _ := shadowed(t, &metalogpb.LinkConfig{})
	p.src.emit(&metalogpb.ProducerIdsAllocated{Next: base.StripedID(1, 5000)})
	p.sync(nil)
	mine := p.dst.openSession(7)
	p.flip()
	if got := p.dst.st().NextProducerID(); got != base.StripedID(10, 1) {
		t.Errorf("first producer id is %x", got)
	}
	if got := p.dst.openSession(8); got != base.SessionID(base.StripedID(10, 1)) {
		t.Errorf("first session is %x", got)
	}
	if x := p.dst.st().Session(mine); !x.Fenced {
		t.Errorf("a session from before the flip goes on: %+v", x)
	}
	p.dst.land()
}

// S4, S7 through two links: C shadows B, B shadows A. C sees B's flip as it happens, spans that B did not hold are absent.
func TestFlipOfAnImage(t *testing.T) {
	for _, bootstrap := range []string{"from the first entry", "from a snapshot", "from a snapshot, with a fault"} {
		t.Run(bootstrap, func(t *testing.T) {
			p, id, session := shadowed(t, &metalogpb.LinkConfig{})
			p.src.commitRecords(id, session, 2)
			p.src.land()
			p.dst.emit(&metalogpb.LinkApplied{Link: p.name, Entry: p.src.entries[p.sent].Raw.Value}) // its bytes never came
			c := newRegion(t, 3)
			q := newPair(p.dst, c, &metalogpb.LinkConfig{Name: "b-to-c"})
			switch bootstrap {
			case "from a snapshot, with a fault":
				p.dst.emit(&metalogpb.LinkTopicFaulted{Link: p.name, TopicId: id[:], Reason: "gone"})
				q.adopt()
			case "from a snapshot":
				q.adopt()
			}
			q.sync(nil)
			p.flip()
			q.sync(nil)
			image := c.replica.Links()[0].Image()
			topic := image.Topic(id)
			if bootstrap == "from a snapshot, with a fault" {
				if topic != nil || p.dst.replica.Topic(id) != nil {
					t.Fatal("a faulted topic was adopted by B, or by C's image of B")
				}
				return
			}
			spans := topic.Partition(0).Spans
			if image.Region().Epoch != 10 || spans[0].Residency != state.Remote || spans[1].Residency != state.Absent {
				t.Fatalf("C's image of B: %+v, %+v", image.Region(), spans)
			}
			if _, ok := c.replica.ShowByName("orders"); !ok {
				t.Fatal("C does not show what B took over")
			}
		})
	}
}
