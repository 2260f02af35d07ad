package differential

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var groupKinds = []kind{
	{7, (*world).newcomer},
	{4, (*world).rebalance},
	{8, (*world).sync},
	{4, (*world).heartbeat},
	{4, (*world).leave},
	{3, (*world).refusedJoin},
	{3, (*world).refusedSync},
	{3, (*world).describeGroups},
	{4, (*world).listGroups},
	{2, (*world).deleteGroups},
}

// slots are the places of members in a group. The last one is a static member.
var slots = []string{"m0", "m1", "static"}

func (w *world) slot() string { return pick(w, slots...) }

// instanceOf is the instance id of a member, nil for a dynamic one.
func instanceOf(member string) *string {
	if !strings.HasSuffix(member, "/static") {
		return nil
	}
	return kmsg.StringPtr("instance")
}

// present are the members of a group, as the side has been told.
func (s *side) present(group string) []string {
	var out []string
	for _, member := range slices.Sorted(maps.Keys(s.members)) {
		if strings.HasPrefix(member, group+"/") {
			out = append(out, member)
		}
	}
	return out
}

// joinRequest is what a member joins with: always the same subscription, by the protocols that it speaks.
func (s *side) joinRequest(version int16, member, id string) *kmsg.JoinGroupRequest {
	group, _, _ := strings.Cut(member, "/")
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.ProtocolType = version, group, id, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 60_000, 60_000
	req.InstanceID = instanceOf(member)
	for _, name := range s.speaks[member] {
		p := kmsg.NewJoinGroupRequestProtocol()
		meta := kmsg.NewConsumerMemberMetadata()
		meta.Topics = []string{s.prefix + "t1"}
		p.Name, p.Metadata = name, meta.AppendTo(nil)
		req.Protocols = append(req.Protocols, p)
	}
	return req
}

// join has a member join on its own connection.
func (s *side) join(version int16, member, id string) answer {
	a := s.ask(member, s.joinRequest(version, member, id))
	a.label = "join of " + member
	return a
}

// learnJoined notes what the answers to joins of a group say, and drops members that are not known any more.
func (s *side) learnJoined(group string, members []string, answers []answer) {
	for i, a := range answers {
		r, ok := a.resp.(*kmsg.JoinGroupResponse)
		switch {
		case !ok:
		case r.ErrorCode == 0:
			s.learnMember(members[i], r.MemberID)
			s.round[group], s.leader[group] = r.Generation, r.LeaderID
			if r.Protocol != nil {
				s.protocol[group] = *r.Protocol
			}
		case r.ErrorCode == kerr.UnknownMemberID.Code || r.ErrorCode == kerr.FencedInstanceID.Code:
			delete(s.members, members[i])
		}
	}
}

// gather has the first member join, waits until the group rebalances for it or has answered, and has the others follow: in this order,
// as it decides who leads.
func (s *side) gather(version int16, group string, first, id string, others []string) []answer {
	out := make([]answer, 1+len(others))
	var joins sync.WaitGroup
	answered := make(chan struct{})
	joins.Go(func() {
		defer close(answered)
		out[0] = s.join(version, first, id)
	})
	if len(others) > 0 && s.rebalances(group, others[0], answered) {
		for i, m := range others {
			joins.Go(func() { out[i+1] = s.join(version, m, s.members[m]) })
		}
	}
	joins.Wait()
	if len(others) > 0 && out[1].req == nil { // the first one was answered at once
		out = out[:1]
	}
	s.learnJoined(group, append([]string{first}, others...), out)
	return out
}

// rebalances waits until a member is told of a rebalance, or the join that was to begin it is answered.
func (s *side) rebalances(group, member string, answered chan struct{}) bool {
	for {
		select {
		case <-answered:
			return false
		case <-time.After(2 * time.Millisecond):
		}
		if s.rebalancing(group, member) {
			return true
		}
	}
}

// rebalancing tells whether a member is told of a rebalance.
func (s *side) rebalancing(group, member string) bool {
	r, ok := s.ask(member, s.heartbeatRequest(group, s.members[member], s.round[group])).resp.(*kmsg.HeartbeatResponse)
	return !ok || r.ErrorCode == kerr.RebalanceInProgress.Code
}

// newcomer has a member join that is not there: all others rejoin. A static member that is there comes again.
func (w *world) newcomer() step {
	group, slot, version := w.group(), w.slot(), w.version(2, 9)
	if slot == "static" {
		version = w.version(5, 9)
	}
	both := []string{"range", "sticky"}
	speaks := pick(w, both, both, both, both, both[:1], both[:1], both[1:], []string{"other"})
	return func(s *side) []answer {
		member := group + "/" + slot
		if s.members[member] != "" && slot != "static" {
			return []answer{s.ask("main", s.heartbeatRequest(group, s.members[member], s.round[group]))}
		}
		others := slices.DeleteFunc(s.present(group), func(m string) bool { return m == member })
		had := s.speaks[member]
		s.speaks[member] = speaks
		var out []answer
		if len(others) > 0 && s.rebalancing(group, others[0]) {
			// Somebody has left. That there is a rebalance would not tell that the newcomer is in it, so it takes place without.
			out = append(out, s.gather(version, group, others[0], s.members[others[0]], others[1:])...)
		}
		id := ""
		if slot != "static" && version >= 4 {
			a := s.join(version, member, "")
			r, ok := a.resp.(*kmsg.JoinGroupResponse)
			if out = append(out, a); !ok || r.ErrorCode != kerr.MemberIDRequired.Code {
				return out
			}
			id = r.MemberID
			s.memberOf[id] = member
		}
		joined := s.gather(version, group, member, id, others)
		if r, ok := joined[0].resp.(*kmsg.JoinGroupResponse); !ok || r.ErrorCode != 0 {
			s.speaks[member] = had // the group knows it as it was, if at all
		}
		return append(out, joined...)
	}
}

// rebalance has all members join again, the leader first.
func (w *world) rebalance() step {
	group, version := w.group(), w.version(5, 9)
	return func(s *side) []answer {
		members := s.present(group)
		if len(members) == 0 {
			return nil
		}
		first := members[0]
		for _, m := range members {
			if s.members[m] == s.leader[group] {
				first = m
			}
		}
		others := slices.DeleteFunc(members, func(m string) bool { return m == first })
		out := s.gather(version, group, first, s.members[first], others)
		slices.SortFunc(out, func(a, b answer) int { return strings.Compare(a.label, b.label) })
		return out
	}
}

// sync has all members of a group ask for their assignments, which the leader brings along.
func (w *world) sync() step {
	group, version, n := w.group(), w.version(3, 5), w.IntN(1000)
	return func(s *side) []answer {
		members := s.present(group)
		out := make([]answer, len(members))
		var asked sync.WaitGroup
		for i, m := range members {
			req := kmsg.NewPtrSyncGroupRequest()
			req.Version, req.Group, req.MemberID, req.Generation = version, group, s.members[m], s.round[group]
			req.InstanceID = instanceOf(m)
			req.ProtocolType, req.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr(s.protocol[group])
			for _, of := range members {
				a := kmsg.NewSyncGroupRequestGroupAssignment()
				a.MemberID, a.MemberAssignment = s.members[of], fmt.Appendf(nil, "%s %d", of, n)
				if s.members[m] == s.leader[group] {
					req.GroupAssignment = append(req.GroupAssignment, a)
				}
			}
			asked.Go(func() {
				out[i] = s.ask(m, req)
				out[i].label = "sync of " + m
			})
		}
		asked.Wait()
		return out
	}
}

func (s *side) heartbeatRequest(group, member string, generation int32) *kmsg.HeartbeatRequest {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 4, group, member, generation
	return req
}

func (w *world) heartbeat() step {
	group, version := w.anyGroup(), w.version(0, 4)
	who := w.committer(group)
	return one("main", func(s *side) kmsg.Request {
		req := kmsg.NewPtrHeartbeatRequest()
		req.Version, req.Group = version, group
		req.MemberID, req.Generation, req.InstanceID = who.as(s, group)
		return req
	}, nil)
}

func (w *world) leave() step {
	group, version := w.anyGroup(), w.version(0, 5)
	var leaving []string
	var by []bool
	for range w.some() {
		if m := group + "/" + w.slot(); !slices.Contains(leaving, m) {
			leaving, by = append(leaving, m), append(by, w.in(50))
		}
	}
	if version < 3 {
		leaving = leaving[:1]
	}
	stranger := w.in(20)
	return one("main", func(s *side) kmsg.Request {
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Version, req.Group, req.MemberID = version, group, s.members[leaving[0]]
		if stranger {
			req.MemberID = "nobody"
		}
		for i, member := range leaving {
			m := kmsg.NewLeaveGroupRequestMember()
			if m.MemberID = s.members[member]; by[i] {
				m.InstanceID = instanceOf(member)
			}
			if stranger {
				m.MemberID = "nobody"
			}
			req.Members = append(req.Members, m)
		}
		return req
	}, func(s *side, resp kmsg.Response) {
		r := resp.(*kmsg.LeaveGroupResponse)
		for i, member := range leaving {
			if r.ErrorCode == 0 && (version < 3 || i < len(r.Members) && r.Members[i].ErrorCode == 0) {
				delete(s.members, member)
			}
		}
	})
}

// refusedJoin is a join that no group takes.
func (w *world) refusedJoin() step {
	group, version, fault := w.group(), w.version(2, 9), w.IntN(9)
	return func(s *side) []answer {
		s.speaks[group+"/nobody"] = []string{"range"}
		req := s.joinRequest(version, group+"/nobody", "nobody")
		switch fault {
		case 0:
			req.Group = ""
		case 1:
			req.SessionTimeoutMillis = 1
		case 2:
			req.SessionTimeoutMillis = 1 << 30
		case 3:
			req.Protocols = nil
		case 4:
			req.ProtocolType = ""
		case 5, 6, 7:
			req.ProtocolType = "connect"
		}
		return []answer{s.ask("main", req)}
	}
}

// refusedSync is a sync that gets an error at once.
func (w *world) refusedSync() step {
	group, version, fault := w.anyGroup(), w.version(0, 5), w.IntN(4)
	who := group + "/" + w.slot()
	return one("main", func(s *side) kmsg.Request {
		req := kmsg.NewPtrSyncGroupRequest()
		req.Version, req.Group, req.MemberID, req.Generation = version, group, s.members[who], s.round[group]
		switch {
		case fault == 0 || req.MemberID == "":
			req.MemberID = "nobody"
		case fault == 1 && version >= 5:
			req.Protocol, req.ProtocolType = kmsg.StringPtr("other"), kmsg.StringPtr("consumer")
		case fault == 2 && version >= 5:
			req.Protocol, req.ProtocolType = kmsg.StringPtr(s.protocol[group]), kmsg.StringPtr("connect")
		default:
			req.Generation += 5
		}
		return req
	}, nil)
}

func (w *world) describeGroups() step {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Version = w.version(0, 6)
	req.IncludeAuthorizedOperations = w.in(20) && req.Version >= 3
	for range w.some() {
		req.Groups = append(req.Groups, w.anyGroup())
	}
	return plain(req)
}

func (w *world) listGroups() step {
	req := kmsg.NewPtrListGroupsRequest()
	req.Version = w.version(0, 5)
	if w.in(25) {
		req.StatesFilter = []string{pick(w, "Stable", "Empty", "PreparingRebalance", "CompletingRebalance", "Nonsense", "stable")}
	}
	if w.in(20) {
		req.TypesFilter = []string{pick(w, "classic", "consumer", "Classic", "nonsense")}
	}
	return plain(req)
}

func (w *world) deleteGroups() step {
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Version = w.version(0, 2)
	for range w.some() {
		req.Groups = append(req.Groups, w.anyGroup())
	}
	return plain(req)
}
