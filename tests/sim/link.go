package sim

import (
	"context"
	"errors"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/shadow"
)

// linkRunner is the runner of the link, on B's leader: pkg/shadow's Runner as steps, around the real Machine and copier.
type linkRunner struct {
	pause
	w    *World
	home *coord // the leader that it runs on; nil when it does not run

	machine  *shadow.Machine
	session  base.SessionID
	copier   *shadow.ObjectCopier
	source   objstore.Store
	archive  archive.Objects
	log      *memory.Log
	last     uint64          // number given out last
	out      map[uint64]bool // numbers that are neither placed nor given up
	jobs     []shadow.CopyJob
	backfill *shadow.Backfill // nil when nothing is to be filled in
	planned  bool             // fills are there
	fills    []shadow.CopyJob
	waiting  bool // for an append, or for its session
}

func (l *linkRunner) String() string { return "link" }

// stop is the end of the runner with its leader.
func (l *linkRunner) stop() {
	*l = linkRunner{w: l.w, pause: l.pause}
}

func (l *linkRunner) step() {
	w := l.w
	at := w.b.link()
	switch {
	case at == nil || at.Info().Flip != nil || at.Info().Fault != "":
		l.stop()
	case l.home == nil:
		l.start()
	case w.chance(300):
		w.logf("link: the runner is killed")
		l.stop()
	case l.waiting || l.machine == nil:
	default:
		switch n := w.rng.IntN(10); {
		case n < 3:
			l.tail()
		case n < 6:
			l.copy()
		case n < 7:
			l.fill()
		default:
			l.append()
		}
	}
}

// do runs a command on the home leader; done is told of the end unless the runner has stopped meanwhile.
func (l *linkRunner) do(fn func(tx *tx) error, done func(error)) {
	home := l.home
	l.waiting = true
	home.queue = append(home.queue, func(tx *tx) {
		if tx == nil {
			return // home leads no more, and has stopped the runner
		}
		result := fn(tx)
		tx.reply(func(err error) {
			if l.home != home {
				return
			}
			l.waiting = false
			if err == nil {
				err = result
			}
			if err != nil {
				l.w.logf("link: %v", err)
				l.stop()
				return
			}
			done(nil)
		})
	})
}

// start opens a session and sets the machine up from the confirmed image.
func (l *linkRunner) start() {
	w := l.w
	home := w.b.leader()
	if home == nil || home.fenced {
		return
	}
	l.home, l.out = home, map[uint64]bool{}
	l.log, l.source = w.a.openLog(true), w.a.openBucket(true)
	l.archive = objstore.AsObjects(l.source)
	l.copier = &shadow.ObjectCopier{Cluster: w.b.cluster, Bucket: w.b.openBucket(false), Backoff: quick}
	var id base.SessionID
	l.do(func(tx *tx) (err error) {
		id, err = tx.c.seq.OpenSession(w.now, 0, linkName)
		return err
	}, func(error) {
		if _, err := home.refresh(); err != nil {
			l.stop()
			return
		}
		at := home.replica.Link(linkName)
		if at == nil || !at.Active() {
			l.stop()
			return
		}
		if at.Image().Head().Seq == 0 && l.adopt() {
			return
		}
		if w.bug == shadowFaulted && w.b.loss.restored() > 0 {
			l.machine = shadow.NewMachine(at, id)
			l.broken(metastore.ErrChain)
			return
		}
		l.session, l.machine, l.backfill = id, shadow.NewMachine(at, id), shadow.NewBackfill(home.replica, at)
	})
}

// tail brings the source's next entries.
func (l *linkRunner) tail() {
	pos, err := l.log.Position(context.Background())
	switch {
	case err != nil || l.w.a.down || l.machine.Queued() > 20: // a source that has just lost its etcd is out of reach, not another
		return
	case pos.Head.Seq+1 < l.machine.Next():
		l.broken(fmt.Errorf("the source ends at seq %d: %w", pos.Head.Seq, metastore.ErrChain))
		return
	}
	entries, err := readLog(l.log, l.archive, pos.Incarnation, l.machine.Next())
	if err != nil {
		return
	}
	for _, raw := range entries[:min(len(entries), 1+l.w.rng.IntN(4))] {
		jobs, err := l.machine.Offer(raw)
		switch {
		case errors.Is(err, metastore.ErrChain) && l.w.a.loss.restored() > 0:
			l.broken(err)
			return
		case err != nil:
			l.w.fail("link: entry %d: %v", raw.Seq, err)
			return
		}
		l.jobs = append(l.jobs, jobs...)
	}
}

// copy makes one attempt at one of the copies, whichever, under a number of its own.
func (l *linkRunner) copy() {
	if len(l.jobs) == 0 || l.w.a.loss.slowsLink() {
		return
	}
	i := l.w.rng.IntN(len(l.jobs))
	job := l.jobs[i]
	l.last++
	number := l.last
	placement, err := l.copier.Copy(context.Background(), l.source, job, base.ObjectID{Session: l.session, Number: base.ObjectNumber(number)})
	if l.w.bug == emptyCopies {
		placement, err = &metalogpb.Placement{
			SourceSession: uint64(job.Object.Session), SourceNumber: uint64(job.Object.Number), Number: number + 1_000_000, Size: job.Size,
		}, nil
	}
	switch {
	case err == nil:
		l.out[number] = true
		l.machine.Copied(job.Object, placement)
		l.jobs = append(l.jobs[:i:i], l.jobs[i+1:]...)
	case errors.Is(err, base.ErrCorrupt), errors.Is(err, base.ErrNotFound):
		l.w.fail("link: copy of object %s: %v", job.Object, err)
	}
}

func (l *linkRunner) floor(placed []*metalogpb.Placement) uint64 {
	for _, p := range placed {
		delete(l.out, p.Number)
	}
	floor := l.last
	for n := range l.out {
		floor = min(floor, n-1)
	}
	return floor
}

// append moves the image on.
func (l *linkRunner) append() {
	events := l.machine.Ready(0, l.floor)
	if len(events) == 0 {
		return
	}
	session := l.session
	l.do(func(tx *tx) error {
		at := tx.c.seq.State().Link(linkName)
		if at == nil || !at.Active() {
			return fmt.Errorf("the link is over: %w", base.ErrReadOnly)
		}
		if x := tx.c.seq.State().Session(session); x == nil || x.Fenced {
			return base.ErrFenced
		}
		for _, ev := range events {
			if err := tx.emit(ev); err != nil {
				return fmt.Errorf("move the image on: %w", err)
			}
		}
		return nil
	}, func(error) {})
}
