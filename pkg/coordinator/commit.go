package coordinator

import (
	"fmt"
	"slices"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/twmb/franz-go/pkg/kerr"
)

// OpenSession opens a writer session and fences the sessions that the same node, or the same link, had before: their
// process is gone, or is to be treated so.
func (s *Sequencer) OpenSession(now int64, nodeID int32, link string) (base.SessionID, error) {
	for _, x := range s.st.Sessions() {
		if x.NodeID == nodeID && x.Link == link && !x.Fenced {
			fence := &metalogpb.SessionFenced{Session: uint64(x.ID)}
			if err := s.Emit(now, &metalogpb.Event{Kind: &metalogpb.Event_SessionFenced{SessionFenced: fence}}); err != nil {
				return 0, err
			}
		}
	}
	id := s.st.NextSession()
	opened := &metalogpb.SessionOpened{Session: uint64(id), NodeId: nodeID, Link: link}
	return id, s.Emit(now, &metalogpb.Event{Kind: &metalogpb.Event_SessionOpened{SessionOpened: opened}})
}

// Commit gives the batches of an object their offsets. A number at or below the session's floor is a retry and gets what
// the first call got. Errors: base.ErrFenced when the session is over or the number was abandoned.
func (s *Sequencer) Commit(now int64, req *metalogpb.CommitRequest) (*metalogpb.CommitResult, error) {
	x := s.st.Session(base.SessionID(req.Session))
	if x == nil || x.Fenced {
		return nil, fmt.Errorf("commit under session %x, which is over: %w", req.Session, base.ErrFenced)
	}
	if base.ObjectNumber(req.Number) <= x.Floor {
		return s.repeat(x, req)
	}
	if err := contiguous(x, req); err != nil {
		return nil, err
	}
	c := committing{st: s.st, heads: map[base.TopicPartition]*head{}, producers: map[producerKey]*state.Producer{}}
	ev, err := c.commit(req)
	if err != nil {
		return nil, err
	}
	if err := s.Emit(now, &metalogpb.Event{Kind: &metalogpb.Event_ObjectCommitted{ObjectCommitted: ev}}); err != nil {
		return nil, err
	}
	return c.result, s.boundProducers(now)
}

// contiguous checks that the numbers between the floor and the request's are all named as abandoned. One that is missing
// may still come (a change of the leader between two commits under way): the agent sends both again, in order.
func contiguous(x *state.Session, req *metalogpb.CommitRequest) error {
	abandoned := make(map[uint64]bool, len(req.Abandoned))
	for _, n := range req.Abandoned {
		abandoned[n] = true
	}
	for n := uint64(x.Floor) + 1; n < req.Number; n++ {
		if !abandoned[n] {
			return fmt.Errorf("commit %d of session %x follows %d and does not say what became of %d: %w",
				req.Number, req.Session, x.Floor, n, base.ErrUnavailable)
		}
	}
	return nil
}

// repeat answers a retry from what the session remembers.
func (s *Sequencer) repeat(x *state.Session, req *metalogpb.CommitRequest) (*metalogpb.CommitResult, error) {
	stored := x.Results[base.ObjectNumber(req.Number)]
	if stored == nil {
		return nil, fmt.Errorf("commit %d of session %x was abandoned or answered before: %w", req.Number, req.Session, base.ErrFenced)
	}
	res := &metalogpb.CommitResult{Number: req.Number}
	for _, e := range req.Extents {
		res.Extents = append(res.Extents, &metalogpb.ExtentResult{
			Batches: make([]*metalogpb.BatchResult, len(e.Batches)), LogStart: s.logStart(e),
		})
	}
	for _, run := range stored.Runs {
		if err := repeatRun(res, req, run); err != nil {
			return nil, err
		}
	}
	for _, o := range stored.Outcomes {
		if int(o.Extent) >= len(res.Extents) || int(o.Batch) >= len(res.Extents[o.Extent].Batches) {
			return nil, errNotARetry(req)
		}
		res.Extents[o.Extent].Batches[o.Batch] = &metalogpb.BatchResult{
			ErrorCode: o.ErrorCode, BaseOffset: o.BaseOffset, Duplicate: o.ErrorCode == 0,
		}
	}
	return res, nil
}

func errNotARetry(req *metalogpb.CommitRequest) error {
	return fmt.Errorf("commit %d of session %x is not the one that was committed: %w", req.Number, req.Session, base.ErrCorrupt)
}

func repeatRun(res *metalogpb.CommitResult, req *metalogpb.CommitRequest, run *metalogpb.ResultRun) error {
	if int(run.Extent) >= len(req.Extents) || int(run.FirstBatch+run.Batches) > len(req.Extents[run.Extent].Batches) {
		return errNotARetry(req)
	}
	offset := run.BaseOffset
	for i := run.FirstBatch; i < run.FirstBatch+run.Batches; i++ {
		res.Extents[run.Extent].Batches[i] = &metalogpb.BatchResult{BaseOffset: offset}
		offset += int64(req.Extents[run.Extent].Batches[i].Records)
	}
	return nil
}

func (s *Sequencer) logStart(e *metalogpb.ExtentMeta) int64 {
	id, err := base.TopicIDFromBytes(e.TopicId)
	if err != nil {
		return -1
	}
	if p := s.st.Partition(base.TopicPartition{Topic: id, Partition: e.Partition}); p != nil {
		return int64(p.LogStart)
	}
	return -1
}

// head is where a partition stands while one commit is worked through.
type head struct {
	end   base.Offset
	chain base.Chain
}

type producerKey struct {
	tp base.TopicPartition
	id int64
}

// committing is one commit being worked through. It looks at the state and keeps what the commit itself adds in
// overlays, so that two batches of one producer in one object are checked one after the other.
type committing struct {
	st        *state.State
	heads     map[base.TopicPartition]*head
	producers map[producerKey]*state.Producer
	result    *metalogpb.CommitResult
}

func (c *committing) commit(req *metalogpb.CommitRequest) (*metalogpb.ObjectCommitted, error) {
	c.result = &metalogpb.CommitResult{Number: req.Number}
	ev := &metalogpb.ObjectCommitted{
		Session: req.Session, Number: req.Number, Size: req.Size, Abandoned: req.Abandoned, ResolvedBelow: req.ResolvedBelow,
	}
	var topic *metalogpb.TopicExtents
	for i, e := range req.Extents {
		id, err := base.TopicIDFromBytes(e.TopicId)
		if err != nil {
			return nil, err
		}
		spans, err := c.extent(int32(i), base.TopicPartition{Topic: id, Partition: e.Partition}, e, ev)
		if err != nil {
			return nil, err
		}
		if len(spans) == 0 {
			continue
		}
		if topic == nil || string(topic.TopicId) != string(e.TopicId) {
			topic = &metalogpb.TopicExtents{TopicId: e.TopicId}
			ev.Topics = append(ev.Topics, topic)
		}
		topic.Spans = append(topic.Spans, spans...)
	}
	return ev, nil
}

// extent decides each batch of an extent. Runs of accepted batches become spans; the rest are outcomes.
func (c *committing) extent(index int32, tp base.TopicPartition, e *metalogpb.ExtentMeta, ev *metalogpb.ObjectCommitted) ([]*metalogpb.SpanCommitted, error) {
	res := &metalogpb.ExtentResult{LogStart: -1}
	c.result.Extents = append(c.result.Extents, res)
	h, code := c.head(tp)
	if p := c.st.Partition(tp); p != nil {
		res.LogStart = int64(p.LogStart)
	}
	var spans []*metalogpb.SpanCommitted
	var run *metalogpb.SpanCommitted
	position := e.Position
	for i, b := range e.Batches {
		if len(b.Digest) != len(base.Digest{}) || b.Records < 1 || b.Length < 1 {
			return nil, fmt.Errorf("commit names a batch of %d records and %d bytes with a digest of %d: %w", b.Records, b.Length, len(b.Digest), base.ErrCorrupt)
		}
		verdict := verdict{code: code}
		if code == 0 {
			verdict = c.check(tp, b)
		}
		out := &metalogpb.BatchResult{ErrorCode: int32(verdict.code), BaseOffset: verdict.duplicateOf, Duplicate: verdict.duplicate}
		if verdict.accepted() {
			if run == nil {
				run = &metalogpb.SpanCommitted{
					Partition: tp.Partition, BaseOffset: int64(h.end), Position: position, Extent: index, FirstBatch: int32(i), MaxTimestampMs: -1,
				}
				spans = append(spans, run)
			}
			out.BaseOffset = int64(h.end)
			c.accept(tp, h, run, b)
		} else {
			run = nil
			ev.Outcomes = append(ev.Outcomes, &metalogpb.BatchOutcome{
				Extent: index, Batch: int32(i), ErrorCode: int32(verdict.code), BaseOffset: verdict.duplicateOf,
			})
		}
		res.Batches = append(res.Batches, out)
		position += int64(b.Length)
	}
	return spans, nil
}

// head returns where the partition stands, or the error code for all its batches.
func (c *committing) head(tp base.TopicPartition) (*head, int16) {
	if h := c.heads[tp]; h != nil {
		return h, 0
	}
	if p := c.st.Partition(tp); p != nil {
		h := &head{end: p.End, chain: p.Chain}
		c.heads[tp] = h
		return h, 0
	}
	if t, ok := c.st.Show(tp.Topic); ok && !t.Writable() {
		return nil, kerr.NotLeaderForPartition.Code
	}
	return nil, kerr.UnknownTopicOrPartition.Code
}

func (c *committing) accept(tp base.TopicPartition, h *head, run *metalogpb.SpanCommitted, b *metalogpb.BatchMeta) {
	h.chain = h.chain.Next(h.end, base.Digest(b.Digest))
	if b.ProducerId >= 0 {
		pb := &metalogpb.ProducerBatch{
			ProducerId: b.ProducerId, ProducerEpoch: b.ProducerEpoch, BaseSequence: b.BaseSequence,
			BaseOffset: int64(h.end), LastOffsetDelta: b.Records - 1, Transactional: b.Transactional,
		}
		run.Producers = append(run.Producers, pb)
		c.note(tp, pb)
	}
	h.end += base.Offset(b.Records)
	run.LastOffset = int64(h.end) - 1
	run.Length += int64(b.Length)
	run.MaxTimestampMs = max(run.MaxTimestampMs, b.MaxTimestampMs)
	run.Chain = append([]byte(nil), h.chain[:]...)
	run.Batches++
}

// note enters an accepted batch into the overlay, as Apply will into the state.
func (c *committing) note(tp base.TopicPartition, pb *metalogpb.ProducerBatch) {
	key := producerKey{tp, pb.ProducerId}
	p := c.producer(tp, pb.ProducerId)
	next := state.NewProducer(pb.ProducerId, int16(pb.ProducerEpoch), c.st.Region().Epoch)
	if p != nil && p.Epoch == next.Epoch {
		next.GapAllowed, next.Batches = p.GapAllowed, slices.Clone(p.Batches)
	}
	next.Note(pb)
	c.producers[key] = next
}

func (c *committing) producer(tp base.TopicPartition, id int64) *state.Producer {
	if p := c.producers[producerKey{tp, id}]; p != nil {
		return p
	}
	return c.st.Producer(tp, id)
}
