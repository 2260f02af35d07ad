package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/recovery"
)

// loss is the end of a region's etcd, and the operator who restores it by docs/RESTORE.md: pkg/recovery's restore, from the bucket. It
// may happen to the region twice.
type loss struct {
	pause
	w      *World
	r      *Region
	rng    *rand.Rand // of its own: a world without the fault stays what it was
	at     int        // the step from which on it happens
	back   int        // the step of the backup that etcd is set back to; 0: it is empty
	backup *memory.Image
	again  int // the step from which on the operator restores
	left   int // how often it is still to happen, or to be restored

	happened    bool // and is not restored
	seen        bool // the checker has seen that it is restored
	restores    int
	incarnation string        // of the log that was lost
	setTo       *memory.Image // what etcd has instead; nil for nothing
	linkless    bool          // the archive did not have the link
	failOver    bool          // rather than give up what only B has
	diverge     bool          // give it up
	alone       bool          // do not wait for a peer that does not answer
	patient     bool          // B loses its etcd once the link has an image
	asPrimary   bool          // B loses its etcd once it has taken over
	timed       bool          // and some time after that
	slow        bool          // the link's copies take longer than all of it
	late        bool          // nothing is archived for a while before: clients, and the image, have more than the archive
	bare        bool          // nothing of the restored log is archived before the next loss
	dice        *rand.Rand    // for unseen, so that the other losses stay what they were
	unseen      bool          // etcd is set back to where neither the archive nor a replica misses anything
	recent      *memory.Image // what it is set back to then
	memory      *coord        // the one process that remembers what is lost then
}

// againMax is the number of steps between a restore and the next loss, at most.
const againMax = 1200

// lossLater is by how many steps B's loss comes later than A's.
const lossLater = 1000

// newLoss gives a region's etcd the fault in one world of four, and in half of those twice.
func newLoss(r *Region, seed uint64) *loss {
	rng := rand.New(rand.NewPCG(seed, 0x6c6f7372+uint64(r.number)))
	if rng.IntN(4) > 0 {
		return nil
	}
	l := &loss{w: r.w, r: r, rng: rng, at: 800 + rng.IntN(2500), failOver: rng.IntN(2) == 0, alone: rng.IntN(4) == 0, slow: rng.IntN(2) == 0}
	if rng.IntN(2) == 0 {
		l.back = 200 + rng.IntN(l.at-200)
	}
	l.late = !l.slow && rng.IntN(2) == 0
	if l.left = 1 + rng.IntN(2); r == r.w.b {
		l.patient, l.asPrimary = rng.IntN(4) > 0, rng.IntN(2) == 0 && r.w.plan != NoFailover
		if !l.asPrimary {
			l.at += lossLater
		}
	}
	l.dice = rand.New(rand.NewPCG(seed, 0x756e7365+uint64(r.number)))
	l.unseen = l.dice.IntN(3) == 0
	l.late = l.late || l.unseen
	return l
}

func (l *loss) String() string { return "loss of etcd of region " + l.r.name }

// open tells whether a lost log is to be restored still.
func (l *loss) open() bool { return l != nil && l.happened }

// restored is how often it was.
func (l *loss) restored() int {
	if l == nil {
		return 0
	}
	return l.restores
}

// slowsLink tells whether what the link has read waits for copies just now: it is in nobody's image when A's log is lost.
func (l *loss) slowsLink() bool {
	return l != nil && l.slow && l.w.faulty && l.left > 0 && l.w.steps > l.at-300
}

// keepsFromArchive tells whether the archive of the region stands still.
func (l *loss) keepsFromArchive() bool {
	if l == nil || l.left == 0 || !l.w.faulty {
		return false
	}
	if l.happened {
		return l.bare
	}
	return l.late && (l.asPrimary && l.w.b.flip() != nil || !l.asPrimary && l.w.steps > l.at-700)
}

// holdsFailover tells whether the failover of the world's plan has to wait. For A, until it is restored, and, as it must not take a forked
// image, until the link has shown what it is. For B, while it has lost the link itself, which cannot be made again without A.
func (l *loss) holdsFailover() bool {
	switch {
	case l == nil:
		return false
	case l.r == l.w.b:
		return l.happened && l.linkless
	case l.left > 0:
		return l.w.faulty || l.happened
	}
	w := l.w
	at := w.b.link()
	if at.Info().Fault != "" {
		w.plan = NoFailover // see RESTORE.md: it would ask for consent
		return true
	}
	if lastRestore(at.Image()) == lastRestore(w.a.oracle) {
		return false
	}
	return w.plan.fences() || w.link.home != nil || w.check.forked()
}

// lastRestore is the incarnation that the last restore of a log began; "" for none.
func lastRestore(st *state.State) string {
	if all := st.Restores(); len(all) > 0 {
		return all[len(all)-1].ID
	}
	return ""
}

func (l *loss) step() {
	w := l.w
	switch {
	case l.left == 0:
	case l.asPrimary && !l.timed && w.b.flip() != nil:
		l.timed, l.at = true, max(l.at, w.steps+l.rng.IntN(500))
	case !l.happened:
		l.happen()
	case w.steps >= l.again && (l.r == w.b || !w.operator.lost || w.b.flip() != nil):
		l.restore()
	}
}

// mayHappen tells whether the etcd may be lost now. A's is not once A is; B's is while a link runs, or once B has taken over.
func (l *loss) mayHappen() bool {
	w := l.w
	switch {
	case w.steps < l.at || !w.faulty:
		return false
	case l.r == w.a:
		return !w.operator.lost && !w.a.isFenced()
	}
	at := w.b.link()
	return at != nil && (w.b.flip() != nil) == l.asPrimary && (!l.patient || at.Info().Position.Seq > 5)
}

func (l *loss) happen() {
	w, r := l.w, l.r
	if l.back > 0 && l.backup == nil && w.steps >= l.back && r.head.Seq > 0 {
		x := r.server.Backup()
		l.backup = &x
	}
	l.takeRecent()
	if !l.mayHappen() {
		return
	}
	if l.unseen && l.happenUnseen() {
		return
	}
	w.check.observe()
	pos, err := r.truth.Position(context.Background())
	tip, end := w.check.tip(r, pos.Incarnation)
	if err != nil || end == 0 || pos.Head.Seq == 0 {
		return
	}
	if l.linkless = r == w.b && !linkIn(w.check.book(r).lineOf(tip, pos.Incarnation)[:end]); l.linkless && w.operator.lost {
		return // nobody could make it again
	}
	if l.setTo = l.backup; l.setTo != nil && !w.check.shows(r, tip, end, l.setTo) {
		l.setTo = nil // nobody without memory could know
	}
	if l.setTo != nil {
		r.server.SetTo(*l.setTo)
		w.logf("DISASTER: etcd of region %s is set back from seq %d to %d of %s, the archive is at %d of %s", r.name, pos.Head.Seq, l.setTo.Seq(), l.setTo.Incarnation(), end, tip)
	} else {
		r.server.Lose()
		w.logf("DISASTER: etcd of region %s has lost its data, seq %d, the archive is at %d of %s", r.name, pos.Head.Seq, end, tip)
	}
	if at := r.link(); at != nil {
		w.logf("its image is at seq %d of %d", at.Info().Position.Seq, w.a.head.Seq)
	}
	l.happened, r.down, l.incarnation = true, true, pos.Incarnation
	l.again = w.steps + l.rng.IntN(400)
	l.bare = l.left > 1 && l.rng.IntN(3) == 0
	if l.rng.IntN(2) == 0 {
		for _, c := range r.coordinators {
			c.crash()
		}
		w.logf("the coordinators of region %s die with it", r.name)
	}
}

// restore is one attempt of the operator.
func (l *loss) restore() {
	w, other := l.w, l.w.other(l.r)
	l.again = w.steps + 20
	log := &restorer{Log: l.r.openLog(false), r: l.r}
	_, err := recovery.Restore(context.Background(), recovery.Options{
		Bucket: l.bucket(), Log: log, Peer: l, FromIncarnation: l.mistaken(), FromArchive: l.setTo != nil, AcceptDivergence: l.diverge,
		WithoutPeer: l.alone || w.cut || other.down || other.dead(),
		Settle:      time.Nanosecond, Now: func() time.Time { return time.UnixMilli(w.now) }, Say: func(string) {}, Random: draw{w.rng},
	})
	switch {
	case errors.Is(err, recovery.ErrNotLost) && l.resting() != nil:
		w.logf("operator: nothing is missing as yet: %v", err)
	case err == nil, errors.Is(err, recovery.ErrNotLost):
		l.over()
	case errors.Is(err, recovery.ErrPeerAhead) && l.failOver && w.faulty && w.plan != NoFailover:
		w.logf("operator: rather a failover: %v", err)
		w.plan, w.operator.lost = CutDead, true
	case errors.Is(err, recovery.ErrPeerAhead):
		l.diverge = true
	case errors.Is(err, base.ErrUnavailable), errors.Is(err, objstore.ErrAmbiguous):
		w.logf("operator: the restore of region %s broke off: %v", l.r.name, err)
	default:
		w.fail("K19: restore of region %s: %v", l.r.name, err)
	}
}

// bucket is what the restore sees of the bucket.
func (l *loss) bucket() objstore.Store {
	bucket := l.r.openFaulty(false, 200) // of its many calls not too many are to fail
	if l.w.bug == shortRestore {
		return short{bucket}
	}
	return bucket
}

// over has the region go on: coordinators are started, and clients leave what is not there any more.
func (l *loss) over() {
	w, r := l.w, l.r
	w.check.observe()
	l.happened, r.down, l.memory = false, false, nil
	l.restores++
	l.left--
	w.logf("operator: region %s is restored at seq %d, epoch %d", r.name, r.head.Seq, r.oracle.Region().Epoch)
	if !l.seen {
		w.fail("K19: the restore of region %s says that it is done, and has changed nothing", r.name)
	}
	if l.seen = false; l.left > 0 {
		l.next()
	}
	if r == w.a {
		l.dropQuarantine()
	}
	l.tellClients()
}

// next plans the second loss: with a backup of before the first one, with a newer one, or with none.
func (l *loss) next() {
	l.at = l.w.steps + 1 + l.rng.IntN(againMax)
	if l.bare {
		l.at = l.w.steps + 1 + l.rng.IntN(againMax/4)
	}
	if l.rng.IntN(3) > 0 {
		l.back, l.backup = 0, nil
		if l.rng.IntN(2) == 0 {
			l.back = l.w.steps + 1 + l.rng.IntN(l.at-l.w.steps)
		}
	}
	l.timed, l.diverge, l.slow = false, false, l.rng.IntN(2) == 0
	l.late = l.bare || !l.slow && l.rng.IntN(2) == 0
	l.unseen, l.recent = l.dice.IntN(3) == 0 && !l.bare, nil
	l.late = l.late || l.unseen
}

// mistaken is the incarnation that is restored by the mistake oldIncarnation, "" for the one that is to be.
func (l *loss) mistaken() string {
	if l.w.bug != oldIncarnation || l.restores == 0 {
		return ""
	}
	return l.r.oracle.Restores()[0].Parent
}

// dropQuarantine is the mistake goneQuarantine.
func (l *loss) dropQuarantine() {
	w := l.w
	if w.bug != goneQuarantine {
		return
	}
	held, err := recovery.Held(context.Background(), w.a.bucket, w.a.oracle)
	for _, o := range held {
		err = errors.Join(err, w.a.bucket.Delete(context.Background(), o.Key))
	}
	if err != nil {
		w.fail("drop what is held: %v", err)
	}
}

// tellClients has them go on without what is not there any more.
func (l *loss) tellClients() {
	w, r, o := l.w, l.r, l.w.operator
	if r == w.b && w.b.flip() == nil && o.isDone {
		w.logf("operator: the failover is lost too, it is done again")
		o.isDone = false
	}
	if r != o.primary() || r == w.a && o.lost {
		return
	}
	for i, t := range topics {
		have := r.oracle.TopicByName(t.name)
		if r == w.a && have == nil && i < o.created && t.name != doomed {
			o.created = i
			break
		}
		if have != nil {
			w.admin.known[known{r, have.Info().ID}] = have.Partitions()
		}
	}
	for _, p := range w.producers {
		if r.oracle.Partition(p.tp) == nil {
			p.left, p.window = 0, nil
		}
	}
}
