package coordinator

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// BenchmarkThousandMembers is 1,000 clients that join one group through Forward until all have their part of one generation and
// were told so by 20 heartbeats, and then leave: time to stable, and until the group is empty.
func BenchmarkThousandMembers(b *testing.B) {
	const n = 1000
	for b.Loop() {
		c := newCluster(b)
		m := c.lead("one")
		all := make([]*consumer, n)
		ended := make(chan error, n)
		begin := time.Now()
		for i := range all {
			all[i] = &consumer{t: b, members: []*member{m}, group: "g"}
			go func() { ended <- all[i].settles() }()
		}
		for range all {
			if err := <-ended; err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(time.Since(begin).Seconds(), "s/stable")
		if state, members := m.described("g"); state != "Stable" || members != n {
			b.Fatalf("%d members in %s, want %d in a stable group", members, state, n)
		}
		for _, x := range all {
			if x.generation != all[0].generation || x.assignment != "for "+x.id {
				b.Fatalf("%s is in generation %d with %q, others in %d", x.id, x.generation, x.assignment, all[0].generation)
			}
		}
		begin = time.Now()
		for _, x := range all {
			go func() {
				req := kmsg.NewPtrLeaveGroupRequest()
				req.Version, req.Group = 5, "g"
				req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: x.id}}
				resp, err := x.call(req)
				if err == nil && resp.(*kmsg.LeaveGroupResponse).Members[0].ErrorCode != 0 {
					err = fmt.Errorf("leave: code %d", resp.(*kmsg.LeaveGroupResponse).Members[0].ErrorCode)
				}
				ended <- err
			}()
		}
		for range all {
			if err := <-ended; err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(time.Since(begin).Seconds(), "s/empty")
		if state, members := m.described("g"); state != "Empty" || members != 0 {
			b.Fatalf("%d members in %s after all have left", members, state)
		}
	}
}

func (m *member) described(group string) (state string, members int) {
	m.t.Helper()
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{group}
	g := ask[*kmsg.DescribeGroupsResponse](m, req).Groups[0]
	return g.State, len(g.Members)
}
