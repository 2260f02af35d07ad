package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/shadow"
)

// adopt makes A's newest snapshot the image of a link that has none, as pkg/shadow's bootstrap does; false: A has none. The runner begins
// anew after it.
func (l *linkRunner) adopt() bool {
	ctx := context.Background()
	pos, err := l.log.Position(ctx)
	if err == nil && l.w.a.down {
		err = base.ErrUnavailable
	}
	if err == nil && pos.Snapshot == nil {
		return false
	}
	var payload []byte
	if err == nil {
		payload, err = archive.GetSnapshot(ctx, l.archive, pos.Snapshot)
	}
	blob := [32]byte{}
	if err == nil {
		blob, err = archive.PutBlob(ctx, objstore.AsObjects(l.copier.Bucket), payload)
	}
	if err != nil {
		l.stop()
		return true
	}
	l.do(func(tx *tx) error {
		at := tx.c.seq.State().Link(linkName)
		switch {
		case at == nil || !at.Active():
			return fmt.Errorf("the link is over: %w", base.ErrReadOnly)
		case at.Image().Head().Seq > 0:
			return nil // another runner was faster
		}
		return tx.emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkAdopted{LinkAdopted: &metalogpb.LinkAdopted{
			Link: linkName, SourceIncarnation: pos.Incarnation, SourceSeq: pos.Snapshot.Seq, SourceHash: pos.Snapshot.Hash, SnapshotBlob: blob[:],
		}}}, payload)
	}, func(error) { l.stop() })
	return true
}

// fill brings one object of what came with the snapshot, whichever, and enters it.
func (l *linkRunner) fill() {
	w := l.w
	switch {
	case l.backfill == nil:
		return
	case !l.planned:
		jobs, err := l.backfill.Jobs(context.Background(), l.source, l.copier.Bucket)
		if l.planned = err == nil; l.planned {
			l.fills = jobs
			w.logf("link: %d objects are to be filled in", len(jobs))
		} else if errors.Is(err, base.ErrCorrupt) || errors.Is(err, base.ErrNotFound) {
			w.fail("K6: plan of the backfill: %v", err)
		}
		return
	case len(l.fills) == 0:
		l.backfill = nil
		return
	}
	i := w.rng.IntN(len(l.fills))
	job := l.fills[i]
	l.last++
	number := l.last
	placement, err := l.copier.Copy(context.Background(), l.source, job, base.ObjectID{Session: l.session, Number: base.ObjectNumber(number)})
	if err != nil {
		if errors.Is(err, base.ErrCorrupt) || errors.Is(err, base.ErrNotFound) {
			w.fail("K6: backfill of object %s: %v", job.Object, err)
		}
		return
	}
	l.out[number] = true
	shadow.NameSpans(job, placement)
	if w.bug == emptyFills {
		placement.Number += 1_000_000
	}
	l.fills = append(l.fills[:i:i], l.fills[i+1:]...)
	session := l.session
	l.do(func(tx *tx) error {
		at := tx.c.seq.State().Link(linkName)
		if at == nil || !at.Active() {
			return fmt.Errorf("the link is over: %w", base.ErrReadOnly)
		}
		if x := tx.c.seq.State().Session(session); x == nil || x.Fenced {
			return base.ErrFenced
		}
		ev := &metalogpb.LinkPlaced{Link: linkName, Session: uint64(session), Placements: []*metalogpb.Placement{placement}}
		ev.Floor = l.floor(ev.Placements)
		return tx.emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkPlaced{LinkPlaced: ev}})
	}, func(error) {})
}

// filled tells whether B has an image, and holds the bytes of all that it shows: a failover without consent needs no less.
func (r *Region) filled() bool {
	image := r.link().Image()
	for _, t := range image.Topics() {
		for p := range t.Partitions() {
			if t.Info().Visible && slices.ContainsFunc(t.Partition(p).Spans, func(sp state.Span) bool { return sp.Residency != state.Local }) {
				return false
			}
		}
	}
	return image.Region().Epoch > 0
}

// adopted holds K6 of an image that begins as a snapshot, and enters what A had by then: its bytes are looked at when they are read.
func (c *checker) adopted(ev *metalogpb.LinkAdopted) {
	c.image(c.w.b.link().Image(), base.Seq(ev.SourceSeq))
	at := c.book(c.w.a).at(metastore.Hash(ev.SourceHash)).topics
	for _, id := range slices.SortedFunc(maps.Keys(at), base.TopicID.Compare) {
		for p, m := range at[id].partitions {
			if at[id].name != private {
				c.copied(base.TopicPartition{Topic: id, Partition: int32(p)}, 0, m.end-1)
			}
		}
	}
}
