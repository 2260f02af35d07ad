package agent_test

import (
	"testing"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/counting"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
	"github.com/gnomon-stream/gnomon/tests/memregion"
)

// A consumer at the end of a partition gets what this agent writes without a GET; one that comes later costs one.
func TestTailIsNotFetched(t *testing.T) {
	store := counting.New(memory.New())
	r := newRig(t, memregion.Options{Data: store})
	gets := func() int64 { return store.Snapshot().Of(objstore.OpGetRange).Calls }
	id := r.CreateTopic(r.cl, "t", 2)
	r.acked("t", id, 1)
	r.CaughtUp()
	if _, _, n := r.fetch("t", id, 0); n == 0 || gets() != 1 {
		t.Fatalf("%d bytes after %d GETs, want some after 1", n, gets())
	}
	for offset := range int64(5) { // the reader is at the end now
		r.acked("t", id, 1)
		r.CaughtUp()
		if _, _, n := r.fetch("t", id, 1+offset); n == 0 || gets() != 1 {
			t.Fatalf("offset %d: %d bytes, and %d GETs, want none but the first", 1+offset, n, gets())
		}
	}
}
