package coordinator

import (
	"crypto/sha256"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"google.golang.org/protobuf/proto"
)

// Limits of an entry, bytes of encoded events. etcd is fast below 100 KiB and refuses above 1.5 MiB.
const (
	entryBytesTarget = 100 << 10
	eventBytesMax    = 900 << 10
)

// Sequencer turns commands into entries. It is pure: no goroutine, no clock, no I/O; the leader loop and the simulation
// drive it. Its state is ahead of the log by the entries that Next handed out and what is still queued.
type Sequencer struct {
	st    *state.State
	nonce []byte
	head  metastore.Head // of the last entry that Next handed out
	queue []*draft
	// first is the number of the draft at queue[0]; drafts are numbered from 1 in the order of their entries.
	first uint64

	limits    Limits
	bounded   int64 // event time of the last look for producers to forget
	forgotten int   // producers, because there were too many
}

// draft is an entry in the making. All its events carry one time, so that replicas, which see one time an entry, compute
// the same state as the working state.
type draft struct {
	time   int64
	size   int
	events []*metalogpb.Event
	blobs  [][]byte
}

// NewSequencer takes the state over, which must be at the head of the log.
func NewSequencer(st *state.State, nonce []byte) *Sequencer {
	return &Sequencer{st: st, nonce: nonce, head: st.Head(), first: 1, limits: Limits{}.withDefaults()}
}

// SetLimits sets what is admitted; without it the defaults hold.
func (s *Sequencer) SetLimits(l Limits) { s.limits = l.withDefaults() }

// State is the working state.
func (s *Sequencer) State() *state.State { return s.st }

// Emit decides an event: it is applied to the working state and will be in the log. now is Unix milliseconds; blobs are
// payloads that the event names and that are in the bucket already.
func (s *Sequencer) Emit(now int64, ev *metalogpb.Event, blobs ...[]byte) error {
	size := proto.Size(ev)
	if size > eventBytesMax {
		return fmt.Errorf("event of %d bytes, at most %d fit an entry of the metalog: %w", size, eventBytesMax, base.ErrTooLarge)
	}
	d := s.open(now, size)
	loaded := make(map[metastore.Hash][]byte, len(blobs))
	for _, b := range blobs {
		h := sha256.Sum256(b)
		loaded[h] = b
		d.blobs = append(d.blobs, h[:])
	}
	if _, err := s.st.ApplyPending(ev, d.time, loaded); err != nil {
		return err
	}
	d.events = append(d.events, ev)
	d.size += size
	return nil
}

// open returns the draft that takes an event of that size.
func (s *Sequencer) open(now int64, size int) *draft {
	if n := len(s.queue); n > 0 && s.queue[n-1].size+size <= entryBytesTarget {
		return s.queue[n-1]
	}
	d := &draft{time: max(now, s.st.Time())}
	s.queue = append(s.queue, d)
	return d
}

// Mark returns the number of the entry that must be confirmed before an answer computed now is released: the last draft
// in the queue, or the last entry handed out.
func (s *Sequencer) Mark() uint64 { return s.first + uint64(len(s.queue)) - 1 }

// Pending tells whether there is anything to append.
func (s *Sequencer) Pending() bool { return len(s.queue) > 0 }

// Next closes the oldest draft and returns its encoded entry, its number, and the head that the append must find. One
// entry at a time: the caller appends it before it calls Next again.
func (s *Sequencer) Next() (value []byte, number uint64, before metastore.Head, err error) {
	d := s.queue[0]
	entry := &metalogpb.Entry{
		Seq: uint64(s.head.Seq) + 1, Nonce: s.nonce, FeatureLevel: state.FeatureLevel, TimeMs: d.time, Events: d.events, Blobs: d.blobs,
	}
	if s.head.Seq > 0 {
		entry.PrevHash = s.head.Hash[:]
	}
	value, err = metastore.EncodeEntry(entry)
	if err != nil {
		return nil, 0, s.head, err
	}
	before, number = s.head, s.first
	s.head = metastore.Head{Seq: s.head.Seq + 1, Hash: metastore.HashOf(value)}
	s.st.Seal(s.head, d.time, state.FeatureLevel)
	s.queue = s.queue[1:]
	s.first++
	return value, number, before, nil
}

// Head is the last entry that Next handed out.
func (s *Sequencer) Head() metastore.Head { return s.head }
