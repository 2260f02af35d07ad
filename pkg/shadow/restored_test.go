package shadow

import (
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// A source that was restored to no less than what the image has does not fault the link, though the link had read what was lost.
func TestSourceRestoredBehindReadAhead(t *testing.T) {
	for _, longer := range []bool{false, true} {
		l := startLink(t)
		l.atSource(func(a *region) { a.topic("x"); a.produce(to{"x", 0, 2, 'a'}) })
		l.caughtUp()
		archived := len(l.w.entries())
		down := &fallen{Store: l.a.bucket}
		down.set(true)
		l.w.setBucket(down)
		l.Restart()
		l.atSource(func(a *region) { a.produce(to{"x", 0, 3, 'b'}); a.produce(to{"x", 1, 1, 'c'}) })
		for deadline := time.Now().Add(10 * time.Second); !l.behind() && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		if !l.behind() {
			t.Fatal("nothing was read ahead")
		}
		l.atSource(func(a *region) {
			st := state.New()
			for _, raw := range a.entries[:archived] {
				in, err := state.Decode(raw)
				if err == nil {
					_, err = st.Apply(in)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			a.seq, a.entries = coordinator.NewSequencer(st, []byte{9}), a.entries[:archived:archived]
			a.emit(&metalogpb.Event{Kind: &metalogpb.Event_IncarnationBegun{IncarnationBegun: &metalogpb.IncarnationBegun{
				Incarnation: "restored", Parent: "lost", Epoch: 9, FirstSession: uint64(base.StripedID(9, 1)),
			}}})
			if longer {
				for range 5 {
					a.emit(&metalogpb.Event{Kind: &metalogpb.Event_Tick{Tick: &metalogpb.Tick{}}})
				}
			}
		})
		l.w.set("coordinator", true) // the stream breaks off, as the source's coordinators have ended
		time.Sleep(5 * time.Millisecond)
		l.w.set("coordinator", false)
		l.until("met the restored log", func(x *state.Link) bool { return x.Info().Fault != "" || len(x.Image().Restores()) > 0 })
		down.set(false)
		l.caughtUp()
		l.b.With(func(st *state.State) {
			if fault := st.Link("l").Info().Fault; fault != "" {
				t.Errorf("the link is faulted: %s", fault)
			}
		})
	}
}

// A source that was set back faults the link; nothing of its new history is applied.
func TestSourceSetBack(t *testing.T) {
	l := startLink(t)
	l.atSource(func(a *region) { a.topic("x"); a.produce(to{"x", 0, 2, 'a'}) })
	l.caughtUp()
	var at base.Seq
	l.b.With(func(st *state.State) { at = st.Link("l").Info().Position.Seq })
	other := newRegion(t, 1)
	other.topic("elsewhere")
	for range 5 {
		other.emit(&metalogpb.Event{Kind: &metalogpb.Event_Tick{Tick: &metalogpb.Tick{}}})
	}
	l.atSource(func(a *region) { a.seq, a.entries = other.seq, other.entries })
	l.until("was faulted", func(x *state.Link) bool { return x.Info().Fault != "" })
	l.until("stayed where it was", func(x *state.Link) bool {
		return x.Info().Position.Seq == at && x.Image().TopicByName("elsewhere") == nil
	})
}
