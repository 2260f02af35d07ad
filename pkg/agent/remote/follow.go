package remote

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/rpcfault"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/coordinatorpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
)

// Position implements replica.Source: from where to start.
func (c *Client) Position(ctx context.Context) (metastore.Position, error) {
	var out metastore.Position
	err := c.any(ctx, "position of the metalog", func(ctx context.Context, p *peer) error {
		resp, err := p.coord.Position(ctx, connect.NewRequest(&coordinatorpb.PositionRequest{}))
		if err != nil {
			return err
		}
		m := resp.Msg
		out = metastore.Position{Incarnation: m.Incarnation, Head: metastore.Head{Seq: base.Seq(m.HeadSeq)}, Snapshot: m.Snapshot, Archive: m.Archive}
		copy(out.Head.Hash[:], m.HeadHash)
		return nil
	})
	if err != nil {
		return out, err
	}
	if out.Incarnation == "" {
		return out, metastore.ErrNoLog
	}
	if was := c.incarnation.Swap(&out.Incarnation); was != nil && *was != out.Incarnation {
		c.wanted.Store(uint64(out.Head.Seq)) // the log was restored: what was beyond is lost
	}
	return out, nil
}

// Head returns where the log ends, linearizable; an older coordinator does not say in which incarnation. A head that is below what was
// known before the question is of a log that was restored: base.ErrUnavailable until the view has been loaded anew, as it may show
// what was lost.
func (c *Client) Head(ctx context.Context) (metastore.Point, error) {
	var head metastore.Point
	before := c.wanted.Load()
	err := c.any(ctx, "head of the metalog", func(ctx context.Context, p *peer) error {
		resp, err := p.coord.Head(ctx, connect.NewRequest(&coordinatorpb.HeadRequest{}))
		if err == nil {
			head = metastore.Point{Incarnation: resp.Msg.Incarnation, Seq: base.Seq(resp.Msg.Seq)}
		}
		return err
	})
	if err != nil {
		return metastore.Point{}, err
	}
	if uint64(head.Seq) < before {
		return metastore.Point{}, fmt.Errorf("the metalog's head went back from seq %d to %d, it was restored: %w", before, head.Seq, base.ErrUnavailable)
	}
	c.know(uint64(head.Seq))
	return head, nil
}

// know notes that the log reaches at least that far.
func (c *Client) know(seq uint64) {
	for known := c.wanted.Load(); seq > known && !c.wanted.CompareAndSwap(known, seq); known = c.wanted.Load() {
	}
}

var errBehind = fmt.Errorf("the coordinator lags behind the log: %w", base.ErrUnavailable)

// Follow implements replica.Source: entries from one coordinator, until ctx ends, fn fails, or the stream breaks off
// (base.ErrUnavailable: call again from where it stopped, and the next coordinator is asked). metastore.ErrChain when the
// log is of another incarnation.
func (c *Client) Follow(ctx context.Context, from base.Seq, fn func(metastore.RawEntry) error) error {
	incarnation := c.incarnation.Load()
	if incarnation == nil {
		return fmt.Errorf("follow the metalog before its position is known: %w", base.ErrUnavailable)
	}
	p := c.current()
	sctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var have atomic.Uint64
	have.Store(uint64(from) - 1)
	watched := make(chan struct{})
	c.wg.Go(func() {
		defer close(watched)
		c.watchLag(sctx, cancel, &have)
	})
	defer func() { cancel(nil); <-watched }()

	stream, err := p.source.Follow(sctx, connect.NewRequest(&adminpb.FollowRequest{FromSeq: uint64(from), Incarnation: *incarnation}))
	if err == nil {
		defer func() { _ = stream.Close() }() // its error is stream.Err's
		for stream.Receive() {
			m := stream.Msg()
			if len(m.Entry) == 0 {
				continue
			}
			if err := fn(metastore.RawEntry{Seq: base.Seq(m.Seq), Value: m.Entry}); err != nil {
				return err
			}
			have.Store(m.Seq)
			c.know(m.Seq)
		}
		err = stream.Err()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.avoid(p)
	switch {
	case connect.CodeOf(err) == connect.CodeFailedPrecondition:
		return fmt.Errorf("follow %s: %w: %w", p.url, metastore.ErrChain, err)
	case errors.Is(context.Cause(sctx), errBehind):
		err = errBehind
	}
	return fmt.Errorf("stream of entries from %s: %w: %w", p.url, base.ErrUnavailable, rpcfault.From(err))
}

// A stream is behind when it brings nothing for lagLooks looks while more is known to be in the log.
const (
	lagLook  = 500 * time.Millisecond
	lagLooks = 4
)

// watchLag breaks a stream off that is behind (walk 6).
func (c *Client) watchLag(ctx context.Context, cancel context.CancelCauseFunc, have *atomic.Uint64) {
	tick := time.NewTicker(lagLook)
	defer tick.Stop()
	last, still := have.Load(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := have.Load()
		if now != last || now >= c.wanted.Load() {
			last, still = now, 0
			continue
		}
		if still++; still >= lagLooks {
			cancel(errBehind)
			return
		}
	}
}
