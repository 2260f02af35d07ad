package appender

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// loop is the appender's one goroutine; everything in it is its own.
type loop struct {
	a   *Appender
	ctx context.Context
	wg  sync.WaitGroup // the goroutines that report to the loop

	buffer     []*request
	bytes      int64
	batches    int
	partitions map[base.TopicPartition]struct{}

	session    base.SessionID
	uploads    context.Context // of the session's PUTs; endUploads ends them
	endUploads context.CancelFunc
	opening    bool
	number     base.ObjectNumber // last given out in this session
	abandoned  []uint64          // numbers since the last commit that will never be committed
	queue      []*flush          // in the order of their numbers, none answered
	puts       int               // uploads under way
	sent       int               // commits sent and not answered
	resendAt   time.Time         // zero: no commit is to be sent again
	resendWait time.Duration
	poison     poison
	stepped    time.Time // the last step
	awoke      time.Time // when the process went on after a pause
}

// Run flushes until ctx ends; what is buffered or under way then fails with a retriable error.
func (a *Appender) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	l := &loop{a: a, ctx: work, partitions: map[base.TopicPartition]struct{}{}, poison: poison{}}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		l.step()
		timer.Reset(l.sleep())
		select {
		case <-ctx.Done():
		case r := <-a.in:
			l.take(r)
		case <-a.events.wake:
		case <-timer.C:
		}
		l.handle() // first of all: an answer that is there is not late
	}
	cancel()
	l.stop()
	return nil
}

func (l *loop) handle() {
	for _, e := range l.a.events.take() {
		e(l)
	}
}

// stop answers everything, once no upload reads the batches any more. The ctx of the goroutines is over.
func (l *loop) stop() {
	close(l.a.stopped)
	l.wg.Wait()
	l.handle()
	l.endSession(errStops)
	l.failBuffer(errStops)
	l.a.late()
}

func (l *loop) take(r *request) {
	now := l.a.deps.Now()
	l.notice(now)
	if r.refused {
		l.poison.add(r, now)
		return
	}
	if err := l.poison.check(r, now); err != nil {
		l.poison.add(r, now) // what else the request holds must come again too
		l.a.finish(r, err)
		return
	}
	l.hold(r)
}

// hold puts a request at the end of the buffer.
func (l *loop) hold(r *request) {
	l.buffer = append(l.buffer, r)
	l.bytes += r.bytes
	l.batches += len(r.batches)
	for i := range r.batches {
		l.partitions[r.batches[i].tp()] = struct{}{}
	}
}

// step does whatever can be done now.
func (l *loop) step() {
	now := l.a.deps.Now()
	l.notice(now)
	l.expire(now)
	if len(l.buffer) > 0 && l.session == 0 {
		l.open()
	}
	for l.due(now) {
		l.flush(now)
	}
	l.commit(now)
}

// notice finds out whether the process stood still. What was on its way to it then may come only now.
func (l *loop) notice(now time.Time) {
	if now.Sub(l.stepped) > pauseMin {
		l.awoke = now
		l.poison.renew(now)
	}
	l.stepped = now
}

// due tells whether the buffer is to be flushed now: see Config.
func (l *loop) due(now time.Time) bool {
	c := &l.a.cfg
	if len(l.buffer) == 0 || l.session == 0 || l.puts >= c.PutsInFlight {
		return false
	}
	return l.bytes >= c.FlushBytes || len(l.partitions) >= c.FlushPartitions || l.batches >= c.FlushBatches ||
		now.Sub(l.buffer[0].arrived) >= l.patience()
}

// patience is how long the oldest request waits for others to share its object. An idle agent does not wait at all: with
// few requests nobody would come, and with many the pipe starts to fill sooner; what arrives meanwhile waits, as a flush
// is under way then, and objects grow with the load.
func (l *loop) patience() time.Duration {
	c := &l.a.cfg
	switch {
	case len(l.queue) == 0 && c.FlushMin < c.FlushInterval:
		return 0
	case l.puts < c.EagerPuts:
		return min(c.FlushMin, c.FlushInterval)
	}
	return c.FlushInterval
}

// sleep is how long nothing can become due by time alone.
func (l *loop) sleep() time.Duration {
	c, now := &l.a.cfg, l.a.deps.Now()
	wait := time.Second
	if len(l.buffer) > 0 && l.session != 0 && l.puts < c.PutsInFlight {
		wait = min(wait, l.patience()-now.Sub(l.buffer[0].arrived))
	}
	if !l.resendAt.IsZero() && l.sent == 0 {
		wait = min(wait, l.resendAt.Sub(now))
	}
	return max(wait, 0)
}

// expire fails what has waited for longer than ProduceTimeout: buffered requests that could not be flushed, and, if the
// oldest flush is that old, the whole session with it (P5).
func (l *loop) expire(now time.Time) {
	timeout := l.a.cfg.ProduceTimeout
	if len(l.buffer) > 0 && now.Sub(l.buffer[0].arrived) > timeout {
		l.failBuffer(fmt.Errorf("neither the coordinator nor the bucket took the request for %v: %w", timeout, base.ErrUnavailable))
	}
	if len(l.queue) > 0 && l.overdue(l.queue[0], now) {
		l.endSession(fmt.Errorf("commit not answered for %v: %w", timeout, base.ErrUnavailable))
	}
}

// overdue tells whether a commit is to be given up: when its oldest request came ProduceTimeout ago, but not before the
// commit was tried for a while, also after a pause of the process (walk 4 of the package comment).
func (l *loop) overdue(f *flush, now time.Time) bool {
	if f.put != putDone || f.tried.IsZero() || now.Sub(f.oldest) <= l.a.cfg.ProduceTimeout {
		return false
	}
	grace := min(commitGrace, l.a.cfg.ProduceTimeout)
	return now.Sub(f.tried) > grace && now.Sub(l.awoke) > grace
}

// open opens a session. The requests wait in the buffer meanwhile.
func (l *loop) open() {
	if l.opening {
		return
	}
	l.opening = true
	l.wg.Add(1)
	go func() {
		defer l.wg.Done()
		ctx, cancel := context.WithTimeout(l.ctx, sessionTimeout)
		defer cancel()
		id, err := l.a.deps.Committer.OpenSession(ctx)
		if err != nil {
			select { // not at once again
			case <-l.ctx.Done():
			case <-time.After(retryMin):
			}
		}
		l.a.events.send(func(l *loop) { l.opened(id, err) })
	}()
}

const (
	sessionTimeout = 5 * time.Second
	commitGrace    = 5 * time.Second
	pauseMin       = 3 * time.Second // between two steps; the loop sleeps for a second at most
	retryMin       = 20 * time.Millisecond
	retryMax       = time.Second
)

func (l *loop) opened(id base.SessionID, err error) {
	l.opening = false
	switch {
	case err == nil:
		l.session, l.number, l.abandoned = id, 0, nil
		l.uploads, l.endUploads = context.WithCancel(l.ctx)
	case errors.Is(err, base.ErrReadOnly):
		l.failBuffer(fmt.Errorf("open a writer session: %w", err))
	default:
		l.a.deps.Logger.Debug("open a writer session", "error", err)
	}
}

// endSession gives the session up: nothing of it will be acked any more. The next one fences it. What is buffered for the
// partitions concerned would follow a hole (P4) and fails too; the rest goes into the next session.
func (l *loop) endSession(err error) {
	lost := map[base.TopicPartition]struct{}{}
	for _, f := range l.queue {
		maps.Copy(lost, f.partitions)
		l.fail(f, err)
	}
	l.failBehind(lost, err)
	if l.endUploads != nil {
		l.endUploads()
	}
	l.queue, l.sent, l.resendAt, l.resendWait = nil, 0, time.Time{}, 0
	l.session = 0
}

// failBehind fails the buffered requests that have a batch of a lost partition, as a whole, and so on behind those.
func (l *loop) failBehind(lost map[base.TopicPartition]struct{}, err error) {
	if !overlap(l.partitions, lost) {
		return
	}
	buffer, now := l.buffer, l.a.deps.Now()
	l.clearBuffer()
	for _, r := range buffer {
		if !r.touches(lost) {
			l.hold(r)
			continue
		}
		for i := range r.batches {
			lost[r.batches[i].tp()] = struct{}{}
		}
		l.poison.add(r, now)
		l.a.finish(r, err)
	}
}

func (l *loop) failBuffer(err error) {
	for _, r := range l.buffer {
		l.poison.add(r, l.a.deps.Now())
		l.a.finish(r, err)
	}
	l.clearBuffer()
}

func (l *loop) clearBuffer() {
	l.buffer, l.bytes, l.batches, l.partitions = nil, 0, 0, map[base.TopicPartition]struct{}{}
}

// cut takes the oldest requests out of the buffer: FlushBytes and FlushBatches of them at most, but one at least.
func (l *loop) cut() (requests []*request, bytes int64, partitions map[base.TopicPartition]struct{}) {
	n, batches := 0, 0
	for ; n < len(l.buffer); n++ {
		r := l.buffer[n]
		if n > 0 && (bytes+r.bytes > l.a.cfg.FlushBytes || batches+len(r.batches) > l.a.cfg.FlushBatches) {
			break
		}
		bytes += r.bytes
		batches += len(r.batches)
	}
	requests, rest := l.buffer[:n:n], l.buffer[n:]
	if len(rest) == 0 {
		partitions = l.partitions
		l.clearBuffer()
		return requests, bytes, partitions
	}
	l.clearBuffer()
	for _, r := range requests {
		l.hold(r)
	}
	partitions = l.partitions
	l.clearBuffer()
	for _, r := range rest {
		l.hold(r)
	}
	return requests, bytes, partitions
}
