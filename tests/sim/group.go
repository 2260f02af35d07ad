package sim

import (
	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// group is a consumer group that commits ever higher offsets of the partitions that producers write. It waits for the
// answer to a commit, or gives it up, before it sends the next.
type group struct {
	pause
	w     *World
	name  string
	asked int64 // when the commit under way was sent, 0 for none
	// at is the region that positions were read from, and positions how far the group has read.
	at        *Region
	positions map[base.TopicPartition]base.Offset
}

func (g *group) String() string { return "group " + g.name }

func (g *group) step() {
	w := g.w
	if len(w.producers) == 0 || g.asked > 0 && w.now-g.asked < 3000 {
		return
	}
	r := w.operator.primary()
	tp := w.producers[w.rng.IntN(len(w.producers))].tp
	t, ok := r.oracle.Show(tp.Topic)
	if !ok {
		return
	}
	if g.at != r { // it resumes at what it had committed
		g.at, g.positions = r, map[base.TopicPartition]base.Offset{}
	}
	at := max(g.positions[tp], offsetIn(r.oracle, g.name, tp))
	end := t.Partition(tp.Partition).End
	if end <= at {
		return
	}
	next := at + 1 + base.Offset(w.rng.Int64N(int64(end-at)))
	g.positions[tp] = next
	asked := w.now
	g.asked = asked
	r.submit(func(tx *tx) {
		if tx == nil {
			return
		}
		var result error
		if shown, ok := tx.c.seq.State().Show(tp.Topic); !ok || !shown.Writable() || tx.c.fenced {
			result = base.ErrReadOnly
		} else {
			result = tx.emit(&metalogpb.Event{Kind: &metalogpb.Event_OffsetsCommitted{OffsetsCommitted: &metalogpb.OffsetsCommitted{
				Group: g.name, Offsets: []*metalogpb.CommittedOffset{{TopicId: tp.Topic[:], Partition: tp.Partition, Offset: int64(next), LeaderEpoch: -1}},
			}}})
		}
		tx.reply(func(err error) {
			if g.asked == asked {
				g.asked = 0
			}
			if err == nil && result == nil {
				w.check.committed(r, g.name, tp, next)
			}
		})
	})
}

// offsetIn is a group's committed offset in a state, 0 when it has none.
func offsetIn(st *state.State, group string, tp base.TopicPartition) base.Offset {
	if g := st.Group(group); g != nil {
		return g.Offsets[tp].Offset
	}
	return 0
}
