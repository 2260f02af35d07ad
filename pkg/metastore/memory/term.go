package memory

import (
	"context"
	"errors"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

type term struct {
	l     *Log
	nonce []byte
	lost  chan struct{}
}

func (t *term) Nonce() []byte         { return t.nonce }
func (t *term) Lost() <-chan struct{} { return t.lost }

// Append implements metastore.Term. A lost answer is not settled here, as a backend with a real network would try to:
// the fault After is what is left when that failed too.
func (t *term) Append(_ context.Context, guard metastore.Guard, value []byte) error {
	if err := t.l.fault("append", Before); err != nil {
		return err
	}
	t.l.s.mu.Lock()
	err := t.appendLocked(t.l.s, guard, value)
	t.l.s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := t.l.fault("append", After); err != nil {
		return fmt.Errorf("append seq %d: %w: %w", guard.Head.Seq+1, metastore.ErrAmbiguous, err)
	}
	return nil
}

func (t *term) appendLocked(s *Server, guard metastore.Guard, value []byte) error {
	seq := guard.Head.Seq + 1
	switch {
	case s.pos.FenceRevision != guard.FenceRevision:
		return fmt.Errorf("append seq %d: %w", seq, base.ErrFenced)
	case s.term != t:
		return fmt.Errorf("append seq %d: %w", seq, metastore.ErrDeposed)
	case s.pos.Head != guard.Head:
		return fmt.Errorf("append seq %d, the head is %d: %w", seq, s.pos.Head.Seq, metastore.ErrConflict)
	}
	s.entries = append(s.entries, metastore.RawEntry{Seq: seq, Value: value})
	s.pos.Head = metastore.Head{Seq: seq, Hash: metastore.HashOf(value)}
	s.signal()
	return nil
}

func (t *term) leading(op string, fn func(s *Server)) error {
	return t.l.locked(op, func(s *Server) error {
		if s.term != t {
			return fmt.Errorf("%s: %w", op, metastore.ErrDeposed)
		}
		fn(s)
		return nil
	})
}

func (t *term) SetSnapshot(_ context.Context, p *metalogpb.Pointer) error {
	return t.leading("set snapshot", func(s *Server) { s.pos.Snapshot = p })
}

func (t *term) SetArchive(_ context.Context, p *metalogpb.Pointer) error {
	return t.leading("set archive", func(s *Server) { s.pos.Archive = p })
}

func (t *term) Trim(_ context.Context, upTo base.Seq) error {
	return t.leading("trim", func(s *Server) {
		for len(s.entries) > 0 && s.entries[0].Seq <= upTo {
			s.entries = s.entries[1:]
		}
	})
}

func (t *term) Resign(context.Context) error {
	err := t.leading("resign", func(s *Server) { s.drop(t) })
	if errors.Is(err, metastore.ErrDeposed) {
		return nil
	}
	return err
}
