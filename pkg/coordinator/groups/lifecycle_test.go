package groups

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"google.golang.org/protobuf/proto"
)

func TestSync(t *testing.T) {
	w := newWorld(t, Config{})
	ids := w.stable(2)
	w.want(w.sync("x", "", 2), kerr.UnknownMemberID.Code)
	w.want(w.sync(ids[1], "", 1), kerr.IllegalGeneration.Code)
	a := w.sync(ids[1], "", 2)
	w.want(a, 0)
	if string(a.sync.MemberAssignment) != "a:"+ids[1] || *a.sync.Protocol != "range" {
		t.Fatalf("answer %+v", a.sync)
	}
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation, req.Protocol = 5, "g", ids[1], 2, kmsg.StringPtr("other")
	w.want(w.syncReq(req), kerr.InconsistentGroupProtocol.Code)
	req.Protocol, req.ProtocolType = nil, kmsg.StringPtr("connect")
	w.want(w.syncReq(req), kerr.InconsistentGroupProtocol.Code)
	req.Group = ""
	w.want(w.syncReq(req), kerr.InvalidGroupID.Code)
	w.join(3, ids[0], "", "range")
	w.want(w.sync(ids[1], "", 2), kerr.RebalanceInProgress.Code)
}

func TestSyncWaitsAndEventComesWithReplies(t *testing.T) {
	w := newWorld(t, Config{})
	ids := w.stable(2)
	events := len(w.events)
	w.join(3, ids[0], "", "range")
	w.join(3, ids[1], "", "range")
	waiting := w.sync(ids[1], "", 3)
	w.wantWaiting(waiting)
	again := w.sync(ids[1], "", 3)
	w.want(waiting, kerr.RebalanceInProgress.Code)
	if len(w.events) != events {
		t.Fatal("an event before the assignment")
	}
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 5, "g", ids[0], 3
	buffer := []byte("theirs")
	req.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: ids[1], MemberAssignment: buffer}}
	answers := 0
	fx := w.m.Sync(w.now, req, func(*kmsg.SyncGroupResponse) { answers++ })
	copy(buffer, "xxxxxx")
	if len(fx.Events) != 1 || len(fx.Replies) != 2 || answers != 0 {
		t.Fatalf("%d events, %d replies, %d answers before they were run", len(fx.Events), len(fx.Replies), answers)
	}
	w.wantWaiting(again)
	w.run(fx)
	w.want(again, 0)
	c := fx.Events[0].GetGroupChanged()
	if string(again.sync.MemberAssignment) != "theirs" || string(c.Members[1].Assignment) != "theirs" || c.Generation != 3 || c.Leader != ids[0] {
		t.Fatalf("answer %+v, event %v", again.sync, c)
	}
}

func TestAssignmentTooLarge(t *testing.T) {
	w := newWorld(t, Config{MaxGroupBytes: 4096})
	id := w.join(3, "", "", "range").join.MemberID
	w.want(w.sync(id, "", 1, id, string(make([]byte, 5000))), kerr.GroupMaxSizeReached.Code)
	w.wantState(PreparingRebalance)
	w.want(w.join(3, id, "", "range"), 0)
	w.settleAll([]string{id})
}

func TestSessionTimeout(t *testing.T) {
	w := newWorld(t, Config{})
	ids := w.stable(3)
	for range 3 {
		w.pass(5 * time.Second)
		if got := w.heartbeat(ids[1], "", 2); got != 0 && got != kerr.RebalanceInProgress.Code {
			t.Fatalf("heartbeat %d", got)
		}
	}
	w.wantState(PreparingRebalance)
	w.want(w.join(3, ids[1], "", "range"), 0)
	if got := w.heartbeat(ids[0], "", 3); got != kerr.UnknownMemberID.Code {
		t.Fatalf("heartbeat of the dead leader %d", got)
	}
	w.settleAll(ids[1:2])
	w.pass(20 * time.Second)
	w.wantState(Empty)
	last := w.events[len(w.events)-1].GetGroupChanged()
	if len(last.Members) != 0 || last.Generation != 4 {
		t.Fatalf("last event %v", last)
	}
}

func TestRebalanceTimeout(t *testing.T) {
	w := newWorld(t, Config{})
	ids := w.stable(2)
	a := w.join(3, ids[1], "", "range", "x")
	for range 11 { // the leader heartbeats, but does not join
		w.pass(5 * time.Second)
		w.heartbeat(ids[0], "", 2)
	}
	w.wantWaiting(a)
	w.pass(5 * time.Second)
	w.want(a, 0)
	if a.join.LeaderID != ids[1] || len(a.join.Members) != 1 {
		t.Fatalf("answer %+v", a.join)
	}
}

func TestLeaderDoesNotSync(t *testing.T) {
	w := newWorld(t, Config{})
	ids := w.stable(2)
	w.join(3, ids[0], "", "range")
	w.join(3, ids[1], "", "range")
	waiting := w.sync(ids[1], "", 3)
	for range 12 {
		w.pass(5 * time.Second)
		w.heartbeat(ids[0], "", 3)
	}
	w.want(waiting, kerr.RebalanceInProgress.Code)
	if got := w.heartbeat(ids[0], "", 3); got != kerr.UnknownMemberID.Code {
		t.Fatalf("heartbeat of who did not sync: %d", got)
	}
	w.want(w.join(3, ids[1], "", "range"), 0)
}

func TestLeave(t *testing.T) {
	w := newWorld(t, Config{})
	w.want(w.leave(2, "x"), kerr.UnknownMemberID.Code)
	ids := w.stable(4)
	w.want(w.leave(2, "x"), kerr.UnknownMemberID.Code)
	w.want(w.leave(2, ids[3]), 0)
	waiting := w.join(3, ids[1], "", "range")
	a := w.leave(5, ids[0], "", "x", "", ids[1], "", "", "nobody")
	w.want(a, 0)
	for i, want := range []int16{0, kerr.UnknownMemberID.Code, 0, kerr.UnknownMemberID.Code} {
		if a.leave.Members[i].ErrorCode != want {
			t.Fatalf("member %d: %d, want %d", i, a.leave.Members[i].ErrorCode, want)
		}
	}
	w.want(waiting, kerr.UnknownMemberID.Code)
	w.want(w.leave(2, ids[2]), 0)
	w.wantState(Empty)
	if code, fx := w.m.Delete("g"); code != 0 || fx.Events[0].GetGroupDeleted().GetGroup() != "g" {
		t.Fatalf("delete: %d", code)
	}
	if code, _ := w.m.Delete("g"); code != kerr.GroupIDNotFound.Code {
		t.Fatalf("delete again: %d", code)
	}
}

func TestCheckCommit(t *testing.T) {
	w := newWorld(t, Config{})
	check := func(want int16, id, instance string, generation int32) {
		t.Helper()
		if got := w.m.CheckCommit(w.now, "g", id, instancePtr(instance), generation); got != want {
			t.Fatalf("commit of %q/%q under %d: %d, want %d", id, instance, generation, got, want)
		}
	}
	check(0, "", "", -1)
	check(kerr.IllegalGeneration.Code, "x", "", 1)
	static := w.join(5, "", "i", "range").join.MemberID
	check(kerr.RebalanceInProgress.Code, static, "i", 1)
	w.sync(static, "i", 1)
	check(0, static, "i", 1)
	check(kerr.FencedInstanceID.Code, "x", "i", 1)
	check(kerr.UnknownMemberID.Code, "", "", -1)
	check(kerr.UnknownMemberID.Code, "x", "", 1)
	check(kerr.IllegalGeneration.Code, static, "i", 0)
	w.join(3, "", "", "range")
	check(0, static, "i", 1) // of the generation that ends
	w.leave(3, "", "i")
	w.pass(10 * time.Minute)
	w.wantState(Empty)
	check(0, "", "", -1)
	check(kerr.UnknownMemberID.Code, static, "", 1)
}

func TestCommitIsHeartbeat(t *testing.T) {
	w := newWorld(t, Config{})
	ids := w.stable(1)
	for range 5 {
		w.pass(9 * time.Second)
		if got := w.m.CheckCommit(w.now, "g", ids[0], nil, 1); got != 0 {
			t.Fatalf("commit: %d", got)
		}
	}
}

func TestRestoreRoundTrip(t *testing.T) {
	w := newWorld(t, Config{})
	ids := w.stable(3)
	before := w.durable()
	w.join(3, ids[1], "", "range", "new") // mid-rebalance: it did not happen
	n := newWorld(t, Config{})
	n.now = w.now.Add(time.Hour)
	n.m.Restore(n.now, before)
	if got := n.m.groups["g"].changed(); !proto.Equal(got, before[0]) {
		t.Fatalf("restored\n%v\nwant\n%v", got, before[0])
	}
	n.wantState(Stable)
	n.pass(9 * time.Second)
	for _, id := range ids {
		if got := n.heartbeat(id, "", 2); got != 0 {
			t.Fatalf("heartbeat: %d", got)
		}
	}
	a := n.sync(ids[2], "", 2)
	n.want(a, 0)
	if string(a.sync.MemberAssignment) != "a:"+ids[2] {
		t.Fatalf("assignment %q", a.sync.MemberAssignment)
	}
	n.want(n.sync(ids[2], "", 3), kerr.IllegalGeneration.Code)
	n.pass(10 * time.Second)
	n.wantState(Empty)
	n.m.Restore(n.now, n.durable())
	n.wantState(Empty)
	if g := n.join(3, "", "", "range").join.Generation; g != 4 {
		t.Fatalf("generation %d after an empty group of 3 was restored", g)
	}
}

func TestAbandon(t *testing.T) {
	w := newWorld(t, Config{})
	ids := w.stable(2)
	joining := w.join(3, ids[0], "", "range")
	w.run(w.m.Abandon())
	w.want(joining, kerr.NotCoordinator.Code)
	if _, ok := w.m.NextDeadline(); ok {
		t.Fatal("a deadline is left")
	}
}

func TestDescribeAndList(t *testing.T) {
	w := newWorld(t, Config{})
	ids := w.stable(2)
	d := w.m.Describe("g")
	if d.Protocol != "range" || len(d.Members) != 2 || string(d.Members[1].MemberAssignment) != "a:"+ids[1] || d.Members[0].ClientHost != "/h" {
		t.Fatalf("described %+v", d)
	}
	all := w.m.List(nil, nil, []string{"z", "a", "g"})
	if len(all) != 3 || all[0].Group != "a" || all[0].GroupState != "Empty" || all[1].GroupState != "Stable" || all[1].ProtocolType != "consumer" {
		t.Fatalf("listed %+v", all)
	}
	if got := w.m.List([]string{"stable"}, []string{"Classic"}, []string{"a"}); len(got) != 1 || got[0].Group != "g" {
		t.Fatalf("listed %+v", got)
	}
	if got := w.m.List(nil, []string{"consumer"}, []string{"a"}); len(got) != 0 {
		t.Fatalf("listed %+v", got)
	}
}

// Time in which nobody could be heard is given back once, and moves no deadline beyond where it would be if all began now.
func TestResume(t *testing.T) {
	w := newWorld(t, Config{})
	ids := w.stable(2)
	waiting := w.join(3, ids[0], "", "range")
	w.now = w.now.Add(time.Hour)
	w.m.Resume(w.now, time.Hour)
	w.m.Resume(w.now, time.Hour) // counted twice: no harm
	w.pass(9 * time.Second)
	if code := w.heartbeat(ids[1], "", 2); code != kerr.RebalanceInProgress.Code {
		t.Fatalf("heartbeat: %d", code)
	}
	w.wantWaiting(waiting)
	w.pass(11 * time.Second)
	w.want(waiting, 0) // the other was silent for a session
	if len(waiting.join.Members) != 1 {
		t.Fatalf("members %v", waiting.join.Members)
	}
}

// Bounds: ids, and the bytes of all groups together, which are given back with the members.
func TestBounds(t *testing.T) {
	w := newWorld(t, Config{MaxBytes: 4000})
	ids := w.stable(1)
	free := w.m.bytes
	join := func(version int16, group, instance string, metadata int) int16 {
		t.Helper()
		req := kmsg.NewPtrJoinGroupRequest()
		req.Version, req.Group, req.ProtocolType, req.SessionTimeoutMillis, req.InstanceID = version, group, "consumer", 10_000, instancePtr(instance)
		req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: make([]byte, metadata)}}
		return w.joinReq(req).code
	}
	if code := join(3, strings.Repeat("g", GroupIDBytesMax+1), "", 0); code != kerr.InvalidGroupID.Code {
		t.Errorf("group id too long: %d", code)
	}
	if code := join(9, "h", strings.Repeat("i", instanceIDBytesMax+1), 0); code != kerr.InvalidRequest.Code {
		t.Errorf("instance id too long: %d", code)
	}
	if code := join(3, "h", "", 4000); code != kerr.GroupMaxSizeReached.Code {
		t.Errorf("more bytes than all groups may take: %d", code)
	}
	for range 100 {
		join(4, "announced", "", 0)
	}
	if w.m.bytes > 4000+pendingBytes {
		t.Errorf("%d bytes", w.m.bytes)
	}
	w.pass(time.Minute)
	w.wantState(Empty)
	if w.m.bytes >= free || len(w.m.groups) != 1 {
		t.Errorf("%d bytes are kept of %d groups", w.m.bytes, len(w.m.groups))
	}
	w.want(w.leave(2, ids[0]), kerr.UnknownMemberID.Code)
}
