package metastore

import (
	"context"

	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// Restoration is a metalog as a restore from the archive leaves it: one entry, which begins an incarnation, behind what is archived.
type Restoration struct {
	// Replaces is what was read of the metastore: if it is not so any more, nothing is written.
	Replaces    Position
	Incarnation string
	First       RawEntry // the entry that begins the incarnation
	// Snapshot and Archive are the pointers from then on: where a start begins, and the last archived entry, First's predecessor.
	Snapshot, Archive *metalogpb.Pointer
	// Fence is set where another region has taken over; nil leaves the key alone.
	Fence *metalogpb.Fence
}

// Restorer is a metalog that a restore can be written to.
type Restorer interface {
	Log
	// Restore makes the metalog what r says, in one transaction: all of it or nothing. The entries of the incarnation that it replaces
	// are dropped, and whoever leads is deposed. The same again is no error. ErrConflict when the metastore is not what r replaces.
	Restore(ctx context.Context, r Restoration) error
}
