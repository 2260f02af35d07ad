package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/recovery"
)

// loss is the end of region A's etcd, and the operator who restores it by docs/RESTORE.md: pkg/recovery's restore, from the bucket.
type loss struct {
	pause
	w      *World
	rng    *rand.Rand // of its own: a world without the fault stays what it was
	at     int        // the step from which on it happens
	back   int        // the step of the backup that etcd is set back to; 0: it is empty
	backup *memory.Image
	again  int // the step from which on the operator restores

	happened, done bool
	incarnation    string // of the log that was lost
	failOver       bool   // rather than give up what only B has
	diverge        bool   // give it up
	alone          bool   // do not wait for a B that does not answer
	slow           bool   // the link's copies take longer than all of it
	late           bool   // nothing is archived for a while before: the image has more than the archive
}

// newLoss gives one world in four the fault.
func newLoss(w *World, seed uint64) *loss {
	rng := rand.New(rand.NewPCG(seed, 0x6c6f7373))
	if rng.IntN(4) > 0 {
		return nil
	}
	l := &loss{w: w, rng: rng, at: 800 + rng.IntN(2500), failOver: rng.IntN(2) == 0, alone: rng.IntN(4) == 0, slow: rng.IntN(2) == 0}
	if rng.IntN(2) == 0 {
		l.back = 200 + rng.IntN(l.at-200)
	}
	l.late = !l.slow && rng.IntN(2) == 0
	return l
}

func (l *loss) String() string { return "loss of etcd" }

// open tells whether a lost log is to be restored still.
func (l *loss) open() bool { return l.happened && !l.done }

// slowsLink tells whether what the link has read waits for copies just now: it is in nobody's image when the log is lost.
func (l *loss) slowsLink() bool {
	return l.slow && l.w.faulty && !l.done && l.w.steps > l.at-300
}

// keepsFromArchive tells whether the archive of the region stands still.
func (l *loss) keepsFromArchive(r *Region) bool {
	return l != nil && l.late && r == l.w.a && l.w.faulty && !l.happened && l.w.steps > l.at-700
}

// waits tells whether the failover of the world's plan has to wait: for the restore, and, as it must not take a forked image, until the
// link has shown what it is.
func (l *loss) waits() bool {
	w := l.w
	if !l.done {
		return w.faulty || l.open()
	}
	at := w.b.link()
	switch {
	case at.Info().Fault != "":
		w.plan = NoFailover // see RESTORE.md: it would ask for consent
		return true
	case len(at.Image().Restores()) > 0:
		return false
	}
	return w.plan.fences() || w.link.home != nil || w.check.forked()
}

func (l *loss) step() {
	w := l.w
	switch {
	case l.done || w.operator.lost && !l.happened:
	case !l.happened:
		l.happen()
	case w.steps >= l.again && (!w.operator.lost || w.b.flip() != nil):
		l.restore()
	}
}

// archived is the end of the archive of the log that A has, or had.
func (c *checker) archived(incarnation string) base.Seq {
	end, err := archive.NewReader(objstore.AsObjects(c.w.a.bucket)).End(context.Background(), incarnation)
	if err != nil {
		c.w.fail("read the archive's end: %v", err)
	}
	return end
}

func (l *loss) happen() {
	w := l.w
	if l.back > 0 && l.backup == nil && w.steps >= l.back && w.a.head.Seq > 0 {
		x := w.a.server.Backup()
		l.backup = &x
	}
	if w.steps < l.at || !w.faulty {
		return
	}
	pos, err := w.a.truth.Position(context.Background())
	end := w.check.archived(pos.Incarnation)
	if err != nil || end == 0 || w.a.isFenced() {
		return
	}
	w.check.observe()
	if l.backup != nil && l.backup.Seq() < end { // else nobody without memory could know
		w.a.server.SetTo(*l.backup)
		w.logf("DISASTER: etcd of region a is set back from seq %d to %d, the archive is at %d", pos.Head.Seq, l.backup.Seq(), end)
	} else {
		l.backup = nil
		w.a.server.Lose()
		w.logf("DISASTER: etcd of region a has lost its data, seq %d, the archive is at %d", pos.Head.Seq, end)
	}
	l.happened, w.a.down, l.incarnation = true, true, pos.Incarnation
	l.again = w.steps + l.rng.IntN(400)
	if l.rng.IntN(2) == 0 {
		for _, c := range w.a.coordinators {
			c.crash()
		}
		w.logf("the coordinators of region a die with it")
	}
}

// restore is one attempt of the operator.
func (l *loss) restore() {
	w := l.w
	l.again = w.steps + 20
	log := &restorer{Log: w.a.openLog(false), w: w}
	_, err := recovery.Restore(context.Background(), recovery.Options{
		Bucket: l.bucket(), Log: log, Peer: l, FromArchive: l.backup != nil, AcceptDivergence: l.diverge, WithoutPeer: l.alone,
		Settle: time.Nanosecond, Now: func() time.Time { return time.UnixMilli(w.now) }, Say: func(string) {}, Random: draw{w.rng},
	})
	switch {
	case err == nil, errors.Is(err, recovery.ErrNotLost):
		l.over()
	case errors.Is(err, recovery.ErrPeerAhead) && l.failOver && w.faulty && w.plan != NoFailover:
		w.logf("operator: rather a failover: %v", err)
		w.plan, w.operator.lost = CutDead, true
	case errors.Is(err, recovery.ErrPeerAhead):
		l.diverge = true
	case errors.Is(err, base.ErrUnavailable), errors.Is(err, objstore.ErrAmbiguous):
		w.logf("operator: the restore broke off: %v", err)
	default:
		w.fail("K19: restore: %v", err)
	}
}

// bucket is what the restore sees of the bucket.
func (l *loss) bucket() objstore.Store {
	bucket := l.w.a.openFaulty(false, 200) // of its many calls not too many are to fail
	if l.w.bug == shortRestore {
		return short{bucket}
	}
	return bucket
}

// over has the region go on: coordinators are started, and clients leave what is not there any more.
func (l *loss) over() {
	w := l.w
	l.done, w.a.down = true, false
	w.check.observe()
	w.logf("operator: region a is restored at seq %d, epoch %d", w.a.head.Seq, w.a.oracle.Region().Epoch)
	if w.bug == goneQuarantine {
		held, err := recovery.Held(context.Background(), w.a.bucket, w.a.oracle)
		for _, o := range held {
			err = errors.Join(err, w.a.bucket.Delete(context.Background(), o.Key))
		}
		if err != nil {
			w.fail("drop what is held: %v", err)
		}
	}
	o := w.operator
	if o.lost {
		return
	}
	for i, t := range topics {
		have := w.a.oracle.TopicByName(t.name)
		if have == nil && i < o.created && t.name != doomed {
			o.created = i
			break
		}
		if have != nil {
			w.admin.known[known{w.a, have.Info().ID}] = have.Partitions()
		}
	}
	for _, p := range w.producers {
		if w.a.oracle.Partition(p.tp) == nil {
			p.left, p.window = 0, nil
		}
	}
}

// Ask implements recovery.Peer.
func (l *loss) Ask(context.Context) (recovery.PeerReport, error) {
	w := l.w
	if w.chance(10) {
		return recovery.PeerReport{}, fmt.Errorf("ask region b: %w", base.ErrUnavailable)
	}
	at := w.b.link()
	if at == nil {
		return recovery.PeerReport{}, nil
	}
	if f := w.b.flip(); f != nil {
		return recovery.PeerReport{TookOver: base.Epoch(f.Epoch)}, nil
	}
	return recovery.PeerReport{Link: linkName, Position: at.Info().Position, Fault: at.Info().Fault}, nil
}

// draw makes a source of bytes of the world's generator.
type draw struct{ rng *rand.Rand }

func (d draw) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(d.rng.IntN(256))
	}
	return len(b), nil
}

// restorer is the metalog that a restore is written to.
type restorer struct {
	*memory.Log
	w *World
}

func (r *restorer) Restore(ctx context.Context, x metastore.Restoration) error {
	if r.w.bug != sameEpoch {
		return r.Log.Restore(ctx, x)
	}
	e, err := metastore.DecodeEntry(x.First.Value)
	if err != nil {
		return err
	}
	ev := e.Events[0].Kind.(*metalogpb.Event_IncarnationBegun).IncarnationBegun
	ev.Epoch, ev.NextProducerId, ev.FirstSession = int32(r.w.a.oracle.Region().Epoch), 0, 0
	if x.First.Value, err = metastore.EncodeEntry(e); err != nil {
		return err
	}
	if err := r.Log.Restore(ctx, x); err != nil {
		return err
	}
	return base.ErrUnavailable // and its entry, as it would be, is not archived
}

// short is a bucket whose last archived objects nobody lists.
type short struct{ objstore.Store }

func (s short) List(ctx context.Context, prefix, after string, most int) ([]objstore.Info, error) {
	page, err := s.Store.List(ctx, prefix, after, most)
	if len(page) > 0 && len(prefix) > len("meta/log/") && prefix[:9] == "meta/log/" {
		if next, _ := s.Store.List(ctx, prefix, page[len(page)-1].Key, 1); len(next) == 0 {
			page = page[:len(page)-1]
		}
	}
	return page, err
}
