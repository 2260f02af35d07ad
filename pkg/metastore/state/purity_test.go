package state_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

func hashOf(b []byte) []byte {
	h := metastore.HashOf(b)
	return h[:]
}

// S1, S4, S5: C shadows B shadows A; random events everywhere, in random steps. After each, replicas, the working state and
// the view agree (land), the images are their sources at some past seq (compare), and a state that was restored from a
// snapshot in between, as a new leader's is, has come the same way.
func TestPurity(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			a, b, c := newRegion(t, 1), newRegion(t, 2), newRegion(t, 3)
			ab := newPair(a, b, &metalogpb.LinkConfig{Name: "a-to-b", TopicFilters: include([]string{"", "a-1"}[seed%2])})
			bc := newPair(b, c, &metalogpb.LinkConfig{Name: "b-to-c"})
			late := restored(t, b.replica)
			for i := range 40 {
				for range 1 + rng.IntN(4) {
					a.step(rng)
				}
				a.land()
				ab.send(rng, rng.IntN(6))
				ab.random(rng)
				if rng.IntN(3) == 0 {
					b.step(rng)
				}
				b.land()
				ab.compare()
				bc.send(rng, rng.IntN(8))
				bc.random(rng)
				c.land()
				bc.compare()
				if i%10 == 0 {
					late = follow(t, late, b)
				}
			}
			ab.backfill()
			bc.sync(rng)
			follow(t, late, b)
		})
	}
}

// random does to a link what operators and copiers do.
func (p *pair) random(rng *rand.Rand) {
	topics := p.link().Image().Topics()
	switch rng.IntN(12) {
	case 0:
		p.backfill()
	case 1:
		p.dst.emit(&metalogpb.LinkPaused{Link: p.name, Paused: rng.IntN(2) == 0})
	case 2:
		p.dst.emit(&metalogpb.LinkFaulted{Link: p.name, Reason: []string{"", "set back"}[rng.IntN(2)]})
	case 3, 4:
		if len(topics) > 0 {
			id := topics[rng.IntN(len(topics))].Info().ID
			p.dst.emit(&metalogpb.LinkTopicFaulted{Link: p.name, TopicId: id[:], Reason: []string{"", "gone"}[rng.IntN(2)]})
		}
	case 5: // another leader, another copier
		p.later = nil
		p.openSession()
	case 6:
		p.later = nil
		p.adopt()
	}
}

// follow brings a state that lags up to the region's, and restores it once more from its own snapshot.
func follow(t *testing.T, st *state.State, r *region) *state.State {
	t.Helper()
	for _, in := range r.entries[st.Head().Seq:] {
		if _, err := st.Apply(in); err != nil {
			t.Fatalf("entry %d after a restore: %v", in.Raw.Seq, err)
		}
	}
	if !bytes.Equal(snapshot(t, st), snapshot(t, r.replica)) {
		t.Fatalf("at seq %d a state that was restored differs from one that followed all the way", st.Head().Seq)
	}
	asGenerated(t, snapshot(t, st))
	sameView(t, "a restored state", r.replica, st)
	again := restored(t, st)
	sameView(t, "a state restored just now", r.replica, again)
	view, err := state.RestoreServing(snapshot(t, st))
	if err != nil {
		t.Fatal(err)
	}
	sameView(t, "a restored serving view", r.replica, view)
	return again
}
