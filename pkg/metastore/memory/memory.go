package memory

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// Phase says whether a fault hook is asked before or after the call took effect.
type Phase int

// Phases.
const (
	Before Phase = iota
	After
)

// Fault decides whether a call fails. A fault After a call that changed something is a lost answer.
type Fault func(op string, phase Phase) error

// Server is the shared part of a metalog in memory.
type Server struct {
	mu       sync.Mutex
	pos      metastore.Position
	entries  []metastore.RawEntry // contiguous, ends at the head
	term     *term
	agents   map[int32]*metalogpb.Agent
	changed  chan struct{}
	NewNonce func() []byte // nil means random
}

// NewServer returns an empty metalog.
func NewServer() *Server {
	return &Server{changed: make(chan struct{}), agents: map[int32]*metalogpb.Agent{}}
}

// Open returns a process's handle. fault may be nil.
func (s *Server) Open(fault Fault) *Log {
	if fault == nil {
		fault = func(string, Phase) error { return nil }
	}
	return &Log{s: s, fault: fault}
}

// ExpireLeader ends the leader's lease: its appends fail from now on.
func (s *Server) ExpireLeader() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(s.term)
}

// SetBack makes the log what it was at seq: an etcd restored from a backup.
func (s *Server) SetBack(seq base.Seq) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.entries) - int(s.pos.Head.Seq-seq)
	s.entries = slices.Clip(s.entries[:n])
	s.pos.Head = metastore.Head{}
	if n > 0 {
		last := s.entries[n-1]
		s.pos.Head = metastore.Head{Seq: last.Seq, Hash: metastore.HashOf(last.Value)}
	}
	s.signal()
}

// Called with mu held.
func (s *Server) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Called with mu held.
func (s *Server) drop(t *term) {
	if t == nil || s.term != t {
		return
	}
	close(t.lost)
	s.term, s.pos.Leader = nil, nil
	s.signal()
}

// Log is one process's handle.
type Log struct {
	s     *Server
	fault Fault
}

func (l *Log) locked(op string, fn func(s *Server) error) error {
	if err := l.fault(op, Before); err != nil {
		return err
	}
	l.s.mu.Lock()
	err := fn(l.s)
	l.s.mu.Unlock()
	if err != nil {
		return err
	}
	return l.fault(op, After)
}

// TryCampaign leads if nobody does, or if the leader has the same id (the process was restarted); else nil.
func (l *Log) TryCampaign(id, address string) (metastore.Term, error) {
	var out metastore.Term
	err := l.locked("campaign", func(s *Server) error {
		if s.term != nil && s.pos.Leader.Id != id {
			return nil
		}
		s.drop(s.term)
		nonce := make([]byte, 16)
		if s.NewNonce != nil {
			nonce = s.NewNonce()
		} else {
			_, _ = rand.Read(nonce) // never fails
		}
		t := &term{l: l, nonce: nonce, lost: make(chan struct{})}
		s.term, s.pos.Leader = t, &metalogpb.Leader{Nonce: nonce, Address: address, Id: id}
		if s.pos.Incarnation == "" {
			s.pos.Incarnation = fmt.Sprintf("%x", nonce[:8])
		}
		out = t
		return nil
	})
	return out, err
}

// Campaign implements metastore.Log.
func (l *Log) Campaign(ctx context.Context, id, address string) (metastore.Term, error) {
	for {
		l.s.mu.Lock()
		changed := l.s.changed
		l.s.mu.Unlock()
		t, err := l.TryCampaign(id, address)
		if t != nil || err != nil {
			return t, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Position implements metastore.Log.
func (l *Log) Position(context.Context) (pos metastore.Position, err error) {
	err = l.locked("position", func(s *Server) error {
		pos = s.pos
		return nil
	})
	return pos, err
}

// Read implements metastore.Log.
func (l *Log) Read(_ context.Context, from base.Seq, maxBytes int) (out []metastore.RawEntry, err error) {
	err = l.locked("read", func(s *Server) error {
		first := s.pos.Head.Seq + 1 - base.Seq(len(s.entries))
		switch {
		case from > s.pos.Head.Seq:
			return nil
		case from < first:
			return fmt.Errorf("read from seq %d, the first kept is %d: %w", from, first, metastore.ErrTrimmed)
		}
		size := 0
		for _, e := range s.entries[from-first:] {
			if size += len(e.Value); size > maxBytes && len(out) > 0 {
				break
			}
			out = append(out, e)
		}
		return nil
	})
	return out, err
}

const followBytes = 1 << 20

// Follow implements metastore.Log.
func (l *Log) Follow(ctx context.Context, from base.Seq, fn func(metastore.RawEntry) error) error {
	for {
		l.s.mu.Lock()
		changed := l.s.changed
		l.s.mu.Unlock()
		entries, err := l.Read(ctx, from, followBytes)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := fn(e); err != nil {
				return err
			}
			from = e.Seq + 1
		}
		if len(entries) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// WriteFence implements metastore.Log.
func (l *Log) WriteFence(_ context.Context, fence *metalogpb.Fence) error {
	return l.locked("fence", func(s *Server) error {
		if err := metastore.CheckFence(s.pos.Fence, fence); err != nil {
			return err
		}
		s.pos.Fence = proto.Clone(fence).(*metalogpb.Fence)
		s.pos.FenceRevision++
		s.signal()
		return nil
	})
}

// Register implements metastore.Log. There are no leases: what is left to its lease stays.
func (l *Log) Register(ctx context.Context, agent *metalogpb.Agent, fresh bool, stands func()) error {
	err := l.locked("register", func(s *Server) error {
		if holder := s.agents[agent.NodeId]; holder != nil && !fresh && !bytes.Equal(holder.Instance, agent.Instance) {
			return fmt.Errorf("node id %d belongs to another process, at %s:%d: %w", agent.NodeId, holder.Host, holder.Port, base.ErrFenced)
		}
		s.agents[agent.NodeId] = agent
		s.signal()
		return nil
	})
	if err != nil {
		return err
	}
	stands()
	<-ctx.Done()
	if errors.Is(context.Cause(ctx), metastore.ErrLapse) {
		return ctx.Err()
	}
	_ = l.locked("unregister", func(s *Server) error {
		if s.agents[agent.NodeId] == agent { // as with leases: not what another registration has put since
			delete(s.agents, agent.NodeId)
			s.signal()
		}
		return nil
	})
	return ctx.Err()
}

// FollowAgents implements metastore.Log.
func (l *Log) FollowAgents(ctx context.Context, fn func([]*metalogpb.Agent)) error {
	var last []*metalogpb.Agent
	for first := true; ; first = false {
		l.s.mu.Lock()
		changed := l.s.changed
		var now []*metalogpb.Agent
		for _, id := range slices.Sorted(maps.Keys(l.s.agents)) {
			now = append(now, l.s.agents[id])
		}
		l.s.mu.Unlock()
		if first || !slices.Equal(last, now) {
			fn(now)
			last = now
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close implements metastore.Log.
func (l *Log) Close() error { return nil }
