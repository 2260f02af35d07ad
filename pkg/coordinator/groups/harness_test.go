package groups

import (
	"fmt"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/twmb/franz-go/pkg/kmsg"
	"google.golang.org/protobuf/proto"
)

// world is a Manager with a clock and a log of what it emitted. Every event is confirmed at once.
type world struct {
	t      testing.TB
	m      *Manager
	now    time.Time
	events []*metalogpb.Event
	asked  []*ask
}

// ask is a request whose answer may come later.
type ask struct {
	what   string
	at     time.Time
	count  int
	member string
	code   int16
	join   *kmsg.JoinGroupResponse
	sync   *kmsg.SyncGroupResponse
	leave  *kmsg.LeaveGroupResponse
}

func newWorld(t testing.TB, cfg Config) *world {
	n := 0
	cfg.NewMemberID = func(prefix string) string {
		n++
		return fmt.Sprintf("%s-%d", prefix, n)
	}
	return &world{t: t, m: New(cfg), now: time.Unix(1_000_000, 0)}
}

func (w *world) run(fx Effects) {
	w.events = append(w.events, fx.Events...)
	for _, r := range fx.Replies {
		r()
	}
}

func (w *world) ask(what, member string) *ask {
	a := &ask{what: what, member: member, at: w.now}
	w.asked = append(w.asked, a)
	return a
}

func (a *ask) answered(code int16) {
	a.count++
	a.code = code
}

func (w *world) join(version int16, id, instance string, protocols ...string) *ask {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.ProtocolType = version, "g", id, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 60_000
	req.InstanceID = instancePtr(instance)
	for _, p := range protocols {
		x := kmsg.NewJoinGroupRequestProtocol()
		x.Name, x.Metadata = p, []byte("m:"+p)
		req.Protocols = append(req.Protocols, x)
	}
	return w.joinReq(req)
}

func (w *world) joinReq(req *kmsg.JoinGroupRequest) *ask {
	a := w.ask("join", req.MemberID)
	w.run(w.m.Join(w.now, Client{ID: "c", Host: "/h"}, req, func(r *kmsg.JoinGroupResponse) {
		a.join = r
		a.answered(r.ErrorCode)
		r.AppendTo(nil)
	}))
	return a
}

func (w *world) sync(id, instance string, generation int32, assignments ...string) *ask {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation, req.InstanceID = 5, "g", id, generation, instancePtr(instance)
	for i := 0; i+1 < len(assignments); i += 2 {
		x := kmsg.NewSyncGroupRequestGroupAssignment()
		x.MemberID, x.MemberAssignment = assignments[i], []byte(assignments[i+1])
		req.GroupAssignment = append(req.GroupAssignment, x)
	}
	return w.syncReq(req)
}

func (w *world) syncReq(req *kmsg.SyncGroupRequest) *ask {
	a := w.ask("sync", req.MemberID)
	w.run(w.m.Sync(w.now, req, func(r *kmsg.SyncGroupResponse) {
		a.sync = r
		a.answered(r.ErrorCode)
		r.AppendTo(nil)
	}))
	return a
}

func (w *world) heartbeat(id, instance string, generation int32) int16 {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.Generation, req.InstanceID = 4, "g", id, generation, instancePtr(instance)
	a := w.ask("heartbeat", id)
	w.run(w.m.Heartbeat(w.now, req, func(r *kmsg.HeartbeatResponse) { a.answered(r.ErrorCode) }))
	return a.code
}

func (w *world) leave(version int16, ids ...string) *ask {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version, req.Group = version, "g"
	if version < 3 {
		req.MemberID = ids[0]
	}
	for i := 0; version >= 3 && i+1 < len(ids); i += 2 {
		x := kmsg.NewLeaveGroupRequestMember()
		x.MemberID, x.InstanceID = ids[i], instancePtr(ids[i+1])
		req.Members = append(req.Members, x)
	}
	a := w.ask("leave", "")
	w.run(w.m.Leave(w.now, req, func(r *kmsg.LeaveGroupResponse) {
		a.leave = r
		a.answered(r.ErrorCode)
	}))
	return a
}

// pass lets time pass, with a Tick at each deadline on the way.
func (w *world) pass(d time.Duration) {
	end := w.now.Add(d)
	for range 10_000 {
		at, ok := w.m.NextDeadline()
		if !ok || at.After(end) {
			w.now = end
			return
		}
		if at.After(w.now) {
			w.now = at
		}
		w.run(w.m.Tick(w.now))
		if next, ok := w.m.NextDeadline(); ok && !next.After(w.now) {
			w.t.Fatalf("a Tick at %v left a deadline at %v", w.now, next)
		}
	}
	w.t.Fatal("time does not pass")
}

// stable makes a stable group of n members (version 3: not announced) and returns their ids, the leader's first.
func (w *world) stable(n int) []string {
	w.t.Helper()
	var ids []string
	first := w.join(3, "", "", "range")
	ids = append(ids, first.join.MemberID)
	if n > 1 {
		var asks []*ask
		for range n - 1 {
			asks = append(asks, w.join(3, "", "", "range"))
		}
		w.want(w.join(3, ids[0], "", "range"), 0)
		for _, a := range asks {
			w.want(a, 0)
			ids = append(ids, a.join.MemberID)
		}
	}
	w.settleAll(ids)
	return ids
}

func (w *world) settleAll(ids []string) {
	w.t.Helper()
	g := w.m.groups["g"]
	var pairs []string
	for _, id := range ids {
		pairs = append(pairs, id, "a:"+id)
	}
	for _, id := range ids[1:] {
		w.sync(id, "", g.generation)
	}
	w.want(w.sync(ids[0], "", g.generation, pairs...), 0)
	w.wantState(Stable)
}

func (w *world) want(a *ask, code int16) {
	w.t.Helper()
	if a.count != 1 || a.code != code {
		w.t.Fatalf("%s of %q: %d answers, code %d; want one, code %d", a.what, a.member, a.count, a.code, code)
	}
}

func (w *world) wantWaiting(a *ask) {
	w.t.Helper()
	if a.count != 0 {
		w.t.Fatalf("%s of %q was answered with %d; want it to wait", a.what, a.member, a.code)
	}
}

func (w *world) wantState(s State) {
	w.t.Helper()
	if got := w.m.Describe("g").State; got != string(s) {
		w.t.Fatalf("state %s, want %s", got, s)
	}
}

// durable is the last GroupChanged of every group.
func (w *world) durable() []*metalogpb.GroupChanged {
	last := map[string]*metalogpb.GroupChanged{}
	for _, ev := range w.events {
		if c := ev.GetGroupChanged(); c != nil {
			last[c.Group] = proto.CloneOf(c)
		}
	}
	var out []*metalogpb.GroupChanged
	for _, c := range last {
		out = append(out, c)
	}
	return out
}
