package remote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/rpcfault"
	"github.com/gnomon-stream/gnomon/pkg/coordinatorpb"
)

// identifyTimeout is for a coordinator to say who leads, while others are asked too.
const identifyTimeout = time.Second

// findLeader returns the leader as far as it is known, or asks for it: all coordinators at once, since one of them may be
// paused. base.ErrNotLeader when nobody leads, base.ErrUnavailable when nobody answers.
func (c *Client) findLeader(ctx context.Context) (*peer, error) {
	c.mu.Lock()
	known := c.leader
	c.mu.Unlock()
	if known != nil {
		return known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, identifyTimeout)
	defer cancel()
	type answer struct {
		url string
		err error
	}
	answers := make(chan answer, len(c.order))
	for _, p := range c.order {
		c.wg.Go(func() {
			resp, err := p.coord.Identify(ctx, connect.NewRequest(&coordinatorpb.IdentifyRequest{}))
			if err != nil {
				answers <- answer{err: fmt.Errorf("%s: %w", p.url, rpcfault.From(err))}
				return
			}
			answers <- answer{url: resp.Msg.LeaderUrl}
		})
	}
	failures := []error{}
	for range c.order {
		a := <-answers
		if a.url != "" {
			p := c.peer(a.url)
			c.mu.Lock()
			c.leader = p
			c.mu.Unlock()
			return p, nil
		}
		if a.err != nil {
			failures = append(failures, a.err)
		}
	}
	if len(failures) == len(c.order) {
		return nil, fmt.Errorf("no coordinator answers: %w: %w", base.ErrUnavailable, errors.Join(failures...))
	}
	return nil, fmt.Errorf("no coordinator leads: %w", base.ErrNotLeader)
}

// notLeader forgets a leader that was none, or did not answer.
func (c *Client) notLeader(p *peer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leader == p {
		c.leader = nil
	}
}

// lead asks the leader, and whoever leads next, until it answers, or fails with an error that another attempt does not
// mend, or ctx or patience ends. again tells whether the request may be sent once more after an error.
func (c *Client) lead(ctx context.Context, patience time.Duration, again func(error) bool, ask func(ctx context.Context, p *peer) error) error {
	pctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var wait backoff
	for {
		p, err := c.findLeader(ctx)
		if err == nil {
			if err = rpcfault.From(ask(ctx, p)); err == nil {
				return nil
			}
			if !passing(err) {
				return err
			}
			c.notLeader(p)
			if !again(err) {
				return err
			}
		}
		if !wait.sleep(pctx) {
			return err
		}
	}
}

// passing tells whether an error may be over once somebody else leads.
func passing(err error) bool {
	return errors.Is(err, base.ErrNotLeader) || errors.Is(err, base.ErrUnavailable)
}

func always(error) bool { return true }

// sessionPatience is how long a session is asked for; the appender asks again after that.
const sessionPatience = 5 * time.Second

// OpenSession opens a writer session. Whether an attempt whose answer was lost took effect does not matter: the next one
// fences what it opened.
func (c *Client) OpenSession(ctx context.Context, nodeID int32) (base.SessionID, error) {
	var id base.SessionID
	err := c.lead(ctx, sessionPatience, always, func(ctx context.Context, p *peer) error {
		resp, err := p.coord.OpenSession(ctx, connect.NewRequest(&coordinatorpb.OpenSessionRequest{NodeId: nodeID}))
		if err == nil {
			id = base.SessionID(resp.Msg.Session)
		}
		return err
	})
	return id, err
}
