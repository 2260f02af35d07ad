package appender

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/segment"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// makeBatch returns a sound batch of n records.
func makeBatch(partition int32, producer int64, sequence, n int32, payload int) Batch {
	b := make([]byte, batch.HeaderSize+payload)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	b[16] = 2
	binary.BigEndian.PutUint32(b[23:], uint32(n-1))
	binary.BigEndian.PutUint64(b[43:], uint64(producer))
	binary.BigEndian.PutUint32(b[53:], uint32(sequence))
	binary.BigEndian.PutUint32(b[57:], uint32(n))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	h, _, err := batch.Parse(b)
	if err != nil {
		panic(err)
	}
	return Batch{Topic: base.TopicID{1}, Partition: partition, Header: h, Bytes: b}
}

// logged is a batch as the sequencer accepted it.
type logged struct {
	producer int64
	sequence int32
	offset   int64
}

type seqSession struct {
	floor   uint64
	fenced  bool
	results map[uint64]*metalogpb.CommitResult
}

// sequencer is a Committer that judges as the real one does. It answers from its own goroutine, in order.
type sequencer struct {
	store objstore.Store
	delay func() time.Duration // before each verdict
	// before and after break a commit: before it takes effect, after it did. nil lets it pass.
	before, after func(req *metalogpb.CommitRequest) error
	// standby has every batch refused, as of a topic that is shadowed; gaps lets every batch leave one, as after a flip.
	standby, gaps atomic.Bool

	mu       sync.Mutex
	opened   int
	openErr  error
	sessions map[uint64]*seqSession
	requests []*metalogpb.CommitRequest // all that arrived
	log      map[int32][]logged
	ends     map[int32]int64
	problems []string
	tail     chan struct{} // closed when the commit before has been judged
	calls    sync.WaitGroup
}

func newSequencer(store objstore.Store) *sequencer {
	tail := make(chan struct{})
	close(tail)
	return &sequencer{
		store: store, sessions: map[uint64]*seqSession{}, log: map[int32][]logged{}, ends: map[int32]int64{}, tail: tail,
	}
}

func (s *sequencer) OpenSession(context.Context) (base.SessionID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.openErr != nil {
		return 0, s.openErr
	}
	for _, x := range s.sessions {
		x.fenced = true
	}
	s.opened++
	s.sessions[uint64(s.opened)] = &seqSession{results: map[uint64]*metalogpb.CommitResult{}}
	return base.SessionID(s.opened), nil
}

func (s *sequencer) CommitAsync(_ context.Context, req *metalogpb.CommitRequest, done func(*metalogpb.CommitResult, error)) {
	s.mu.Lock()
	s.requests = append(s.requests, req)
	before, mine := s.tail, make(chan struct{})
	s.tail = mine
	s.mu.Unlock()
	s.calls.Go(func() {
		<-before
		if s.delay != nil {
			time.Sleep(s.delay())
		}
		res, err := s.verdict(req)
		close(mine)
		done(res, err)
	})
}

func (s *sequencer) verdict(req *metalogpb.CommitRequest) (*metalogpb.CommitResult, error) {
	if s.before != nil {
		if err := s.before(req); err != nil {
			return nil, err
		}
	}
	res, err := s.judge(req)
	if err == nil && s.after != nil {
		if err := s.after(req); err != nil {
			return nil, err
		}
	}
	return res, err
}

func (s *sequencer) judge(req *metalogpb.CommitRequest) (*metalogpb.CommitResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.sessions[req.Session]
	if x == nil || x.fenced {
		return nil, fmt.Errorf("session over: %w", base.ErrFenced)
	}
	if req.Number <= x.floor {
		if res := x.results[req.Number]; res != nil {
			return res, nil
		}
		s.problems = append(s.problems, fmt.Sprintf("retry of %d has no result", req.Number))
		return nil, base.ErrFenced
	}
	abandoned := map[uint64]bool{}
	for _, n := range req.Abandoned {
		abandoned[n] = true
	}
	for n := x.floor + 1; n < req.Number; n++ {
		if !abandoned[n] {
			return nil, fmt.Errorf("gap at %d: %w", n, base.ErrFenced)
		}
	}
	s.checkObject(req)
	x.floor = req.Number
	for n := range x.results {
		if n < req.ResolvedBelow {
			delete(x.results, n)
		}
	}
	res := &metalogpb.CommitResult{Number: req.Number}
	for _, e := range req.Extents {
		out := &metalogpb.ExtentResult{}
		for _, b := range e.Batches {
			out.Batches = append(out.Batches, s.accept(e.Partition, b))
		}
		res.Extents = append(res.Extents, out)
	}
	x.results[req.Number] = res
	return res, nil
}

// checkObject holds P1, and that what is committed is what is stored, extent by extent.
func (s *sequencer) checkObject(req *metalogpb.CommitRequest) {
	id := base.ObjectID{Session: base.SessionID(req.Session), Number: base.ObjectNumber(req.Number)}
	object, err := s.store.Get(context.Background(), id.Key(), 1<<30)
	if err != nil {
		s.problems = append(s.problems, fmt.Sprintf("commit of %s before its object: %v", id, err))
		return
	}
	_, extents, err := segment.Verify(object)
	if err != nil || len(extents) != len(req.Extents) || int64(len(object)) != req.Size {
		s.problems = append(s.problems, fmt.Sprintf("object %s is not what is committed: %v", id, err))
		return
	}
	for i, e := range req.Extents {
		if e.Position != extents[i].Position || len(e.Batches) != 0 && len(e.Batches) != len(extents[i].Batches) {
			s.problems = append(s.problems, fmt.Sprintf("extent %d of %s is another", i, id))
		}
	}
}

func (s *sequencer) accept(partition int32, b *metalogpb.BatchMeta) *metalogpb.BatchResult {
	if s.standby.Load() {
		return &metalogpb.BatchResult{ErrorCode: int32(kerr.NotLeaderForPartition.Code), BaseOffset: -1}
	}
	if b.ProducerId >= 0 {
		next := int32(0)
		for _, l := range s.log[partition] {
			if l.producer != b.ProducerId {
				continue
			}
			if l.sequence == b.BaseSequence {
				return &metalogpb.BatchResult{BaseOffset: l.offset, Duplicate: true}
			}
			next = l.sequence + 1
		}
		if b.BaseSequence < next || b.BaseSequence > next && !s.gaps.Load() {
			return &metalogpb.BatchResult{ErrorCode: int32(kerr.OutOfOrderSequenceNumber.Code), BaseOffset: -1}
		}
	}
	offset := s.ends[partition]
	s.ends[partition] += int64(b.Records)
	s.log[partition] = append(s.log[partition], logged{b.ProducerId, b.BaseSequence, offset})
	return &metalogpb.BatchResult{BaseOffset: offset}
}
