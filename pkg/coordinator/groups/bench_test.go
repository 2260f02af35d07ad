package groups

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// BenchmarkThousandMembers is 1,000 members that join one group, are assigned, and leave one after the other: time of the
// machine alone.
func BenchmarkThousandMembers(b *testing.B) {
	const n = 1000
	for b.Loop() {
		w := newWorld(b, Config{})
		ids := make([]string, n)
		for i := range ids {
			ids[i] = w.join(9, "", "", "range", "sticky").join.MemberID
		}
		asks := make([]*ask, n)
		for i, id := range ids {
			asks[i] = w.join(9, id, "", "range", "sticky")
		}
		for i, a := range asks {
			w.want(a, 0)
			ids[i] = a.join.MemberID
		}
		generation := asks[0].join.Generation
		for _, id := range ids[1:] {
			w.sync(id, "", generation)
		}
		lead := kmsg.NewPtrSyncGroupRequest()
		lead.Version, lead.Group, lead.MemberID, lead.Generation = 5, "g", ids[0], generation
		for _, id := range ids {
			lead.GroupAssignment = append(lead.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: id, MemberAssignment: make([]byte, 60)})
		}
		w.want(w.syncReq(lead), 0)
		w.wantState(Stable)
		for _, id := range ids {
			w.leave(5, id, "")
		}
		w.wantState(Empty)
	}
}
