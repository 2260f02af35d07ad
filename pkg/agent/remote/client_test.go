package remote

import (
	"context"
	"errors"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/rpcfault"
	"github.com/gnomon-stream/gnomon/pkg/coordinatorpb"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// R3: what the leader has not touched is sent again, whatever it is; what may have taken effect only if that is harmless.
func TestForwardAgain(t *testing.T) {
	heartbeat, create := kmsg.NewPtrHeartbeatRequest(), kmsg.NewPtrCreateTopicsRequest()
	rejoin, join := kmsg.NewPtrJoinGroupRequest(), kmsg.NewPtrJoinGroupRequest()
	rejoin.MemberID = "m"
	untouched, unknown := rpcfault.Untouched(base.ErrNotLeader), rpcfault.Connect(base.ErrNotLeader)
	broken := connect.NewError(connect.CodeUnavailable, errors.New("EOF"))
	for name, x := range map[string]struct {
		req   kmsg.Request
		fails error
		again bool
	}{
		"heartbeat, untouched":  {heartbeat, untouched, true},
		"heartbeat, unknown":    {heartbeat, unknown, true},
		"heartbeat, broken off": {heartbeat, broken, true},
		"create, untouched":     {create, untouched, true},
		"create, unknown":       {create, unknown, false},
		"create, broken off":    {create, broken, false},
		"join, unknown":         {join, unknown, false},
		"rejoin, unknown":       {rejoin, unknown, true},
		"fenced for good":       {heartbeat, rpcfault.Connect(base.ErrReadOnly), false},
	} {
		s := newStub(t)
		elect(s)
		first := true
		s.forward = func() error {
			if !first {
				return rpcfault.Connect(base.ErrFenced) // enough to see that it was asked
			}
			first = false
			return x.fails
		}
		_, err := newClient(t, s).Forward(testContext(t), kafkaapi.Client{}, x.req)
		if got := s.asked > 1; got != x.again || err == nil {
			t.Errorf("%s: asked %d times, %v", name, s.asked, err)
		}
		if !x.again && !errors.Is(err, rpcfault.From(x.fails)) && !errors.Is(err, base.ErrNotLeader) && !errors.Is(err, base.ErrUnavailable) && !errors.Is(err, base.ErrReadOnly) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A Kafka request waits for a leader, but not longer than its client.
func TestForwardWaitsForALeader(t *testing.T) {
	s := newStub(t)
	s.forward = func() error { return nil }
	c := newClient(t, s)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	// The end may come while a coordinator is being asked: then that is what is said.
	if _, err := c.Forward(ctx, kafkaapi.Client{}, kmsg.NewPtrHeartbeatRequest()); !errors.Is(err, base.ErrNotLeader) && !errors.Is(err, base.ErrUnavailable) {
		t.Errorf("nobody leads: %v", err)
	}
	time.AfterFunc(100*time.Millisecond, func() { elect(s) })
	resp, err := c.Forward(testContext(t), kafkaapi.Client{}, kmsg.NewPtrHeartbeatRequest())
	if _, ok := resp.(*kmsg.HeartbeatResponse); !ok || err != nil {
		t.Errorf("%v, %v", resp, err)
	}
}

func TestOpenSessionFindsTheLeader(t *testing.T) {
	one, two := newStub(t), newStub(t)
	elect(two, one)
	c := newClient(t, one) // two is not configured: one names it
	c.leader = c.peer(one.url)
	if id, err := c.OpenSession(testContext(t), 1); id != 7 || err != nil {
		t.Errorf("%v, %v", id, err)
	}
}

// A coordinator whose way to etcd hangs is left also by those that wait for less than it takes to say so.
func TestHeadLeavesACoordinatorWithoutEtcd(t *testing.T) {
	one, two := newStub(t), newStub(t)
	one.silent, two.head = 2*time.Second, 5
	c := newClient(t, one, two)
	ask := func(patience time.Duration) error {
		ctx, cancel := context.WithTimeout(testContext(t), patience)
		defer cancel()
		_, err := c.Head(ctx)
		return err
	}
	if err := ask(100 * time.Millisecond); !errors.Is(err, base.ErrUnavailable) {
		t.Fatal(err)
	}
	if err := ask(time.Second); err != nil {
		t.Fatalf("the other coordinator is well: %v", err)
	}
}

// Walk 6: a coordinator that lags behind what another one has confirmed is left.
func TestFollowLeavesALaggard(t *testing.T) {
	one, two := newStub(t), newStub(t)
	one.entries, two.entries, two.head = 3, 5, 5 // one has no etcd: it answers no Head
	c := newClient(t, one, two)
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	if _, err := c.Position(ctx); err != nil {
		t.Fatal(err)
	}
	var seqs []base.Seq
	from := base.Seq(1)
	take := func(raw metastore.RawEntry) error {
		seqs = append(seqs, raw.Seq)
		switch from = raw.Seq + 1; raw.Seq {
		case 3: // a client asks for the end, at two
			if head, err := c.Head(ctx); head.Seq != 5 || err != nil {
				t.Errorf("head %d, %v", head.Seq, err)
			}
		case 5:
			cancel()
		}
		return nil
	}
	began := time.Now()
	if err := c.Follow(ctx, from, take); !errors.Is(err, base.ErrUnavailable) {
		t.Fatalf("the stream of a laggard: %v", err)
	}
	if took := time.Since(began); took < lagLook || took > 10*time.Second {
		t.Errorf("left after %v", took)
	}
	if err := c.Follow(ctx, from, take); !errors.Is(err, context.Canceled) || len(seqs) != 5 {
		t.Errorf("%v, %v", seqs, err)
	}
}

// A head that goes back is of a log that was restored: it is no answer until the view was loaded from the new incarnation.
func TestHeadGoesBack(t *testing.T) {
	one := newStub(t)
	one.head, one.entries = 5, 7
	c := newClient(t, one)
	ctx := testContext(t)
	if _, err := c.Position(ctx); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	err := c.Follow(ctx, 1, func(raw metastore.RawEntry) error {
		if raw.Seq == 7 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	one.locked(func() { one.head, one.name = 5, "restored" })
	if _, err := c.Head(ctx); !errors.Is(err, base.ErrUnavailable) {
		t.Fatalf("a head below what was streamed: %v", err)
	}
	if _, err := c.Position(ctx); err != nil {
		t.Fatal(err)
	}
	if head, err := c.Head(ctx); head.Seq != 5 || err != nil {
		t.Fatalf("head %v, %v", head, err)
	}
}

// A head says which log it is of, if the coordinator does: a view of what was lost has come as far, too.
func TestHeadNamesItsIncarnation(t *testing.T) {
	one := newStub(t)
	c := newClient(t, one)
	for _, want := range []metastore.Point{{Seq: 5}, {Incarnation: "lost", Seq: 6}, {Incarnation: "restored", Seq: 6}} {
		one.locked(func() { one.head, one.name = uint64(want.Seq), want.Incarnation })
		if head, err := c.Head(testContext(t)); head != want || err != nil {
			t.Errorf("head %v, %v, want %v", head, err, want)
		}
	}
}

func agents(ids ...int32) (out []*metalogpb.Agent) {
	for _, id := range ids {
		out = append(out, &metalogpb.Agent{NodeId: id})
	}
	return out
}

// R4: another coordinator's first list may lack who has not registered again yet; it is believed once its stream has stood.
func TestRoster(t *testing.T) {
	var shown []*metalogpb.Agent
	r := &roster{tell: func(a []*metalogpb.Agent) { shown = a }}
	want := func(step string, ids ...int32) {
		t.Helper()
		same := len(shown) == len(ids)
		for i := 0; same && i < len(ids); i++ {
			same = shown[i].NodeId == ids[i]
		}
		if !same {
			t.Errorf("%s: %v, want %v", step, shown, ids)
		}
	}
	r.began()
	r.update(agents(2))
	want("the first list ever", 2)
	r.update(agents(1, 2, 3))
	r.settle()
	r.update(agents(1, 3))
	want("two has left", 1, 3)
	r.began()
	want("another coordinator", 1, 3)
	r.settle()
	want("it has said nothing", 1, 3)
	r.began()
	r.update(agents(3, 4))
	want("it knows three and a new one", 1, 3, 4)
	r.settle()
	want("one did not come back", 3, 4)
}

// Fenced is what the last list said.
func TestWatchTellsTheRole(t *testing.T) {
	s := newStub(t)
	c := newClient(t, s)
	ctx, cancel := context.WithCancel(testContext(t))
	lists := make(chan []*metalogpb.Agent, 10)
	ended := make(chan error)
	go func() { ended <- c.FollowAgents(ctx, func(a []*metalogpb.Agent) { lists <- a }) }()
	for _, fenced := range []bool{false, true} {
		s.lists <- &coordinatorpb.WatchResponse{Agents: agents(1), Fenced: fenced}
		if got := <-lists; len(got) != 1 || c.Fenced() != fenced {
			t.Errorf("%v, fenced %v", got, c.Fenced())
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
