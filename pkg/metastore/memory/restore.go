package memory

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

var _ metastore.Restorer = (*Log)(nil)

// Restore implements metastore.Restorer.
func (l *Log) Restore(_ context.Context, r metastore.Restoration) error {
	return l.locked("restore", func(s *Server) error {
		head := metastore.Head{Seq: r.First.Seq, Hash: metastore.HashOf(r.First.Value)}
		if s.pos.Incarnation == r.Incarnation && s.pos.Head.Seq >= head.Seq {
			return nil
		}
		was := r.Replaces
		if s.pos.Incarnation != was.Incarnation || s.pos.Head != was.Head || s.pos.FenceRevision != was.FenceRevision {
			return fmt.Errorf("restore the metalog: it has changed meanwhile, to incarnation %q at seq %d: %w", s.pos.Incarnation, s.pos.Head.Seq, metastore.ErrConflict)
		}
		s.drop(s.term)
		s.entries = []metastore.RawEntry{r.First}
		s.pos.Incarnation, s.pos.Head, s.pos.Snapshot, s.pos.Archive = r.Incarnation, head, r.Snapshot, r.Archive
		if r.Fence != nil {
			s.pos.Fence = proto.Clone(r.Fence).(*metalogpb.Fence)
			s.pos.FenceRevision++
		}
		s.signal()
		return nil
	})
}

// Lose makes the server what a new one is: its data is gone. Agents keep their entries in the list, as they would register again.
func (s *Server) Lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(s.term)
	s.entries, s.pos = nil, metastore.Position{}
	s.signal()
}

// Image is what a backup of the server holds.
type Image struct {
	pos     metastore.Position
	entries []metastore.RawEntry
}

// Backup returns what the server holds now, but for who leads.
func (s *Server) Backup() Image {
	s.mu.Lock()
	defer s.mu.Unlock()
	pos := s.pos
	pos.Leader = nil
	return Image{pos, append([]metastore.RawEntry(nil), s.entries...)}
}

// SetTo makes the server what it was at a backup: entries, and pointers too.
func (s *Server) SetTo(x Image) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(s.term)
	s.pos, s.entries = x.pos, append([]metastore.RawEntry(nil), x.entries...)
	s.signal()
}

// Seq is the head of the backup.
func (x Image) Seq() base.Seq { return x.pos.Head.Seq }

// Incarnation is that of the log in the backup.
func (x Image) Incarnation() string { return x.pos.Incarnation }
