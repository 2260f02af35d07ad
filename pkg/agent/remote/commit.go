package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/rpcfault"
	"github.com/gnomon-stream/gnomon/pkg/coordinatorpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// CommitAsync implements agent.Coordinator. It does not wait, and does not try again: what fails may pass is retried by
// the appender, in order (its walks 3 to 6).
func (c *Client) CommitAsync(_ context.Context, req *metalogpb.CommitRequest, done func(*metalogpb.CommitResult, error)) {
	c.commits.put(commit{req: req, done: done})
}

type commit struct {
	req  *metalogpb.CommitRequest
	done func(*metalogpb.CommitResult, error)
}

// pipe sends commits over one stream at a time. Its own goroutine sends, one a stream receives.
type pipe struct {
	c *Client

	mu     sync.Mutex
	queue  []commit
	closed bool
	wake   chan struct{} // holds one
}

func newPipe(c *Client) *pipe { return &pipe{c: c, wake: make(chan struct{}, 1)} }

func (p *pipe) put(x commit) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		x.done(nil, errClosed)
		return
	}
	p.queue = append(p.queue, x)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

var errClosed = fmt.Errorf("the agent stops: %w", base.ErrUnavailable)

func (p *pipe) take() []commit {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.queue
	p.queue = nil
	return out
}

// run sends what is queued, until Close.
func (p *pipe) run() {
	defer func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		fail(p.take(), errClosed)
	}()
	for {
		select {
		case <-p.c.ctx.Done():
			return
		case <-p.wake:
		}
		if first := p.take(); len(first) > 0 {
			p.serve(first)
		}
	}
}

func fail(commits []commit, err error) {
	for _, x := range commits {
		x.done(nil, err)
	}
}

// serve opens a stream to the leader and sends until it breaks off. What it took is answered when it returns.
func (p *pipe) serve(first []commit) {
	leader, err := p.c.findLeader(p.c.ctx)
	if err != nil {
		fail(first, fmt.Errorf("commit: %w", err))
		return
	}
	ctx, cancel := context.WithCancel(p.c.ctx)
	defer cancel()
	s := &commitStream{stream: leader.coord.Commit(ctx), cancel: cancel, open: map[uint64]commit{}, ended: make(chan struct{})}
	p.c.wg.Go(s.receive)
	defer func() {
		cancel()
		_ = s.stream.CloseRequest() // net/http notices the end of ctx only once the request's body has ended
		<-s.ended
		p.c.notLeader(leader)
		s.abandon(leader.url)
	}()
	for batch := first; ; batch = p.take() {
		for i, x := range batch {
			if err := s.send(x); err != nil {
				fail(batch[i+1:], fmt.Errorf("commit: the stream to %s broke off: %w", leader.url, base.ErrUnavailable))
				return
			}
		}
		select {
		case <-s.ended:
			return
		case <-p.c.ctx.Done():
			return
		case <-p.wake:
		}
	}
}

// commitStream is one stream of commits.
type commitStream struct {
	stream *connect.BidiStreamForClient[coordinatorpb.CommitRequest, coordinatorpb.CommitResponse]
	cancel context.CancelFunc
	ended  chan struct{} // closed when nothing is received any more
	err    error         // why, once ended is closed

	mu   sync.Mutex
	last uint64
	open map[uint64]commit // sent and not answered
}

// send sends one commit. From then on it is the stream's, whether that fails or not.
func (s *commitStream) send(x commit) error {
	s.mu.Lock()
	s.last++
	id := s.last
	s.open[id] = x
	s.mu.Unlock()
	err := s.stream.Send(&coordinatorpb.CommitRequest{Id: id, Commit: x.req})
	if err != nil {
		s.cancel() // the reason is what receive gets
	}
	return err
}

// receive hands answers out until the stream ends, or the other end turns out not to lead.
func (s *commitStream) receive() {
	defer close(s.ended)
	defer s.cancel()
	for {
		m, err := s.stream.Receive()
		if err != nil {
			s.err = err
			return
		}
		s.mu.Lock()
		x, ok := s.open[m.Id]
		delete(s.open, m.Id)
		s.mu.Unlock()
		if !ok {
			s.err = fmt.Errorf("an answer to commit %d of the stream, which is not open: %w", m.Id, base.ErrCorrupt)
			return
		}
		if m.Fault == nil {
			x.done(m.Result, nil)
			continue
		}
		err = rpcfault.Err(m.Fault)
		x.done(nil, err)
		if errors.Is(err, base.ErrNotLeader) {
			s.err = err
			return
		}
	}
}

// abandon answers what the stream has left open: its fate is unknown (R2).
func (s *commitStream) abandon(url string) {
	_ = s.stream.CloseResponse()
	s.mu.Lock()
	left := s.open
	s.open = nil
	s.mu.Unlock()
	for _, x := range left {
		x.done(nil, fmt.Errorf("commit: no answer from %s: %w: %w", url, base.ErrUnavailable, s.err))
	}
}
