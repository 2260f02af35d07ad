package coordinator

import (
	"context"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

var errNotLeading = fmt.Errorf("this coordinator does not lead: %w", base.ErrNotLeader)

// submit queues a command for the loop. cmd gets nil when nobody leads.
func (c *Coordinator) submit(ctx context.Context, cmd command) error {
	if !c.leading.Load() {
		return errNotLeading
	}
	select {
	case c.commands <- cmd:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("queue of the coordinator: %w: %w", base.ErrUnavailable, context.Cause(ctx))
	}
}

// Do runs fn on the leader loop and returns once the log has confirmed what fn emitted (or, if it emitted nothing, that
// this process still leads). An error of fn is returned after the same proof (C1); what fn emitted before stands.
func (c *Coordinator) Do(ctx context.Context, fn func(tx *Tx) error) error {
	answer := make(chan error, 1)
	err := c.submit(ctx, func(tx *Tx) {
		if tx == nil {
			answer <- errNotLeading
			return
		}
		result := fn(tx)
		tx.reply(func(err error) {
			if err == nil {
				err = result
			}
			answer <- err
		})
	})
	if err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("answer of the coordinator: %w: %w", base.ErrUnavailable, context.Cause(ctx))
	}
}

// State is the working state. Read only, and only until the command returns.
func (tx *Tx) State() *state.State { return tx.l.seq.State() }

// Now is the leader's clock, Unix milliseconds.
func (tx *Tx) Now() int64 { return tx.now }

// Emit decides an event. base.ErrReadOnly in a fenced region.
func (tx *Tx) Emit(ev *metalogpb.Event, blobs ...[]byte) error {
	if tx.l.c.fenced.Load() {
		return fmt.Errorf("this region is fenced: %w", base.ErrReadOnly)
	}
	if err := tx.l.seq.Emit(tx.now, ev, blobs...); err != nil {
		return err
	}
	if _, flipped := ev.Kind.(*metalogpb.Event_RegionFlipped); flipped {
		if tx.l.groups != nil {
			tx.effects(tx.l.groups.Abandon()) // members of local groups that wait ask again
		}
		tx.l.restoreGroups(tx.l.c.cfg.Now())
		tx.l.ids = idBlock{}
	}
	return nil
}

// OpenSession opens a writer session for an agent.
func (c *Coordinator) OpenSession(ctx context.Context, nodeID int32) (base.SessionID, error) {
	return c.openSession(ctx, nodeID, "")
}

// OpenLinkSession opens a writer session for a link's copier.
func (c *Coordinator) OpenLinkSession(ctx context.Context, link string) (base.SessionID, error) {
	return c.openSession(ctx, 0, link)
}

func (c *Coordinator) openSession(ctx context.Context, nodeID int32, link string) (base.SessionID, error) {
	var id base.SessionID
	err := c.Do(ctx, func(tx *Tx) error {
		if c.fenced.Load() {
			return fmt.Errorf("open a writer session: %w", base.ErrReadOnly)
		}
		var err error
		id, err = tx.l.seq.OpenSession(tx.now, nodeID, link)
		return err
	})
	if err != nil {
		return 0, err // id may be written to yet: the caller gave up, the command did not
	}
	return id, nil
}

// CommitAsync hands a commit to the sequencer, in the order of the calls, and returns; done is called once, with the
// result or an error: base.ErrFenced (the session is over), base.ErrReadOnly (the region is fenced),
// base.ErrUnavailable and base.ErrNotLeader (retry the same request: it is unknown whether it took effect).
func (c *Coordinator) CommitAsync(ctx context.Context, req *metalogpb.CommitRequest, done func(*metalogpb.CommitResult, error)) {
	traced := c.traced(req)
	err := c.submit(ctx, func(tx *Tx) {
		switch {
		case tx == nil:
			done(nil, errNotLeading)
			return
		case c.fenced.Load():
			tx.reply(func(error) { done(nil, fmt.Errorf("commit: %w", base.ErrReadOnly)) })
			return
		}
		res, result := tx.l.seq.Commit(tx.now, req)
		traced.decided(c)
		tx.reply(func(err error) {
			traced.confirmed(tx.l, err)
			switch {
			case err != nil:
				done(nil, err)
			case result != nil:
				done(nil, result)
			default:
				done(res, nil)
			}
		})
	})
	if err != nil {
		done(nil, err)
	}
}

// Position is the log's, so that an agent can follow a coordinator as its replica's source.
func (c *Coordinator) Position(ctx context.Context) (metastore.Position, error) {
	return c.cfg.Log.Position(ctx)
}

// Head returns where the log ends, linearizable. Concurrent callers share one request to etcd: each gets the answer to a
// request that began after its call. base.ErrUnavailable while etcd is empty.
func (c *Coordinator) Head(ctx context.Context) (metastore.Point, error) { return c.heads.get(ctx) }
