package region

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/rpcfault"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/coordinatorpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// roster is the list of agents as this coordinator knows it: etcd is watched once, however many agents ask.
type roster struct {
	mu      sync.Mutex
	known   bool
	agents  []*metalogpb.Agent
	changed chan struct{} // closed and replaced at each change
}

func newRoster() *roster { return &roster{changed: make(chan struct{})} }

func (r *roster) set(agents []*metalogpb.Agent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.agents, r.known = agents, true
	close(r.changed)
	r.changed = make(chan struct{})
}

// get returns the list, whether etcd has given one yet, and the signal for the next.
func (r *roster) get() (agents []*metalogpb.Agent, known bool, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.agents, r.known, r.changed
}

func (r *roster) list() []*metalogpb.Agent {
	agents, _, _ := r.get()
	return agents
}

// replacedBy returns the agent that has the node id of another instance.
func (r *roster) replacedBy(agent *metalogpb.Agent) *metalogpb.Agent {
	agents := r.list()
	i := slices.IndexFunc(agents, func(a *metalogpb.Agent) bool { return a.NodeId == agent.NodeId })
	if i < 0 || bytes.Equal(agents[i].Instance, agent.Instance) {
		return nil
	}
	return agents[i]
}

// rolePoll is how soon agents hear that the region was fenced.
const rolePoll = 100 * time.Millisecond

// Watch streams the list of agents and the region's role.
func (s *agentService) Watch(ctx context.Context, _ *connect.Request[coordinatorpb.WatchRequest], stream *connect.ServerStream[coordinatorpb.WatchResponse]) error {
	tick := time.NewTicker(rolePoll)
	defer tick.Stop()
	var said bool // whether anything was
	var fenced bool
	for {
		agents, known, changed := s.r.roster.get()
		if known {
			fenced, said = s.r.coord.Role() == coordinator.Fenced, true
			if err := stream.Send(&coordinatorpb.WatchResponse{Agents: agents, Fenced: fenced}); err != nil {
				return err
			}
		}
		for same := true; same; {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-changed:
				same = false
			case <-tick.C:
				same = !said || fenced == (s.r.coord.Role() == coordinator.Fenced)
			}
		}
	}
}

var errLeft = errors.New("the agent has said good-bye")

// Register keeps an agent in the list. When the stream breaks off, or this process stops, the key is left to its lease:
// the agent registers at another coordinator meanwhile, and clients do not see it go.
func (s *agentService) Register(ctx context.Context, stream *connect.BidiStream[coordinatorpb.RegisterRequest, coordinatorpb.RegisterResponse]) error {
	first, err := stream.Receive()
	if err != nil {
		return err
	}
	agent := first.Agent
	if agent == nil {
		return connect.NewError(connect.CodeInvalidArgument, errors.New("the first message names no agent"))
	}
	rctx, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(metastore.ErrLapse)
	stop := context.AfterFunc(ctx, func() { end(metastore.ErrLapse) })
	defer stop()
	go func() { // ends with the stream, and that with this call
		for {
			m, err := stream.Receive()
			switch {
			case err != nil:
				end(metastore.ErrLapse)
				return
			case m.Leave:
				end(errLeft)
				return
			}
		}
	}()
	var watching sync.WaitGroup
	err = s.r.log.Register(rctx, agent, first.Fresh, func() {
		if stream.Send(&coordinatorpb.RegisterResponse{}) != nil {
			end(metastore.ErrLapse)
			return
		}
		watching.Go(func() { s.watchReplaced(rctx, agent, end) })
	})
	cause := context.Cause(rctx)
	end(metastore.ErrLapse)
	watching.Wait()
	switch {
	case cause == nil: // replaced, or the lease was lost: the agent registers elsewhere
		return rpcfault.Connect(err)
	case errors.Is(cause, base.ErrFenced):
		return rpcfault.Connect(cause)
	case errors.Is(cause, errLeft):
		return nil
	}
	return rpcfault.Connect(fmt.Errorf("registration of agent %d ended here: %w", agent.NodeId, base.ErrUnavailable))
}

// watchReplaced ends a registration whose node id another process has taken over.
func (s *agentService) watchReplaced(ctx context.Context, agent *metalogpb.Agent, end context.CancelCauseFunc) {
	stood := false
	for {
		agents, _, changed := s.r.roster.get()
		stood = stood || slices.ContainsFunc(agents, func(a *metalogpb.Agent) bool {
			return a.NodeId == agent.NodeId && bytes.Equal(a.Instance, agent.Instance)
		})
		// Before the list has had this instance it may show the one that this one has just replaced.
		if by := s.r.roster.replacedBy(agent); stood && by != nil {
			end(fmt.Errorf("node id %d belongs to another process now, at %s:%d: %w", agent.NodeId, by.Host, by.Port, base.ErrFenced))
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}
