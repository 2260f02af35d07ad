package shadow

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// fault notes that the topics of a copy's object cannot be had, and enters it into the log.
func (t *tailing) fault(ctx context.Context, c copyDone) error {
	t.r.cfg.Logger.Error("object of the source cannot be copied: its topics are FAULTED on this link",
		"link", t.r.cfg.Link, "object", c.job.Object.String(), "error", c.err)
	t.faultMu.Lock()
	for _, sp := range c.job.Spans {
		t.faults[sp.Topic] = c.err.Error()
	}
	t.faultMu.Unlock()
	t.r.mu.Lock()
	for _, sp := range c.job.Spans {
		t.m.Fault(sp.Topic)
	}
	t.r.mu.Unlock()
	return t.enterFaults(ctx)
}

// enterFaults enters the faults that are not in the log yet. One of a topic that the image does not know has to wait: the
// topic was created in an entry that is still queued. So this is called again after each append.
func (t *tailing) enterFaults(ctx context.Context) error {
	t.faultMu.Lock()
	todo := maps.Clone(t.faults)
	t.faultMu.Unlock()
	if len(todo) == 0 {
		return nil
	}
	var entered []base.TopicID
	err := t.r.cfg.Metalog.Do(ctx, func(tx Tx) error {
		entered = nil
		l := tx.State().Link(t.r.cfg.Link)
		if l == nil || !l.Active() {
			return errLinkOver
		}
		for id, reason := range todo {
			if l.Image().Topic(id) == nil {
				continue
			}
			ev := &metalogpb.LinkTopicFaulted{Link: t.r.cfg.Link, TopicId: id[:], Reason: reason}
			if err := tx.Emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkTopicFaulted{LinkTopicFaulted: ev}}); err != nil {
				return err
			}
			entered = append(entered, id)
		}
		return nil
	})
	if err != nil {
		if errors.Is(err, errLinkOver) {
			return err
		}
		return fmt.Errorf("enter a topic's fault: %w", err)
	}
	t.faultMu.Lock()
	defer t.faultMu.Unlock()
	for _, id := range entered {
		delete(t.faults, id)
	}
	return nil
}
