package appender

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// commit sends what may be sent: in the order of the numbers, up to the first flush whose upload is not settled. After
// an error nothing is sent until every commit under way was answered and a pause is over; then the first unanswered one
// goes first again.
func (l *loop) commit(now time.Time) {
	if !l.resendAt.IsZero() {
		if l.sent > 0 || now.Before(l.resendAt) {
			return
		}
		l.resendAt = time.Time{}
	}
	for i := 0; i < len(l.queue); {
		f := l.queue[i]
		if f.put == putting {
			return // what comes behind it may be lost yet
		}
		if f.put == putDone && f.empty() {
			f.put = putFailed
			l.fail(f, errHole)
		}
		if f.put == putFailed { // every lower number was sent: the next request names this one
			l.abandoned = append(l.abandoned, f.numbers()...)
			l.queue = slices.Delete(l.queue, i, i+1)
			continue
		}
		if !f.sent {
			l.send(f)
		}
		i++
	}
}

func (l *loop) send(f *flush) {
	if f.request == nil {
		unused := uint64(f.spare)
		if unused != 0 && f.spare < f.id.Number { // it goes before, so this commit has to name it
			l.abandoned, unused = append(l.abandoned, unused), 0
		}
		f.request = &metalogpb.CommitRequest{
			Session: uint64(f.id.Session), Number: uint64(f.id.Number), Size: f.built.Size, Extents: f.extents(),
			ResolvedBelow: uint64(l.queue[0].id.Number), Abandoned: l.abandoned,
		}
		l.abandoned = nil
		if unused != 0 {
			l.abandoned = []uint64{unused}
		}
	}
	f.sent = true
	l.sent++
	start := l.a.deps.Now()
	if f.tried.IsZero() {
		f.tried = start
	}
	l.a.deps.Committer.CommitAsync(l.ctx, f.request, func(res *metalogpb.CommitResult, err error) {
		l.a.events.send(func(l *loop) { l.committed(f, res, err, start) })
	})
}

// numbers are all that the flush has.
func (f *flush) numbers() []uint64 {
	if f.spare == 0 {
		return []uint64{uint64(f.id.Number)}
	}
	return []uint64{uint64(min(f.id.Number, f.spare)), uint64(max(f.id.Number, f.spare))}
}

// committed takes the answer to a commit.
func (l *loop) committed(f *flush, res *metalogpb.CommitResult, err error, start time.Time) {
	if f.failed != nil || f.answered || f.id.Session != l.session {
		return // its session ended meanwhile
	}
	l.sent--
	f.sent = false
	switch {
	case err == nil:
		l.enter(f)
		err = l.settle(f, res)
		if err == nil {
			l.a.metrics.commit.Observe(l.a.deps.Now().Sub(start).Seconds())
			l.resendWait = 0
			l.tell(f, start)
			return
		}
		l.endSession(fmt.Errorf("commit of segment %s: %w", f.id, err))
	case errors.Is(err, base.ErrFenced) && l.first() != f:
		// Walk (5) of the package comment: maybe only the gap before it. The one that goes first will tell.
		l.again(f, err)
	case !errors.Is(err, base.ErrUnavailable) && !errors.Is(err, base.ErrNotLeader) && !errors.Is(err, context.Canceled) &&
		!errors.Is(err, context.DeadlineExceeded):
		l.endSession(fmt.Errorf("commit of segment %s: %w: %w", f.id, base.ErrUnavailable, err))
	default:
		l.again(f, err)
	}
}

// again has a commit sent once more. The errors of one round of commits make one pause.
func (l *loop) again(f *flush, err error) {
	if l.resendAt.IsZero() {
		l.resendWait = min(max(2*l.resendWait, retryMin), retryMax)
		l.resendAt = l.a.deps.Now().Add(l.resendWait)
	}
	l.a.deps.Logger.Debug("commit is sent again", "object", f.id.String(), "error", err)
}

// first is the oldest flush that is to be committed.
func (l *loop) first() *flush {
	for _, f := range l.queue {
		if f.put != putFailed {
			return f
		}
	}
	return nil
}

var errHole = fmt.Errorf("an earlier batch of the partition was not stored: %w", base.ErrUnavailable)

// settle answers a flush's requests from its result and takes it out of the queue.
func (l *loop) settle(f *flush, res *metalogpb.CommitResult) error {
	if len(res.GetExtents()) != len(f.built.Extents) {
		return fmt.Errorf("the result has %d extents, the segment %d: %w: %w", len(res.GetExtents()), len(f.built.Extents), base.ErrUnavailable, base.ErrCorrupt)
	}
	f.answered = true
	next, refused := 0, map[base.TopicPartition]struct{}{}
	for _, r := range f.requests {
		results := make([]Result, len(r.batches))
		for i := range results {
			place := f.built.Order[next]
			next++
			if _, lost := f.lost[r.batches[i].tp()]; lost {
				results[i] = Result{Err: errHole, BaseOffset: -1, LogStart: -1}
				continue
			}
			results[i] = resultOf(res.Extents[place.Extent], place.Batch)
			if errors.Is(results[i].Err, kerr.NotLeaderForPartition) {
				l.poison.note(&r.batches[i], l.a.deps.Now())
				refused[r.batches[i].tp()] = struct{}{}
			}
		}
		l.a.answer(r, results)
	}
	l.queue = slices.DeleteFunc(l.queue, func(q *flush) bool { return q == f })
	l.failBehind(refused, errRefused)
	return nil
}

// errRefused is for what is buffered behind a batch that was refused because its topic takes no writes here now (walk 10
// of the package comment).
var errRefused = fmt.Errorf("a topic takes no writes here now: %w", base.ErrNotLeader)

func resultOf(e *metalogpb.ExtentResult, i int32) Result {
	if int(i) >= len(e.GetBatches()) || e.Batches[i] == nil {
		return Result{Err: fmt.Errorf("no result for the batch: %w", base.ErrUnavailable), BaseOffset: -1, LogStart: -1}
	}
	b := e.Batches[i]
	if b.ErrorCode != 0 {
		return Result{Err: fmt.Errorf("sequencer: %w", kerr.ErrorForCode(int16(b.ErrorCode))), BaseOffset: -1, LogStart: base.Offset(e.LogStart)}
	}
	return Result{BaseOffset: base.Offset(b.BaseOffset), LogStart: base.Offset(e.LogStart)}
}
