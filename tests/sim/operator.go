package sim

import (
	"context"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// operator creates topics and the link, and loses region A by plan.
type operator struct {
	pause
	w       *World
	failAt  int // the step of the disaster
	created int
	asked   int64
	lost    bool     // the disaster has happened
	frozen  base.Seq // the head of A's log once it is fenced
	isDone  bool
	// late: the link is made when A has a snapshot, which it then begins with.
	late bool
}

func (o *operator) String() string {
	return fmt.Sprintf("operator (%s): %d topics, disaster %v, fenced at %d", o.w.plan, o.created, o.lost, o.frozen)
}

// topics that the run has, with their partitions.
var topics = []struct {
	name       string
	partitions int32
}{{"t0", 3}, {private, 1}, {"t1", 1}, {doomed, 2}}

// doomed is the topic that may be deleted.
const doomed = "late"

// private is the topic that the link's filters leave out.
const private = "private"

func (o *operator) done() bool {
	return o.created == len(topics) && (o.w.plan == NoFailover || o.isDone)
}

// primary is the region that clients connect to. Who is connected to an A that lives on stays there, and loses what it
// writes; but nobody goes back to it from B.
func (o *operator) primary() *Region {
	if o.isDone || o.w.b.flip() != nil {
		return o.w.b
	}
	return o.w.a
}

func (r *Region) dead() bool {
	o := r.w.operator
	return r == r.w.a && o.lost && r.w.faulty && (r.w.plan == Fenced || r.w.plan == CutDead)
}

func (o *operator) step() {
	w := o.w
	switch {
	case o.asked > 0 && w.now-o.asked < 2000:
	case o.created < len(topics) && !o.lost && (o.created < 3 || w.steps > 500):
		o.createTopic()
	case o.created < len(topics) && o.lost:
		o.created = len(topics) // too late for it
	case w.b.link() == nil:
		o.createLink()
	case w.plan == NoFailover || o.isDone:
	case !o.lost && (w.a.loss.holdsFailover() || w.b.loss.holdsFailover()):
	case !o.lost && !w.faulty:
		w.plan = NoFailover // it was not there in time
	case !o.lost && w.steps >= o.failAt && (w.plan.fences() || w.b.filled()):
		w.logf("DISASTER: %s", w.plan)
		o.lost, w.cut = true, !w.plan.fences()
	case o.lost && w.plan.fences() && o.frozen == 0:
		o.fence()
	case o.lost:
		o.flip()
	}
	for _, r := range []*Region{w.a, w.b} {
		if len(r.agents) == 0 && !r.dead() {
			r.startAgent(0)
		}
	}
}

func (o *operator) createTopic() {
	w, t := o.w, topics[o.created]
	id := base.TopicID{byte(o.created + 1), byte(w.rng.IntN(256))}
	o.asked = w.now
	w.a.submit(func(tx *tx) {
		if tx == nil || tx.c.seq.State().TopicByName(t.name) != nil {
			return
		}
		err := tx.emit(&metalogpb.Event{Kind: &metalogpb.Event_TopicCreated{TopicCreated: &metalogpb.TopicCreated{
			TopicId: id[:], Name: t.name, Partitions: t.partitions, ReplicationFactor: 3,
		}}})
		if err != nil {
			w.logf("create topic %s: %v", t.name, err)
		}
	})
	if have := w.a.oracle.TopicByName(t.name); have != nil {
		o.asked = 0
		o.created++
		w.admin.known[known{w.a, have.Info().ID}] = have.Partitions()
		for p := range have.Partitions() { // it may be another one by now
			o.addProducers(base.TopicPartition{Topic: have.Info().ID, Partition: p})
		}
	}
}

func (o *operator) addProducers(tp base.TopicPartition) {
	for range 1 + o.w.rng.IntN(2) {
		o.addProducer(tp, 20+o.w.rng.IntN(40))
	}
}

func (o *operator) addProducer(tp base.TopicPartition, batches int) {
	p := &producer{w: o.w, number: len(o.w.producers), id: -1, tp: tp, left: batches}
	o.w.producers = append(o.w.producers, p)
	o.w.logf("%s writes %d batches to %s", p, p.left, tp)
}

// lateMax is the step by which the link is made at last, snapshot or not.
const lateMax = 4000

func (o *operator) createLink() {
	w := o.w
	pos, err := w.a.truth.Position(context.Background())
	if err != nil || w.a.oracle.Region().Epoch == 0 || o.late && pos.Snapshot == nil && w.faulty && w.steps < lateMax {
		return
	}
	o.asked = w.now
	w.b.submit(func(tx *tx) {
		if tx == nil || tx.c.seq.State().Link(linkName) != nil {
			return
		}
		err := tx.emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkCreated{LinkCreated: &metalogpb.LinkCreated{
			Config: &metalogpb.LinkConfig{
				Name: linkName, OnTopicDeleted: "DELETE", OnTopicRecreated: "FOLLOW",
				TopicFilters: []*metalogpb.Filter{
					{PatternType: "LITERAL", FilterType: "INCLUDE", Name: "*"}, {PatternType: "LITERAL", FilterType: "EXCLUDE", Name: private},
				},
			},
			SourceClusterId: w.a.cluster[:], SourceRegionNumber: int32(w.a.number),
		}}})
		if err != nil {
			w.logf("create the link: %v", err)
		}
	})
	if w.b.link() != nil {
		o.asked = 0
	}
}

// fence freezes A's log in A's etcd. An answer that is lost is no harm: the same fence is written again.
func (o *operator) fence() {
	ctx, w := context.Background(), o.w
	log := w.a.openLog(true)
	if err := log.WriteFence(ctx, fenceOf(o.epoch(), "failover", w.now)); err != nil {
		return
	}
	pos, err := log.Position(ctx)
	if err != nil {
		return
	}
	o.frozen = pos.Head.Seq
	w.logf("A's log is fenced at seq %d", o.frozen)
}

func (o *operator) epoch() base.Epoch {
	if o.w.cut { // it knows no more of A than the image does: A may have been restored since
		return base.NextEpoch(o.w.b.number, o.w.b.oracle.Region().Epoch, o.w.b.link().Image().Region().Epoch)
	}
	return base.NextEpoch(o.w.b.number, o.w.b.oracle.Region().Epoch, o.w.b.link().Image().Region().Epoch, o.w.a.oracle.Region().Epoch)
}

// flip makes B the primary once the image holds what it can get.
func (o *operator) flip() {
	w := o.w
	if f := w.b.flip(); f != nil {
		o.isDone = true
		for _, p := range w.producers {
			if w.b.oracle.Partition(p.tp) == nil { // filtered out, or created beyond the cut: it is gone
				p.left, p.window = 0, nil
			}
		}
		w.logf("B is the primary from seq %d of A on, epoch %d", f.CutSeq, f.Epoch)
		o.leaveFenceObject(base.Epoch(f.Epoch))
		return
	}
	at := w.b.link()
	if w.plan.fences() && at.Image().Head().Seq < o.frozen || !w.b.filled() {
		return
	}
	epoch := o.epoch()
	o.asked = w.now
	w.b.submit(func(tx *tx) {
		if tx == nil {
			return
		}
		l := tx.c.seq.State().Link(linkName)
		if l == nil || !l.Active() {
			return
		}
		info := l.Info()
		err := tx.emit(&metalogpb.Event{Kind: &metalogpb.Event_RegionFlipped{RegionFlipped: &metalogpb.RegionFlipped{
			Link: linkName, Epoch: int32(epoch), CutSeq: uint64(info.Position.Seq), CutTimeMs: info.PositionTime, Fenced: w.plan.fences(),
		}}})
		if err != nil {
			w.fail("flip: %v", err)
		}
	})
}

func (o *operator) leaveFenceObject(e base.Epoch) {
	if o.w.rng.IntN(2) == 0 {
		return // A must find out otherwise
	}
	err := o.w.a.openBucket(true).Put(context.Background(), coordinator.FenceKey(e), objstore.Payload{[]byte("{}")})
	if err != nil {
		o.w.logf("no fence object: %v", err)
	}
}
