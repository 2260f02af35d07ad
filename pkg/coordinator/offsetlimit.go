package coordinator

import (
	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// offsetRoom is what one commit may still add to a group's offsets, and to all offsets. A commit that takes no more than the
// offset that it replaces always fits: whoever reads a partition already goes on committing, also beyond a limit (after a flip,
// or because it was lowered).
type offsetRoom struct {
	known   map[base.TopicPartition]state.GroupOffset
	offsets int   // of the group
	bytes   int64 // of all groups
}

func (tx *Tx) offsetRoom(group string) *offsetRoom {
	limits, has := tx.l.seq.limits, tx.State().Counts()
	r := &offsetRoom{bytes: limits.OffsetBytes - int64(has.Offsets)*offsetBytes - int64(has.OffsetMetadata)}
	if g := tx.State().Group(group); g != nil {
		r.known = g.Offsets
	}
	r.offsets = limits.OffsetsPerGroup - len(r.known)
	return r
}

// take tells whether an offset fits, and makes room for it. A partition that a request names twice counts twice.
func (r *offsetRoom) take(tp base.TopicPartition, metadata string) bool {
	offsets, bytes := 1, int64(offsetBytes+len(metadata))
	if old, ok := r.known[tp]; ok {
		offsets, bytes = 0, int64(len(metadata)-len(old.Metadata))
	}
	if offsets > 0 && r.offsets < offsets || bytes > 0 && r.bytes < bytes {
		return false
	}
	r.offsets -= offsets
	r.bytes -= bytes
	return true
}
