package remote

import (
	"errors"
	"slices"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/rpcfault"
	"github.com/gnomon-stream/gnomon/pkg/coordinatorpb"
)

// R1: in the order of the calls, each with its own answer, whatever the order of the answers.
func TestCommitsInOrder(t *testing.T) {
	s := newStub(t)
	elect(s)
	var held *coordinatorpb.CommitRequest
	s.commit = func(m *coordinatorpb.CommitRequest) (*coordinatorpb.CommitResponse, error) {
		if m.Commit.Number%2 == 1 { // answered behind the next one
			held = m
			return nil, nil
		}
		return yes(m)
	}
	c := newClient(t, s)
	var answers []<-chan answered
	for n := range uint64(100) {
		answers = append(answers, send(t, c, n+1))
	}
	for n := uint64(1); n < 100; n += 2 {
		if a := await(t, "an even one", answers[n]); a.err != nil || a.res.Number != n+1 {
			t.Fatalf("commit %d: %+v", n+1, a)
		}
	}
	s.locked(func() {
		if !slices.IsSorted(s.numbers) || len(s.numbers) != 100 || held == nil {
			t.Errorf("commits came as %v", s.numbers)
		}
	})
	c.Close() // R2: the odd ones were sent, and their fate is unknown
	for n := uint64(0); n < 100; n += 2 {
		if a := await(t, "an odd one", answers[n]); !errors.Is(a.err, base.ErrUnavailable) {
			t.Fatalf("commit %d: %+v", n+1, a)
		}
	}
	if a := await(t, "after the end", send(t, c, 101)); !errors.Is(a.err, base.ErrUnavailable) {
		t.Errorf("after Close: %+v", a)
	}
}

// Walk 4: the leader takes a commit and dies before it answers. The commit is of unknown fate; the next goes to whoever
// leads then.
func TestCommitStreamBreaks(t *testing.T) {
	one, two := newStub(t), newStub(t)
	elect(one, two)
	one.commit = func(*coordinatorpb.CommitRequest) (*coordinatorpb.CommitResponse, error) {
		return nil, errors.New("the end")
	}
	two.commit = yes
	c := newClient(t, one, two)
	if a := await(t, "the broken one", send(t, c, 1)); !errors.Is(a.err, base.ErrUnavailable) {
		t.Fatalf("%+v", a)
	}
	elect(two, one)
	if a := await(t, "at the next leader", send(t, c, 1)); a.err != nil || a.res.Number != 1 {
		t.Fatalf("%+v", a)
	}
}

// Walk 3: a deposed leader says so; the stream to it is given up, and the leader looked for.
func TestCommitAtDeposedLeader(t *testing.T) {
	one, two := newStub(t), newStub(t)
	elect(one, two)
	deposed := func(m *coordinatorpb.CommitRequest) (*coordinatorpb.CommitResponse, error) {
		return &coordinatorpb.CommitResponse{Id: m.Id, Fault: rpcfault.Of(base.ErrNotLeader)}, nil
	}
	one.commit, two.commit = deposed, yes
	c := newClient(t, one, two)
	elect(two, one)
	c.leader = c.peer(one.url) // as it was believed
	if a := await(t, "deposed", send(t, c, 1)); !errors.Is(a.err, base.ErrNotLeader) {
		t.Fatalf("%+v", a)
	}
	if a := await(t, "at the next leader", send(t, c, 1)); a.err != nil {
		t.Fatalf("%+v", a)
	}
	// Nobody leads: an error at once, no waiting.
	two.locked(func() { two.commit = deposed })
	await(t, "deposed again", send(t, c, 2))
	for _, s := range []*stub{one, two} {
		s.locked(func() { s.leader = "" })
	}
	if a := await(t, "nobody leads", send(t, c, 2)); !errors.Is(a.err, base.ErrNotLeader) {
		t.Fatalf("%+v", a)
	}
}

// What the sequencer says of a commit is what the appender hears.
func TestCommitErrors(t *testing.T) {
	s := newStub(t)
	elect(s)
	c := newClient(t, s)
	for _, want := range []error{base.ErrFenced, base.ErrReadOnly, base.ErrCorrupt, base.ErrUnavailable} {
		s.locked(func() {
			s.commit = func(m *coordinatorpb.CommitRequest) (*coordinatorpb.CommitResponse, error) {
				return &coordinatorpb.CommitResponse{Id: m.Id, Fault: rpcfault.Of(want)}, nil
			}
		})
		if a := await(t, want.Error(), send(t, c, 1)); !errors.Is(a.err, want) {
			t.Errorf("%v: %+v", want, a)
		}
	}
}
