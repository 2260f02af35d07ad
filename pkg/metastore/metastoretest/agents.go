package metastoretest

import (
	"context"
	"errors"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// registration is one call of Register.
type registration struct {
	end    context.CancelCauseFunc
	stands chan struct{}
	err    chan error
}

func register(ctx context.Context, l metastore.Log, agent *metalogpb.Agent, fresh bool) *registration {
	r := &registration{stands: make(chan struct{}, 10), err: make(chan error, 1)}
	ctx, r.end = context.WithCancelCause(ctx)
	go func() { r.err <- l.Register(ctx, agent, fresh, func() { r.stands <- struct{}{} }) }()
	return r
}

// over ends the registration, which may have been ended by a fresh one before.
func (r *registration) over(t *testing.T, cause error) {
	t.Helper()
	r.end(cause)
	if err := <-r.err; err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, base.ErrFenced) && !errors.Is(err, metastore.ErrLapse) {
		t.Errorf("the registration ended with %v", err)
	}
}

func (r *registration) await(ctx context.Context, t *testing.T) {
	t.Helper()
	select {
	case <-r.stands:
	case err := <-r.err:
		t.Fatalf("the registration ended: %v", err)
	case <-ctx.Done():
		t.Fatal("the registration never stood")
	}
}

// An agent whose coordinator goes away registers at another: the list never lacks it. A process with the same node id
// takes it over if it is fresh, and is refused, as the first one is from then on, if it is not.
func testAgentMoves(t *testing.T, b Backend) {
	one, two := b.Open(t), b.Open(t)
	ctx := context30(t)
	agent := &metalogpb.Agent{NodeId: 7, Host: "first", Instance: []byte("i")}
	here := register(ctx, one, agent, true)
	here.await(ctx, t)

	lists := make(chan []*metalogpb.Agent, 100)
	fctx, stop := context.WithCancel(ctx)
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		_ = two.FollowAgents(fctx, func(a []*metalogpb.Agent) { lists <- a })
	}()
	<-lists
	here.over(t, metastore.ErrLapse)
	there := register(ctx, two, agent, false)
	there.await(ctx, t)

	other := &metalogpb.Agent{NodeId: 7, Host: "second", Instance: []byte("j")}
	if err := <-register(ctx, one, other, false).err; !errors.Is(err, base.ErrFenced) {
		t.Errorf("another process has the node id without being fresh: %v", err)
	}
	fresh := register(ctx, one, other, true)
	fresh.await(ctx, t)
	for shown := ""; shown != "second"; {
		list := <-lists
		if len(list) != 1 {
			t.Fatalf("the list became %v", list)
		}
		shown = list[0].Host
	}
	there.over(t, nil) // takes nothing away that is not its own
	if err := <-register(ctx, two, agent, false).err; !errors.Is(err, base.ErrFenced) {
		t.Errorf("the first process has the node id again: %v", err)
	}
	fresh.over(t, nil)
	for len(<-lists) > 0 {
	}
	stop()
	<-followed
}
