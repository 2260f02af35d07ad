package sim

import (
	"context"
	"errors"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// coord is a coordinator process: pkg/coordinator's leader loop as steps, around the real Sequencer.
type coord struct {
	pause
	r       *Region
	id      string
	log     *memory.Log
	objects archive.Objects

	replica *state.State // confirmed; nil before the first load
	term    metastore.Term
	seq     *coordinator.Sequencer
	steps   *coordinator.Steps
	desk    desk
	fence   int64 // revision
	fenced  bool
	queue   []command
	waiting []waiter
	flight  *flight
	ticked  int64
	archive *archiving
	tail    []metastore.RawEntry // applied since the replica was loaded: what a coordinator's feed has
	was     lostLog              // that the replica followed before the present one, until it has loaded that
	sure    confirmed            // by etcd, to this process
	halted  bool                 // it has ended, as etcd lost what the archive has
}

// command runs on the leader; with nil it is told that nobody leads here.
type command func(tx *tx)

// tx is a command's hold on the leader.
type tx struct {
	c    *coord
	mute bool // the answer is lost on its way
}

type waiter struct {
	mark    uint64
	release func(error)
}

type flight struct {
	number  uint64
	value   []byte // nil for a barrier
	before  metastore.Head
	settles int
}

func newCoord(r *Region, i int) *coord {
	return &coord{
		r: r, id: fmt.Sprintf("coordinator %s%d", r.name, i), log: r.openLog(false), objects: &archiveOf{Objects: objstore.AsObjects(r.openBucket(false)), r: r},
	}
}

func (c *coord) String() string { return c.id }

// reply hands out an answer once the log has confirmed what it was computed from (C1).
func (tx *tx) reply(fn func(error)) {
	if tx.mute {
		fn = func(error) {}
	}
	tx.c.wait(waiter{tx.c.seq.Mark(), fn})
}

// wait keeps an answer until the log has confirmed what it was computed from.
func (c *coord) wait(x waiter) {
	if c.r.w.bug == earlyAnswers {
		x.release(nil)
		return
	}
	c.waiting = append(c.waiting, x)
}

func (tx *tx) emit(ev *metalogpb.Event, blobs ...[]byte) error {
	if tx.c.fenced {
		return base.ErrReadOnly
	}
	err := tx.c.steps.Emit(ev, blobs...)
	tx.c.collect()
	return err
}

func (c *coord) step() {
	w := c.r.w
	switch {
	case c.r.dead():
		c.crash()
	case c.halted && c.r.down:
		return // until the operator starts it again
	case w.chance(300) && !c.r.loss.rests(c):
		w.logf("%s is killed", c)
		c.crash()
	case w.chance(200):
		w.logf("%s: the leader's lease of region %s ends", c, c.r.name)
		c.r.server.ExpireLeader()
	case c.term == nil:
		c.halted = false
		c.campaign()
	case c.lost() && !w.chance(4): // it may notice late
		c.endTerm(metastore.ErrDeposed)
	default:
		c.lead()
	}
}

func (c *coord) lost() bool {
	select {
	case <-c.term.Lost():
		return true
	default:
		return false
	}
}

// lead does one of the things that a leader does.
func (c *coord) lead() {
	c.wake()
	switch n := c.r.w.rng.IntN(20); {
	case n < 8 && len(c.queue) > 0:
		take := min(len(c.queue), 1+c.r.w.rng.IntN(4))
		if c.r.w.rng.IntN(3) == 0 {
			take = len(c.queue)
		}
		for range take {
			if len(c.queue) == 0 {
				break // a command ended the term
			}
			cmd := c.queue[0]
			c.queue = c.queue[1:]
			cmd(&tx{c: c})
		}
	case n < 16:
		if c.flight == nil {
			c.launch()
		} else {
			c.land()
		}
	case n == 16 && c.r.w.now-c.ticked > 1000:
		c.ticked = c.r.w.now
		c.steps.Tick()
		c.collect()
	case n == 17:
		if !c.r.loss.keepsFromArchive() {
			c.archiveStep()
		}
	case n == 18:
		c.watchPeer()
	case n == 19:
		c.tickGroups()
	}
}

// launch begins an append, or a barrier for answers without events.
func (c *coord) launch() {
	switch {
	case c.seq.Pending():
		value, number, before, err := c.seq.Next()
		if err != nil {
			c.r.w.fail("encode an entry: %v", err)
			return
		}
		c.flight = &flight{number: number, value: value, before: before, settles: len(c.waiting)}
		c.asked(true)
	case len(c.waiting) > 0:
		c.flight = &flight{number: c.seq.Mark(), settles: len(c.waiting)}
		c.asked(false)
	}
}

// land ends what launch began; anything may have happened in between.
func (c *coord) land() {
	f := c.flight
	c.flight = nil
	c.answered()
	ctx := context.Background()
	var err error
	if c.r.w.bug == noFence {
		pos, _ := c.r.truth.Position(ctx) // no faults there
		c.fence = pos.FenceRevision
	}
	if f.value != nil {
		err = c.term.Append(ctx, metastore.Guard{Head: f.before, FenceRevision: c.fence}, f.value)
	} else {
		var pos metastore.Position
		pos, err = c.log.Position(ctx)
		switch {
		case err != nil:
		case pos.Leader == nil || string(pos.Leader.Nonce) != string(c.term.Nonce()):
			err = metastore.ErrDeposed
		case pos.FenceRevision != c.fence:
			err = base.ErrFenced
		}
	}
	if err != nil && (f.value != nil || !errors.Is(err, base.ErrUnavailable)) {
		c.r.w.logf("%s: append of entry %d: %v", c, f.before.Seq+1, err)
		c.endTerm(err)
		return
	}
	if f.value != nil && err == nil {
		c.sure.add(c.seq.State().Incarnation(), metastore.RawEntry{Seq: f.before.Seq + 1, Value: f.value}, c.replica.Head().Seq)
	}
	// What the append brought is in the log now: the checker must know before anybody is told.
	c.r.w.check.observe()
	var settled []waiter
	kept := c.waiting[:0:0]
	for i, x := range c.waiting {
		if i < f.settles && x.mark <= f.number {
			settled = append(settled, x)
		} else {
			kept = append(kept, x)
		}
	}
	c.waiting = kept
	for _, x := range settled {
		x.release(err)
	}
}

func (c *coord) endTerm(why error) {
	c.r.w.logf("%s leads no more: %v", c, why)
	if c.steps != nil {
		c.steps.End()
		c.collect()
	}
	waiting, queue := c.waiting, c.queue
	c.drop()
	for _, x := range waiting {
		x.release(base.ErrNotLeader)
	}
	for _, cmd := range queue {
		cmd(nil)
	}
}

// crash is kill -9: nobody is answered.
func (c *coord) crash() {
	c.drop()
	c.replica, c.tail, c.was, c.sure = nil, nil, lostLog{}, confirmed{}
}

func (c *coord) drop() {
	c.term, c.seq, c.queue, c.waiting, c.flight, c.archive, c.steps = nil, nil, nil, nil, nil, nil, nil
	if c.r.w.link.home == c {
		c.r.w.link.stop()
	}
}
