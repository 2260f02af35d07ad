package state

import (
	"fmt"
	"slices"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// Incarnation is one that a restore from the archive began.
type Incarnation struct {
	ID           string
	Parent       string   // whose archive was restored
	Seq          base.Seq // of its first entry
	Time         int64    // event time, Unix milliseconds
	FirstSession base.SessionID
	Released     bool // what it quarantined may be collected
}

// Restores returns the restores that the log has been through, oldest first. The slice is never changed.
func (s *State) Restores() []Incarnation { return s.restores }

// applyIncarnationBegun is what a restore puts behind the last archived entry. What was lost may have acked commits, moved groups
// on, and given ids out, and nobody knows which. So:
//
//   - all writer sessions end: an agent that lives on under one can commit nothing. Its objects above the floor are quarantined;
//   - groups are emptied and their generations jump, as in a flip: a generation that was lost is not handed out again;
//   - the epoch rises, so that a reader who had read what was lost is told where the log was cut (KIP-320), and so that ids are
//     of a stripe that nobody has used. Where another region has taken over, the epoch stays, or clients would not follow its lower
//     one; then the counters jump;
//   - idempotent producers go on, and may leave one forward gap a partition: what they skip was lost, and is in quarantine.
//
// The region goes on giving way to what is above its old epoch: a region that took over without having heard of the restore
// has an epoch between the two.
func (s *State) applyIncarnationBegun(ev *metalogpb.IncarnationBegun, ctx *eventContext) error {
	region := *s.Region()
	epoch := base.Epoch(ev.Epoch)
	if ev.Incarnation == "" || epoch < region.Epoch || epoch.Region() != region.Number {
		return fmt.Errorf("incarnation %q begins at epoch %d behind %d: %w", ev.Incarnation, epoch, region.Epoch, base.ErrCorrupt)
	}
	for _, x := range s.sessions {
		if !x.Fenced && x.Link == "" {
			x.Quarantine = ev.Incarnation // a link's copies are copied again: nobody was promised them
		}
		x.Fenced = true
		clear(x.Results)
	}
	for name, g := range s.groups {
		s.setGroup(name, g.emptied())
	}
	for _, t := range s.Topics() {
		s.reopenTopic(t, epoch, epoch > region.Epoch)
	}
	s.nextProducerID, s.nextSession = ev.NextProducerId, 0
	if ev.FirstSession > 0 && base.EpochOfID(int64(ev.FirstSession)) == epoch {
		s.nextSession = ev.FirstSession&(1<<40-1) - 1
	}
	if epoch > region.Epoch {
		region.yieldAbove = min(region.Epoch, region.YieldsAbove())
	}
	region.Epoch = epoch
	s.region.Store(&region)
	s.incarnation = ev.Incarnation
	s.restores = append(slices.Clip(s.restores), Incarnation{
		ID: ev.Incarnation, Parent: ev.Parent, Seq: s.head.Seq + 1, Time: s.time, FirstSession: base.SessionID(ev.FirstSession),
	})
	ctx.changes.Catalog = true
	return nil
}

// reopenTopic lets producers of an own topic leave a gap, and begins an epoch at the end of each partition.
func (s *State) reopenTopic(t *Topic, epoch base.Epoch, begin bool) {
	for _, c := range *t.cells.Load() {
		for _, producer := range c.producers {
			producer.GapAllowed = true
		}
		if begin {
			p := *c.now.Load()
			p.Epochs = append(p.Epochs[:len(p.Epochs):len(p.Epochs)], EpochStart{Epoch: epoch, Start: p.End})
			c.now.Store(&p)
		}
	}
}

func (s *State) applyQuarantineReleased(ev *metalogpb.QuarantineReleased) error {
	i := slices.IndexFunc(s.restores, func(r Incarnation) bool { return r.ID == ev.Incarnation })
	if i < 0 {
		return fmt.Errorf("release the quarantine of restore %q, which was never made: %w", ev.Incarnation, base.ErrCorrupt)
	}
	s.restores = slices.Clone(s.restores)
	s.restores[i].Released = true
	return nil
}

// YieldsAbove is the epoch above which the region gives way to others.
func (r *Region) YieldsAbove() base.Epoch {
	if r.yieldAbove > 0 {
		return r.yieldAbove
	}
	return r.Epoch
}

// Yields tells whether the region gives way to another region that has this epoch. As a rule the higher epoch wins. A restore raises
// a region's epoch without a word to others: one that takes over before it hears of that has an epoch above the region's old one,
// though below its new one, and clients were sent there.
func (r *Region) Yields(epoch base.Epoch) bool { return epoch > r.YieldsAbove() }
