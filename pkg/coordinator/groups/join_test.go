package groups

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestJoinRefusals(t *testing.T) {
	base := func() *kmsg.JoinGroupRequest {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Version, req.Group, req.ProtocolType, req.SessionTimeoutMillis = 9, "g", "consumer", 10_000
		req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
		return req
	}
	for _, tt := range []struct {
		name string
		edit func(r *kmsg.JoinGroupRequest)
		want int16
	}{
		{"announced", func(r *kmsg.JoinGroupRequest) {}, kerr.MemberIDRequired.Code},
		{"no group", func(r *kmsg.JoinGroupRequest) { r.Group = "" }, kerr.InvalidGroupID.Code},
		{"group not UTF-8", func(r *kmsg.JoinGroupRequest) { r.Group = "\xff" }, kerr.InvalidGroupID.Code},
		{"short session", func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 5999 }, kerr.InvalidSessionTimeout.Code},
		{"long session", func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 1_800_001 }, kerr.InvalidSessionTimeout.Code},
		{"unknown member", func(r *kmsg.JoinGroupRequest) { r.MemberID = "x" }, kerr.UnknownMemberID.Code},
		{"no protocol", func(r *kmsg.JoinGroupRequest) { r.Protocols = nil }, kerr.InconsistentGroupProtocol.Code},
		{"no type", func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "" }, kerr.InconsistentGroupProtocol.Code},
		{"protocol not UTF-8", func(r *kmsg.JoinGroupRequest) { r.Protocols[0].Name = "\xff" }, kerr.InvalidRequest.Code},
		{"too large", func(r *kmsg.JoinGroupRequest) { r.Protocols[0].Metadata = make([]byte, 400<<10) }, kerr.GroupMaxSizeReached.Code},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, Config{})
			req := base()
			tt.edit(req)
			w.want(w.joinReq(req), tt.want)
			if kept := len(w.m.groups) > 0; kept != (tt.want == kerr.MemberIDRequired.Code) {
				t.Fatalf("group kept: %v", kept)
			}
		})
	}
}

// Whoever is refused changes nothing: a group that is empty for now keeps its protocol type.
func TestRefusedMemberLeavesNothing(t *testing.T) {
	w := newWorld(t, Config{})
	a := w.join(3, "", "", "range")
	w.settleAll([]string{a.join.MemberID})
	w.want(w.leave(3, a.join.MemberID, ""), 0)
	w.wantState(Empty)
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.ProtocolType, req.SessionTimeoutMillis = 9, "g", "nobody", "connect", 10_000
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "default"}}
	w.want(w.joinReq(req), kerr.UnknownMemberID.Code)
	if got := w.m.Describe("g").ProtocolType; got != "consumer" {
		t.Fatalf("the group's protocol type is %q now", got)
	}
}

// KIP-394: a dynamic member is announced first, and only then joins; one that never comes holds nobody up for ever.
func TestAnnouncedMember(t *testing.T) {
	w := newWorld(t, Config{})
	first := w.join(4, "", "", "range")
	w.want(first, kerr.MemberIDRequired.Code)
	id := first.join.MemberID
	if w.heartbeat(id, "", 0) != kerr.UnknownMemberID.Code {
		t.Fatal("an announced member can heartbeat")
	}
	a := w.join(4, id, "", "range")
	w.want(a, 0)
	if a.join.LeaderID != id || a.join.Generation != 1 || len(a.join.Members) != 1 || *a.join.Protocol != "range" {
		t.Fatalf("join answer %+v", a.join)
	}
	w.wantState(CompletingRebalance)

	// Another is announced, and never comes: it holds a rebalance up until its id expires.
	w.settleAll([]string{id})
	w.want(w.join(4, "", "", "range"), kerr.MemberIDRequired.Code)
	again := w.join(4, id, "", "range")
	w.wantWaiting(again)
	w.pass(10 * time.Second)
	w.want(again, 0)
}

func TestAnnouncedGroupIsForgotten(t *testing.T) {
	w := newWorld(t, Config{})
	id := w.join(4, "", "", "range").join.MemberID
	w.want(w.leave(3, id, ""), 0)
	w.wantState(Dead)
	w.join(4, "", "", "range")
	w.pass(time.Minute)
	w.wantState(Dead)
	if len(w.events) != 0 {
		t.Fatalf("events %v", w.events)
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t, Config{MaxMembersPerGroup: 2, MaxGroups: 1})
	ids := w.stable(2)
	w.want(w.join(3, "", "", "range"), kerr.GroupMaxSizeReached.Code)
	w.want(w.join(4, "", "", "range"), kerr.GroupMaxSizeReached.Code)
	w.wantState(Stable)
	w.wantWaiting(w.join(3, ids[0], "", "range"))
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.ProtocolType, req.SessionTimeoutMillis = "other", "consumer", 10_000
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
	w.want(w.joinReq(req), kerr.GroupMaxSizeReached.Code)
}

func TestProtocolVote(t *testing.T) {
	w := newWorld(t, Config{})
	one := w.join(3, "", "", "range", "sticky")
	id := one.join.MemberID
	w.want(w.join(3, "", "", "other"), kerr.InconsistentGroupProtocol.Code)
	two := w.join(3, "", "", "sticky", "range")
	three := w.join(3, "", "", "sticky", "only-mine")
	w.wantWaiting(two)
	lead := w.join(3, id, "", "range", "sticky")
	for _, a := range []*ask{two, three, lead} {
		w.want(a, 0)
		if *a.join.Protocol != "sticky" || a.join.Generation != 2 || a.join.LeaderID != id {
			t.Fatalf("answer %+v", a.join)
		}
	}
	if len(lead.join.Members) != 3 || string(lead.join.Members[1].ProtocolMetadata) != "m:sticky" || len(two.join.Members) != 0 {
		t.Fatalf("members %+v", lead.join.Members)
	}
}

func TestRejoin(t *testing.T) {
	w := newWorld(t, Config{})
	ids := w.stable(2)
	follower := w.join(3, ids[1], "", "range")
	w.want(follower, 0) // nothing new: the same generation
	if follower.join.Generation != 2 || follower.join.LeaderID != ids[0] {
		t.Fatalf("answer %+v", follower.join)
	}
	w.wantState(Stable)
	w.wantWaiting(w.join(3, ids[1], "", "range", "more"))
	w.wantState(PreparingRebalance)
	if got := w.heartbeat(ids[0], "", 2); got != kerr.RebalanceInProgress.Code {
		t.Fatalf("heartbeat %d", got)
	}
	w.want(w.join(3, ids[0], "", "range"), 0)
	w.wantState(CompletingRebalance)
	lost := w.join(3, ids[0], "", "range") // the answer was lost: the leader gets it again
	w.want(lost, 0)
	if len(lost.join.Members) != 2 || lost.join.Generation != 3 {
		t.Fatalf("answer %+v", lost.join)
	}
	w.wantState(CompletingRebalance)
}

func TestJoinTwiceWhileWaiting(t *testing.T) {
	w := newWorld(t, Config{})
	ids := w.stable(2)
	first := w.join(3, ids[0], "", "range")
	second := w.join(3, ids[0], "", "range")
	w.want(first, kerr.RebalanceInProgress.Code)
	w.wantWaiting(second)
	w.want(w.join(3, ids[1], "", "range"), 0)
	w.want(second, 0)
}

func TestInitialRebalanceDelay(t *testing.T) {
	w := newWorld(t, Config{InitialRebalanceDelay: 3 * time.Second})
	one := w.join(3, "", "", "range")
	w.pass(2 * time.Second)
	two := w.join(3, "", "", "range")
	w.pass(3 * time.Second) // prolonged for the second
	w.wantWaiting(one)
	w.pass(time.Second)
	w.want(one, 0)
	w.want(two, 0)
	if one.join.Generation != 1 || len(one.join.Members) != 2 {
		t.Fatalf("answer %+v", one.join)
	}
}
