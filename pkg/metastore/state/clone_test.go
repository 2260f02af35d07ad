package state_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// A clone and its original part: whatever happens to one, the other stays as it is, images of links included. (That both come to the same state by
// the same entries is for land to say.)
func TestCloneGoesItsOwnWay(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 11))
			a, b := newRegion(t, 1), newRegion(t, 2)
			ab := newPair(a, b, &metalogpb.LinkConfig{Name: "a-to-b", TopicFilters: include("")})
			run := func(steps int) {
				for range steps {
					a.step(rng)
					a.land()
					ab.send(rng, rng.IntN(4))
					b.step(rng)
					b.land()
				}
			}
			run(40)
			original, clone := b.replica, b.replica.Clone()
			want := snapshot(t, original)
			if !bytes.Equal(snapshot(t, clone), want) {
				t.Fatal("a clone differs from its original")
			}
			alone := func(st *state.State) *region {
				r := *b
				r.seq, r.commits = coordinator.NewSequencer(st, []byte("alone")), map[base.SessionID][]committed{}
				return &r
			}
			pair := []*region{alone(original), alone(clone)}
			for i := range 150 {
				moves, stays := pair[i%2], pair[1-i%2]
				before := snapshot(t, stays.st())
				moves.step(rng)
				if !bytes.Equal(snapshot(t, stays.st()), before) {
					t.Fatal("what happened to the one state changed the other")
				}
			}
			if bytes.Equal(snapshot(t, clone), want) {
				t.Fatal("nothing happened")
			}
		})
	}
}
