package sim

import (
	"context"
	"errors"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
)

// recognise is pkg/metastore/replica's: a log that ends before what was applied, or is of another incarnation, is not the one that was
// followed. Then what is in memory is archived first, and the state starts over.
func (c *coord) recognise(pos metastore.Position) error {
	if c.replica == nil || !c.r.w.lossy {
		return nil
	}
	have, incarnation := c.replica.Head(), c.replica.Incarnation()
	if (pos.Head.Seq == 0 || pos.Incarnation == incarnation) && pos.Head.Seq < have.Seq {
		c.keepTail(lostLog{incarnation, c.tail})
	}
	if incarnation != "" && pos.Incarnation != incarnation || pos.Head.Seq < have.Seq {
		c.r.w.logf("%s: the log ends at seq %d of %s, and was at %d of %s", c, pos.Head.Seq, pos.Incarnation, have.Seq, incarnation)
		c.was = lostLog{incarnation, c.tail}
		c.replica, c.tail, c.archive = nil, nil, nil
		return fmt.Errorf("the state starts over: %w", metastore.ErrChain)
	}
	return nil
}

// checkArchive is what a coordinator asks before it believes its etcd.
func (c *coord) checkArchive() error {
	if !c.r.w.lossy || c.r.w.bug == believedEtcd && c.r == c.r.w.b {
		return nil
	}
	return replica.CheckArchive(context.Background(), c.log, c.objects)
}

// haltOn ends a coordinator whose etcd lost what the archive has.
func (c *coord) haltOn(err error) {
	if errors.Is(err, replica.ErrAhead) {
		c.r.w.logf("%s halts: %v", c, err)
		if c.replica != nil {
			c.was = lostLog{c.replica.Incarnation(), c.tail}
		}
		kept := c.keepTail(c.was)
		c.halted = kept || !c.r.loss.rests(c)
		if !c.r.down {
			c.r.w.fail("K19: %s halts, though its etcd is sound: %v", c, err)
		}
	}
}

// recognise has an agent's view start over when the log is another than that which it followed; none of the lost one is followed.
func (a *agent) recognise(pos metastore.Position) error {
	switch {
	case a.r.down:
		return fmt.Errorf("no coordinator answers: %w", base.ErrUnavailable)
	case a.view == nil || !a.r.w.lossy:
	case a.view.Incarnation() != pos.Incarnation || pos.Head.Seq < a.view.Head().Seq:
		a.view = nil
	}
	return nil
}

// broken is the end of a link's stream whose source is not what it was: see pkg/shadow's runner.
func (l *linkRunner) broken(why error) {
	w := l.w
	ahead := l.machine.Next()-1 > w.b.link().Info().Position.Seq
	w.logf("link: %v (read ahead: %v)", why, ahead)
	if ahead {
		l.stop() // what was read ahead is dropped; the image itself may well be the source's past
		return
	}
	l.do(func(tx *tx) error {
		at := tx.c.seq.State().Link(linkName)
		if at == nil || !at.Active() {
			return fmt.Errorf("the link is over: %w", base.ErrReadOnly)
		}
		return tx.emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkFaulted{LinkFaulted: &metalogpb.LinkFaulted{Link: linkName, Reason: why.Error()}}})
	}, func(error) { l.stop() })
}
