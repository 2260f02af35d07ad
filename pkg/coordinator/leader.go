package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator/groups"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
)

// command is one piece of work for the leader loop. It runs on the loop and may emit events; it hands its answer to
// tx.reply, which releases it when the log has confirmed what the answer was computed from.
type command func(tx *Tx)

// Tx is a command's hold on the working state.
type Tx struct {
	l   *leader
	now int64 // Unix milliseconds
}

// leader is one term. Everything in it belongs to the loop goroutine.
type leader struct {
	c           *Coordinator
	term        metastore.Term
	seq         *Sequencer
	groups      *groups.Manager
	incarnation string          // of the log
	guard       metastore.Guard // fence revision of the term; its head is set for each append
	ids         idBlock

	waiting []waiter   // answers, in the order of their marks
	flight  *flight    // the append or the barrier under way
	done    chan error // the flight's end
	last    time.Time  // of the last append, for Tick
	expired time.Time  // of the last look for expired producers
	// retained is when retention was last seen to the end of the topics.
	retained time.Time
	awake    time.Time // when the loop was last seen at work, see rested
	// asked is when the flight began, zero without one.
	asked time.Time
	// sweep is what is left of the groups to be looked at for expired offsets, and swept when the last look began.
	sweep []string
	swept time.Time
	// forgotten is how many producers the log was told to have been forgotten, see noteForgotten.
	forgotten int
}

// waiter is an answer that waits for entry number mark to be confirmed by a request to the log that began after the
// answer was computed. If that fails, it is told so instead.
type waiter struct {
	mark    uint64
	release func(err error)
}

// flight is what is being asked of the log: an append of entry `number`, or a barrier. It settles the first `count`
// waiters, which were there when it began.
type flight struct {
	number uint64
	append bool
	raw    metastore.RawEntry // what is appended
	count  int
}

// reply queues an answer. fn gets nil once the answer may be given, or a retriable error.
func (tx *Tx) reply(fn func(err error)) {
	tx.l.waiting = append(tx.l.waiting, waiter{mark: tx.l.seq.Mark(), release: fn})
}

// run drives the term until it ends. It returns why; every answer that waits has then been given.
func (l *leader) run(ctx context.Context) error {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	err := l.loop(ctx, tick.C)
	if l.flight != nil {
		// The append's context is ctx's child, so it ends soon. Whether it took effect is for the next term to find out.
		if late := <-l.done; late != nil {
			l.c.cfg.Logger.Debug("append at the end of a term", "error", late)
		}
	}
	if l.groups != nil {
		for _, reply := range l.groups.Abandon().Replies {
			reply()
		}
	}
	for _, w := range l.waiting {
		w.release(fmt.Errorf("the coordinator's term ended: %w", base.ErrNotLeader))
	}
	return err
}

const (
	tickEvery = time.Second
	// groupTimerMin bounds how often the loop wakes for group deadlines.
	groupTimerMin = 5 * time.Millisecond
)

func (l *leader) loop(ctx context.Context, tick <-chan time.Time) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	l.awake = l.c.cfg.Now()
	for {
		if err := l.launch(ctx); err != nil {
			return err
		}
		l.arm(timer)
		select {
		case <-ctx.Done():
			return nil
		case <-l.term.Lost():
			return fmt.Errorf("lease of the coordinator's term: %w", metastore.ErrDeposed)
		case cmd := <-l.c.commands:
			l.rested()
			l.exec(cmd)
			l.drain()
		case err := <-l.done:
			if err := l.landed(err); err != nil {
				return err
			}
		case <-tick:
			l.rested()
			l.tick()
		case <-timer.C:
			l.rested()
			l.drain() // what members have sent counts before they are judged
			l.tickGroups()
		}
	}
}

// drain takes what else is queued, so that it shares an entry.
func (l *leader) drain() {
	for range commandsQueued {
		select {
		case cmd := <-l.c.commands:
			l.exec(cmd)
		default:
			return
		}
	}
}

func (l *leader) exec(cmd command) { cmd(&Tx{l: l, now: l.c.cfg.Now().UnixMilli()}) }

// launch starts the next append, or a barrier when only answers without events wait.
func (l *leader) launch(ctx context.Context) error {
	switch {
	case l.flight != nil:
		return nil
	case l.seq.Pending():
		l.c.metrics.entryEvents.Observe(float64(len(l.seq.queue[0].events)))
		value, number, before, err := l.seq.Next()
		if err != nil {
			return fmt.Errorf("encode an entry: %w", err)
		}
		guard := metastore.Guard{Head: before, FenceRevision: l.guard.FenceRevision}
		l.flight = &flight{number: number, append: true, raw: metastore.RawEntry{Seq: before.Seq + 1, Value: value}, count: len(l.waiting)}
		l.last = l.c.cfg.Now()
		l.asked = l.last
		l.c.metrics.entryBytes.Observe(float64(len(value)))
		go l.fly(func() error { return l.term.Append(ctx, guard, value) })
	case len(l.waiting) > 0:
		l.flight, l.asked = &flight{number: l.seq.Mark(), count: len(l.waiting)}, l.c.cfg.Now()
		head := l.seq.Head()
		go l.fly(func() error { return l.barrier(ctx, head) })
	}
	return nil
}

// fly runs one request to the log; run joins it through l.done.
func (l *leader) fly(ask func() error) {
	start := l.c.cfg.Now()
	err := ask()
	l.c.metrics.append.Observe(l.c.cfg.Now().Sub(start).Seconds())
	if err != nil && !errors.Is(err, context.Canceled) { // canceled: the term ended
		l.c.metrics.appendErrors.Inc()
	}
	l.done <- err
}

// barrier proves that the term led, and nobody has appended behind its back, at some instant after the answers were
// computed (C1).
func (l *leader) barrier(ctx context.Context, head metastore.Head) error {
	pos, err := l.c.cfg.Log.Position(ctx)
	switch {
	case err != nil:
		return err
	case pos.Leader == nil || string(pos.Leader.Nonce) != string(l.term.Nonce()):
		return fmt.Errorf("barrier: %w", metastore.ErrDeposed)
	case pos.FenceRevision != l.guard.FenceRevision:
		return fmt.Errorf("barrier: %w", base.ErrFenced)
	case head.Seq > 0 && pos.Head != head: // a backup of etcd may have the very term in it
		return fmt.Errorf("barrier at seq %d, the head is %d: %w", head.Seq, pos.Head.Seq, metastore.ErrConflict)
	}
	return nil
}

// landed releases what the flight has confirmed.
func (l *leader) landed(err error) error {
	f := l.flight
	l.flight = nil
	l.unstalled()
	if err != nil && (f.append || !errors.Is(err, base.ErrUnavailable)) {
		return fmt.Errorf("append to the metalog: %w", err)
	}
	if f.append {
		l.c.confirmed.add(l.incarnation, f.raw, l.c.replica.Applied())
	}
	// A barrier that could not be made costs its waiters their answers, but nothing else: nothing of theirs is at stake.
	var settled []waiter
	kept := l.waiting[:0]
	for i, w := range l.waiting {
		if i < f.count && w.mark <= f.number {
			settled = append(settled, w)
		} else {
			kept = append(kept, w)
		}
	}
	clear(l.waiting[len(kept):])
	l.waiting = kept
	for _, w := range settled {
		w.release(err)
	}
	return nil
}

func (l *leader) arm(timer *time.Timer) {
	if l.groups == nil || l.stalled(l.c.cfg.Now()) {
		timer.Stop() // for as long as the flight takes
		return
	}
	if at, ok := l.groups.NextDeadline(); ok {
		timer.Reset(max(at.Sub(l.c.cfg.Now()), groupTimerMin))
		return
	}
	timer.Stop()
}
