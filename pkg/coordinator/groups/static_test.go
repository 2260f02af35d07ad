package groups

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// staticPair makes a stable group of the static members "a" (leader) and "b".
func staticPair(t *testing.T) (w *world, a, b string) {
	t.Helper()
	w = newWorld(t, Config{})
	a = w.join(9, "", "a", "range", "sticky").join.MemberID
	second := w.join(9, "", "b", "range", "sticky")
	w.want(w.join(9, a, "a", "range", "sticky"), 0)
	w.want(second, 0)
	b = second.join.MemberID
	follower := w.sync(b, "b", 2)
	w.want(w.sync(a, "a", 2, a, "for-a", b, "for-b"), 0)
	w.want(follower, 0)
	return w, a, b
}

// KIP-345: a static member that comes back takes its place, and whoever uses its old id is fenced. KIP-814: the leader is told who is
// there, and not to assign.
func TestStaticRestartDoesNotRebalance(t *testing.T) {
	for _, tt := range []struct {
		name     string
		version  int16
		instance string
		leads    bool // by the answer
		skip     bool
		roster   int
	}{
		{"follower", 9, "b", false, false, 0},
		{"leader", 9, "a", true, true, 2},
		{"leader before KIP-814", 8, "a", false, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, _, _ := staticPair(t)
			old := w.m.groups["g"].instances[tt.instance].id
			events := len(w.events)
			x := w.join(tt.version, "", tt.instance, "range", "sticky")
			w.want(x, 0)
			w.wantState(Stable)
			r := x.join
			if r.MemberID == old || r.Generation != 2 || (r.LeaderID == r.MemberID) != tt.leads || r.SkipAssignment != tt.skip || len(r.Members) != tt.roster {
				t.Fatalf("answer %+v", r)
			}
			if len(w.events) != events+1 {
				t.Fatal("the new id is not durable")
			}
			s := w.sync(r.MemberID, tt.instance, 2)
			w.want(s, 0)
			if string(s.sync.MemberAssignment) != "for-"+tt.instance {
				t.Fatalf("assignment %q", s.sync.MemberAssignment)
			}
			for what, got := range map[string]int16{
				"heartbeat": w.heartbeat(old, tt.instance, 2),
				"commit":    w.m.CheckCommit(w.now, "g", old, &tt.instance, 2),
				"join":      w.join(9, old, tt.instance, "range").code,
				"sync":      w.sync(old, tt.instance, 2).code,
				"leave":     w.leave(3, old, tt.instance).leave.Members[0].ErrorCode,
			} {
				if got != kerr.FencedInstanceID.Code {
					t.Errorf("%s under the old id: %d", what, got)
				}
			}
			if got := w.heartbeat(old, "", 2); got != kerr.UnknownMemberID.Code {
				t.Errorf("heartbeat under the old id alone: %d", got)
			}
		})
	}
}

func TestStaticRestartWithOtherProtocolRebalances(t *testing.T) {
	w, a, _ := staticPair(t)
	x := w.join(9, "", "b", "sticky")
	w.wantWaiting(x)
	w.wantState(PreparingRebalance)
	w.want(w.join(9, a, "a", "range", "sticky"), 0)
	w.want(x, 0)
	if *x.join.Protocol != "sticky" {
		t.Fatalf("protocol %s", *x.join.Protocol)
	}
}

func TestStaticRestartInRebalance(t *testing.T) {
	w, a, b := staticPair(t)
	waiting := w.join(9, a, "a", "range", "sticky") // the leader: rebalance
	x := w.join(9, "", "a", "range", "sticky")
	w.want(waiting, kerr.FencedInstanceID.Code)
	w.want(w.join(9, b, "b", "range", "sticky"), 0)
	w.want(x, 0)
	w.wantState(CompletingRebalance)
	synced := w.sync(b, "b", 3)
	y := w.join(9, "", "b", "range", "sticky") // its id may be in the leader's hands already
	w.want(synced, kerr.FencedInstanceID.Code)
	w.wantWaiting(y)
	w.wantState(PreparingRebalance)
}

func TestStaticMemberOutlivesRebalance(t *testing.T) {
	w, a, b := staticPair(t)
	w.join(9, a, "a", "range")
	for range 12 {
		w.pass(5 * time.Second)
		w.heartbeat(b, "b", 2) // lives, but does not join
	}
	w.wantState(CompletingRebalance)
	if n := len(w.m.groups["g"].members); n != 2 {
		t.Fatalf("%d members", n)
	}
}

func TestAdministratorRemovesStaticMembers(t *testing.T) {
	w, a, b := staticPair(t)
	if code := w.leaveBoth(a, b); code != 0 {
		t.Fatalf("leave: %d", code)
	}
	w.wantState(Empty)
	w.want(w.join(3, "", "", "range"), 0)
	w.wantState(CompletingRebalance)
}

// leaveBoth removes both static members as an administrator does.
func (w *world) leaveBoth(_, b string) int16 {
	w.t.Helper()
	x := w.leave(3, "", "a", b, "b")
	w.want(x, 0)
	return x.leave.Members[0].ErrorCode + x.leave.Members[1].ErrorCode
}

// KIP-814: a static leader that comes back with another subscription makes no rebalance by that. It is told what all subscribe to, its
// new self included, finds that the assignment does not fit, and joins again: that is the rebalance.
func TestStaticLeaderWithAnotherSubscription(t *testing.T) {
	w, _, b := staticPair(t)
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.ProtocolType, req.InstanceID = 9, "g", "consumer", instancePtr("a")
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 60_000
	for _, name := range []string{"range", "sticky"} {
		req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{Name: name, Metadata: []byte("another topic")})
	}
	back := w.joinReq(req)
	w.want(back, 0)
	w.wantState(Stable)
	r := back.join
	if !r.SkipAssignment || r.LeaderID != r.MemberID || r.Generation != 2 || len(r.Members) != 2 {
		t.Fatalf("answer %+v", r)
	}
	for _, m := range r.Members {
		if m.MemberID == r.MemberID && string(m.ProtocolMetadata) != "another topic" {
			t.Fatalf("it is told of its former subscription: %q", m.ProtocolMetadata)
		}
	}
	req.MemberID = r.MemberID
	again := w.joinReq(req)
	w.wantWaiting(again)
	if code := w.heartbeat(b, "b", 2); code != kerr.RebalanceInProgress.Code {
		t.Fatalf("heartbeat of the other: %d", code)
	}
	w.want(w.join(9, b, "b", "range", "sticky"), 0)
	w.want(again, 0)
	if again.join.SkipAssignment || again.join.Generation != 3 {
		t.Fatalf("answer %+v", again.join)
	}
}
