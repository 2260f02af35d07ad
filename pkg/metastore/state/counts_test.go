package state_test

import (
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// A shadow forgets the producers that its source forgets, by the source's events; none because it has a lower limit itself. After
// a flip that limit holds for what it has adopted.
func TestImageForgetsAsItsSource(t *testing.T) {
	p, id, session := shadowed(t, &metalogpb.LinkConfig{})
	p.dst.seq.SetLimits(coordinator.Limits{Producers: 2})
	write := func(r *region, session base.SessionID, producer int64) {
		digest := base.DigestOf([]byte{byte(producer)})
		r.now++
		r.commit(&metalogpb.CommitRequest{Session: uint64(session), Number: uint64(r.st().Session(session).Floor) + 1, Size: 400, Extents: []*metalogpb.ExtentMeta{{
			TopicId: id[:], Position: 48, Length: 100, Batches: []*metalogpb.BatchMeta{{Length: 100, Records: 1, ProducerId: producer, Digest: digest[:]}},
		}}})
		r.land()
	}
	known := func(st *state.State, want ...int64) {
		t.Helper()
		var ids []int64
		for _, x := range st.Producers(base.TopicPartition{Topic: id}) {
			ids = append(ids, x.ID)
		}
		if len(ids) != len(want) || st.Counts().Producers != len(want) || ids[0] != want[0] || ids[len(ids)-1] != want[len(want)-1] {
			t.Fatalf("producers %v are known, and %d counted, want %v", ids, st.Counts().Producers, want)
		}
	}
	for producer := int64(100); producer < 110; producer++ { // producer 5 was there: one more than the limit of the source
		write(p.src, session, producer)
	}
	p.sync(nil)
	known(p.src.replica, 101, 102, 103, 104, 105, 106, 107, 108, 109)
	known(p.link().Image(), 101, 102, 103, 104, 105, 106, 107, 108, 109)
	p.flip()
	p.dst.land()
	p.dst.now = p.src.now
	write(p.dst, p.dst.openSession(1), 110)
	known(p.dst.replica, 109, 110)
}
