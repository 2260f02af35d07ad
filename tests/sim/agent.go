package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/fetcher"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
	"github.com/gnomon-stream/gnomon/pkg/objlog/segment"
)

// agent is an agent process: pkg/objlog/appender's write path as steps, around the real segment format.
type agent struct {
	pause
	r     *Region
	node  int32
	store *fault.Store
	log   *memory.Log
	gone  bool // killed: what it holds is lost
	// replaced says that another process has its node id: this one goes on until it finds out.
	replaced bool

	session base.SessionID
	opening int64 // when it asked for a session, 0 for not at all
	number  uint64
	// abandoned are the numbers that the next commit names, as none will ever be committed under them.
	abandoned []uint64

	inbox   []*request // in the connections, not read yet
	buffer  []*request
	flushes []*flush // in the order of their numbers, none answered
	poison  map[stream]poisoned
	awake   int64 // the last step

	view    *state.State // nil before the first load
	fetcher *fetcher.Fetcher
}

// poisoned is a sequence that failed here, and that must come before any higher one: see poison of the appender.
type poisoned struct {
	next      int32
	since, at int64
	lowest    int32 // that was refused for next; -1 for none
}

func (x poisoned) holds(now int64) bool { return now-x.at < 5000 }

// giveUp has the producer go on at what was refused, once it has been held for a minute.
func (x poisoned) giveUp(now int64) poisoned {
	if x.lowest >= 0 && now-x.since >= 60_000 {
		return poisoned{next: x.lowest, since: now, at: x.at, lowest: -1}
	}
	return x
}

// request is one batch of one producer, on one connection.
type request struct {
	from  *conn
	batch *pbatch
}

type flush struct {
	number   uint64
	spare    uint64 // the other number of a flush whose PUT may be hedged, 0 for none
	batches  []segment.Batch
	built    segment.Built
	requests []*request
	stored   bool
	commit   *metalogpb.CommitRequest // once sent
	sentAt   int64
}

func (a *agent) String() string { return fmt.Sprintf("agent %d", a.node) }

func (a *agent) step() {
	w := a.r.w
	if w.now-a.awake > 3000 { // it stood still: what was on its way may come only now
		for s, x := range a.poison {
			x.since, x.at = w.now, w.now
			a.poison[s] = x
		}
	}
	a.awake = w.now
	switch {
	case a.r.dead(), a.replaced && !w.faulty:
		a.kill()
	case w.chance(300):
		w.logf("%s is killed with %d flushes open", a, len(a.flushes))
		a.kill()
		if !a.replaced { // who was is not started again: its node id is another's
			a.r.startAgent(a.node)
		}
	case !a.replaced && w.chance(300):
		// It stands still for hours, and is replaced; then it comes back.
		a.until, a.replaced = w.now+3*3_600_000, true
		w.logf("%s stands still, another takes its place", a)
		a.r.startAgent(a.node)
	case len(a.inbox) > 0 && w.rng.IntN(2) == 0:
		for range min(len(a.inbox), 1+w.rng.IntN(12)) {
			a.take()
		}
	case a.session == 0:
		a.open()
	default:
		a.work()
	}
}

// take reads one request. A topic that takes no writes here is refused at once; a view that lags refuses longer.
func (a *agent) take() {
	r := a.inbox[0]
	a.inbox = a.inbox[1:]
	if r.from.p.conn != r.from && a.r.w.rng.IntN(2) == 0 {
		r.from.reset = true
	}
	if r.from.reset {
		return
	}
	t, ok := a.r.oracle.Show(r.batch.p.tp.Topic)
	if ok && !t.Writable() || a.r.flip() != nil && a.r.w.chance(15) {
		a.refuse(r)
		return
	}
	s := r.batch.stream()
	if x, held := a.poison[s]; held && a.r.w.bug != noPoison && x.holds(a.r.w.now) {
		x = x.giveUp(a.r.w.now)
		a.poison[s] = x
		switch {
		case r.batch.seq > x.next:
			a.refuse(r)
			return
		case r.batch.seq == x.next:
			x.next, x.lowest = x.next+r.batch.records, -1
			a.poison[s] = x
		}
	}
	a.buffer = append(a.buffer, r)
}

// refuse answers retriably, and holds back what comes behind.
func (a *agent) refuse(r *request) {
	s := r.batch.stream()
	x, held := a.poison[s]
	if !held || !x.holds(a.r.w.now) {
		x = poisoned{next: r.batch.seq, since: a.r.w.now, lowest: -1}
	}
	if r.batch.seq > x.next && (x.lowest < 0 || r.batch.seq < x.lowest) {
		x.lowest = r.batch.seq
	}
	x.next, x.at = min(x.next, r.batch.seq), a.r.w.now
	if a.poison == nil {
		a.poison = map[stream]poisoned{}
	}
	a.poison[s] = x
	r.answer(&metalogpb.BatchResult{ErrorCode: int32(kerr.NotLeaderForPartition.Code), BaseOffset: -1})
}

func (a *agent) kill() {
	a.gone = true
	for i, x := range a.r.agents {
		if x == a {
			a.r.agents = append(a.r.agents[:i:i], a.r.agents[i+1:]...)
			break
		}
	}
}

// open asks for a writer session, again if no answer came.
func (a *agent) open() {
	w := a.r.w
	if len(a.buffer) == 0 || a.opening > 0 && w.now-a.opening < 1000 {
		return
	}
	asked := w.now
	a.opening = asked
	a.r.submit(func(tx *tx) {
		if tx == nil || tx.c.fenced {
			return
		}
		id, err := tx.c.seq.OpenSession(w.now, a.node, "")
		tx.reply(func(lost error) {
			// A late answer to an earlier request is of a session that a later one has fenced.
			if err == nil && lost == nil && !a.gone && a.opening == asked {
				a.session, a.number, a.opening, a.abandoned = id, 0, 0, nil
			}
		})
	})
}

func (a *agent) work() {
	switch n := a.r.w.rng.IntN(10); {
	case n < 3 && len(a.buffer) > 0:
		a.flush()
	case n < 6:
		a.put()
	default:
		a.send()
	}
}

func (a *agent) flush() {
	a.number++
	f := &flush{number: a.number, requests: a.buffer}
	a.buffer = nil
	for _, r := range f.requests {
		f.batches = append(f.batches, r.batch.segmentBatch())
	}
	if a.r.w.rng.IntN(2) == 0 {
		a.number++
		f.spare = a.number
	}
	a.flushes = append(a.flushes, f)
}

// quick repeats a put without waiting: the next step is the wait.
var quick = objstore.Backoff{Attempts: 2, Sleep: func(context.Context, time.Duration) error { return nil }, Random: func() float64 { return 0 }}

// put uploads one of the flushes that are not in the bucket, whichever.
func (a *agent) put() {
	var open []*flush
	for _, f := range a.flushes {
		if !f.stored {
			open = append(open, f)
		}
	}
	if len(open) == 0 {
		return
	}
	f := open[a.r.w.rng.IntN(len(open))]
	if f.spare != 0 && a.r.w.rng.IntN(3) == 0 {
		// The PUT is slow, and what is sent beside it, under the other number, comes first. The first may have been stored too.
		if a.r.w.rng.IntN(2) == 0 {
			a.upload(f)
		}
		f.number, f.spare = f.spare, f.number
	}
	f.stored = a.upload(f)
}

// upload puts a flush under its present number, and tells whether it is in the bucket.
func (a *agent) upload(f *flush) bool {
	id := base.ObjectID{Session: a.session, Number: base.ObjectNumber(f.number)}
	f.built = segment.Build(segment.Header{Cluster: a.r.cluster, Session: id.Session, Number: id.Number}, f.batches)
	key := id.Key()
	err := quick.PutSettled(context.Background(), a.store, key, f.built.Payload)
	if errors.Is(err, objstore.ErrExists) {
		// An attempt before this step was ambiguous, and is there: nobody else uses the key.
		var info objstore.Info
		if info, err = a.store.Head(context.Background(), key); err == nil && info.Size != f.built.Size {
			a.r.w.fail("%s: object %s is there with %d bytes, not %d", a, key, info.Size, f.built.Size)
		}
	}
	return err == nil
}

// send sends the next commit in order, or, when answers are overdue, all of them again, unchanged (P5).
func (a *agent) send() {
	w := a.r.w
	for _, f := range a.flushes {
		switch {
		case f.commit == nil && f.stored:
			a.propose(f)
			a.ask(f)
			return
		case f.commit == nil:
			return // P3: in the order of the numbers
		case w.now-f.sentAt > 1500:
			for _, again := range a.flushes {
				if again.commit != nil {
					a.ask(again)
				}
			}
			return
		}
	}
}

// propose makes the commit of a flush, which passes over the number that the flush does not use: below its own it is named here, above it by the
// next commit (race 11 of the appender).
func (a *agent) propose(f *flush) {
	if f.spare != 0 && f.spare < f.number {
		a.abandoned = append(a.abandoned, f.spare)
	}
	f.commit = &metalogpb.CommitRequest{
		Session: uint64(a.session), Number: f.number, Size: f.built.Size, ResolvedBelow: a.flushes[0].number, Extents: f.built.Extents,
		Abandoned: a.abandoned,
	}
	a.abandoned = nil
	if f.spare > f.number {
		a.abandoned = []uint64{f.spare}
	}
}

func (a *agent) ask(f *flush) {
	f.sentAt = a.r.w.now
	session := a.session
	a.r.submit(func(tx *tx) {
		switch {
		case tx == nil:
			return // no leader there: it is sent again
		case tx.c.fenced:
			tx.reply(func(error) { a.answered(session, f, nil, base.ErrReadOnly) })
			return
		}
		res, result := tx.c.seq.Commit(a.r.w.now, f.commit)
		tx.reply(func(err error) {
			if err == nil {
				err = result
			}
			a.answered(session, f, res, err)
		})
	})
}

// answered takes an answer to a commit. One that nobody waits for any more changes nothing.
func (a *agent) answered(session base.SessionID, f *flush, res *metalogpb.CommitResult, err error) {
	at := -1
	for i, x := range a.flushes {
		if x == f {
			at = i
		}
	}
	if a.gone || session != a.session || at < 0 {
		return
	}
	switch {
	case err == nil:
		a.flushes = append(a.flushes[:at:at], a.flushes[at+1:]...)
		for i, place := range f.built.Order {
			if b := res.Extents[place.Extent].Batches[place.Batch]; int16(b.ErrorCode) == kerr.NotLeaderForPartition.Code {
				a.refuse(f.requests[i])
				a.refuseBehind(f.requests[i])
			} else {
				f.requests[i].answer(b)
			}
		}
	case errors.Is(err, base.ErrFenced) && at == 0, errors.Is(err, base.ErrReadOnly):
		// Only the first unanswered commit's word on the session counts (race 5 of the appender).
		a.r.w.logf("%s: session %x is over: %v", a, uint64(a.session), err)
		a.endSession()
		if a.replaced {
			a.kill()
		}
	case errors.Is(err, base.ErrCorrupt):
		a.r.w.fail("%s: commit %d: %v", a, f.number, err)
	}
}

// refuseBehind refuses what is buffered behind a refused batch.
func (a *agent) refuseBehind(refused *request) {
	if a.r.w.bug == noPoison {
		return
	}
	var kept []*request
	for _, r := range a.buffer {
		if r.batch.stream() == refused.batch.stream() {
			a.refuse(r)
		} else {
			kept = append(kept, r)
		}
	}
	a.buffer = kept
}

// endSession fails all that is open; clients send it again.
func (a *agent) endSession() {
	failed := a.buffer
	for _, f := range a.flushes {
		failed = append(failed, f.requests...)
	}
	a.session, a.flushes, a.buffer = 0, nil, nil
	for _, r := range failed {
		a.refuse(r)
	}
}
