package shadow

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// While the gate is held nobody is inside an append: hold waits for the one who is, and lets no other in.
func TestGateHolds(t *testing.T) {
	g := &gate{}
	g.open()
	if limit, ok := g.enter(); !ok || limit != 0 {
		t.Fatalf("an open gate: limit %d, %v", limit, ok)
	}
	held := make(chan error, 1)
	go func() { held <- g.hold(t.Context()) }()
	for ok := true; ok; _, ok = g.enter() { // until hold has shut it; entering again while inside changes nothing
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-held:
		t.Fatalf("held while somebody is inside: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	g.leave()
	if err := <-held; err != nil {
		t.Fatal(err)
	}
	if _, ok := g.enter(); ok {
		t.Fatal("entered a gate that is held")
	}
	g.set(false, 7)
	if limit, ok := g.enter(); !ok || limit != 7 {
		t.Fatalf("opened up to 7: limit %d, %v", limit, ok)
	}
}

// A hold that is given up leaves the gate open: a verify that timed out must not stop the link.
func TestGateGivenUp(t *testing.T) {
	g := &gate{}
	g.open()
	g.enter()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := g.hold(ctx); err == nil {
		t.Fatal("held while somebody is inside")
	}
	g.leave()
	if _, ok := g.enter(); !ok {
		t.Fatal("the gate stayed shut")
	}
}

// Whoever looked before the gate opened is told: the applier asks for the signal first and then tries to enter.
func TestGateSignals(t *testing.T) {
	g := &gate{}
	g.open()
	if err := g.hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	changed := g.changed()
	g.set(false, base.Seq(3))
	select {
	case <-changed:
	default:
		t.Fatal("the opening was not told")
	}
}

// The floor is the highest number at or below which nothing is out, however the copies end; it never goes back. An object
// above it is not the collector's.
func TestNumbersFloor(t *testing.T) {
	n := &numbers{}
	if n.floor() != 0 {
		t.Fatalf("floor %d before the first number", n.floor())
	}
	rng := rand.New(rand.NewPCG(5, 5))
	var out []uint64
	last, before := uint64(0), uint64(0)
	for range 2000 {
		if len(out) == 0 || len(out) < 64 && rng.IntN(2) == 0 {
			got := uint64(n.take())
			if last++; got != last {
				t.Fatalf("number %d, want %d: no number is given twice or left out", got, last)
			}
			out = append(out, got)
		} else {
			i := rng.IntN(len(out))
			if x := out[i]; rng.IntN(2) == 0 {
				n.settle(x)
			} else {
				n.place([]*metalogpb.Placement{{Number: x}})
			}
			out = slices.Delete(out, i, i+1)
		}
		want := last
		for _, x := range out {
			want = min(want, x-1)
		}
		if got := n.floor(); got != want || got < before {
			t.Fatalf("floor %d, want %d, before %d", got, want, before)
		}
		before = want
	}
}

// The floor counts a number as placed from its own event on, and not before.
func TestFloorWithEvents(t *testing.T) {
	a, _, m := machine(t, "*")
	a.topic("x")
	var n numbers
	a.produce(to{"x", 0, 1, 'a'})
	a.produce(to{"x", 0, 1, 'b'})
	jobs := offerAll(t, m, a)
	second, first := n.take(), n.take() // the newer object was begun first
	m.Copied(jobs[0].Object, &metalogpb.Placement{Number: uint64(first)})
	m.Copied(jobs[1].Object, &metalogpb.Placement{Number: uint64(second)})
	var floors []uint64
	for _, ev := range m.Ready(0, n.place) {
		if x := ev.GetLinkApplied(); len(x.Placements) > 0 {
			floors = append(floors, x.Floor)
		}
	}
	if len(floors) != 2 || floors[0] != 0 || floors[1] != 2 {
		t.Fatalf("floors %v: number 1 is out until its own event", floors)
	}
}
