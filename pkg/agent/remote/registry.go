package remote

import (
	"context"
	"errors"
	"slices"
	"time"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/rpcfault"
	"github.com/gnomon-stream/gnomon/pkg/coordinatorpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

const (
	// leaveTimeout is for a coordinator to take the registration away.
	leaveTimeout = 2 * time.Second
	// settleTime is how long a stream has to stand before its list may lack who was in the one before: agents whose
	// coordinator went away register at another within it, and a lease lasts 3 s.
	settleTime = 5 * time.Second
)

// Register implements agent.Registry: it keeps the agent in the list until ctx ends, and then takes it away. Coordinators
// may come and go meanwhile. base.ErrFenced when another process has the node id now.
func (c *Client) Register(ctx context.Context, agent *metalogpb.Agent) error {
	fresh, wait := true, backoff{}
	for ctx.Err() == nil {
		p := c.current()
		stood, err := c.attend(ctx, p, agent, fresh)
		if stood {
			fresh, wait = false, backoff{}
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, base.ErrFenced):
			return err
		}
		c.cfg.Logger.Debug("registration of the agent", "coordinator", p.url, "error", err)
		c.avoid(p)
		if !wait.sleep(ctx) {
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// attend registers at one coordinator until ctx ends or the stream breaks off; stood tells whether it has ever said yes.
func (c *Client) attend(ctx context.Context, p *peer, agent *metalogpb.Agent, fresh bool) (stood bool, err error) {
	sctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // a good-bye is sent over it after ctx has ended
	defer cancel()
	stream := p.coord.Register(sctx)
	_ = stream.Send(&coordinatorpb.RegisterRequest{Agent: agent, Fresh: fresh}) // receive says why it could not be sent
	stands, ended := make(chan struct{}, 1), make(chan error, 1)
	c.wg.Go(func() {
		for {
			if _, err := stream.Receive(); err != nil {
				ended <- err
				return
			}
			select {
			case stands <- struct{}{}:
			default:
			}
		}
	})
	slow := time.NewTimer(askTimeout)
	defer slow.Stop()
	for {
		select {
		case <-stands:
			stood = true
			slow.Stop()
		case err := <-ended:
			return stood, rpcfault.From(err)
		case <-slow.C: // no etcd, or paused
			cancel()
			_ = stream.CloseRequest() // net/http notices the end of ctx only once the request's body has ended
			return stood, rpcfault.From(<-ended)
		case <-ctx.Done():
			_ = stream.Send(&coordinatorpb.RegisterRequest{Leave: true}) // without it the lease ends the registration
			_ = stream.CloseRequest()
			time.AfterFunc(leaveTimeout, cancel)
			return stood, rpcfault.From(<-ended)
		}
	}
}

// FollowAgents implements agent.Registry: the list of agents, as it stands, then at each change, until ctx ends. While no
// coordinator answers the last list stands. It also keeps Fenced.
func (c *Client) FollowAgents(ctx context.Context, fn func([]*metalogpb.Agent)) error {
	var wait backoff
	list := &roster{tell: fn}
	for ctx.Err() == nil {
		p := c.current()
		err := c.watch(ctx, p, list, func() { wait = backoff{} })
		if ctx.Err() != nil {
			break
		}
		c.cfg.Logger.Debug("list of agents", "coordinator", p.url, "error", err)
		c.avoid(p)
		if !wait.sleep(ctx) {
			break
		}
	}
	return ctx.Err()
}

// watch follows the list at one coordinator.
func (c *Client) watch(ctx context.Context, p *peer, list *roster, came func()) error {
	sctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := p.coord.Watch(sctx, connect.NewRequest(&coordinatorpb.WatchRequest{}))
	if err != nil {
		return rpcfault.From(err)
	}
	messages, ended := make(chan *coordinatorpb.WatchResponse), make(chan struct{})
	c.wg.Go(func() {
		defer close(ended)
		for stream.Receive() {
			m := stream.Msg()
			select {
			case messages <- &coordinatorpb.WatchResponse{Agents: m.Agents, Fenced: m.Fenced}:
			case <-sctx.Done():
				return
			}
		}
	})
	defer func() {
		cancel()
		<-ended
		_ = stream.Close() // its error is stream.Err's
	}()
	settled := time.NewTimer(settleTime)
	defer settled.Stop()
	list.began()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
			return rpcfault.From(endOf(stream.Err()))
		case <-settled.C:
			list.settle()
		case m := <-messages:
			came()
			c.fenced.Store(m.Fenced)
			list.update(m.Agents)
		}
	}
}

func endOf(err error) error {
	if err == nil {
		return errors.New("the stream ended")
	}
	return err
}

// roster is the list of agents as this agent believes it (R4).
type roster struct {
	tell    func([]*metalogpb.Agent)
	shown   []*metalogpb.Agent
	said    []*metalogpb.Agent // by the coordinator
	settled bool
	heard   bool // since the stream began
}

// began is for a new stream.
func (r *roster) began() { r.settled, r.heard = false, false }

// settle is for a stream that has stood for long enough to be believed.
func (r *roster) settle() {
	r.settled = true
	if r.heard {
		r.show(r.said)
	}
}

func (r *roster) update(agents []*metalogpb.Agent) {
	r.said, r.heard = agents, true
	if r.settled {
		r.show(agents)
		return
	}
	merged := slices.Clone(agents)
	for _, a := range r.shown {
		if !slices.ContainsFunc(merged, func(x *metalogpb.Agent) bool { return x.NodeId == a.NodeId }) {
			merged = append(merged, a)
		}
	}
	slices.SortFunc(merged, func(a, b *metalogpb.Agent) int { return int(a.NodeId) - int(b.NodeId) })
	r.show(merged)
}

func (r *roster) show(agents []*metalogpb.Agent) {
	r.shown = agents
	r.tell(agents)
}
