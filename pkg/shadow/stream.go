package shadow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// keepStreaming streams until ctx ends or the source proves to be another than the image's. A stream that breaks is taken
// up where it broke, while copies of what it brought go on: they need the source's bucket only, which may well outlive its
// coordinators, and what they bring in time is not lost in a failover.
func (t *tailing) keepStreaming(ctx context.Context) error {
	wait := retryMin
	for {
		started := t.r.cfg.Now()
		err := t.stream(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, metastore.ErrChain), errors.Is(err, base.ErrVersion), errors.Is(err, base.ErrCorrupt):
			return err
		}
		if err == nil {
			err = errStreamEnded
		}
		t.r.problem(err)
		t.r.cfg.Logger.Warn("the source's log is out of reach", "link", t.r.cfg.Link, "error", err)
		if t.r.cfg.Now().Sub(started) > retryMax {
			wait = retryMin
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		wait = min(2*wait, retryMax)
	}
}

var errStreamEnded = errors.New("the source ended the stream")

// stream brings entries: from the source's coordinators, or, in a failover, from its frozen log.
func (t *tailing) stream(ctx context.Context) error {
	send := func(raw metastore.RawEntry, head base.Seq) error {
		select {
		case t.entries <- offered{raw, head}:
			t.sent = raw.Seq
			t.r.mu.Lock()
			t.r.seen.sent = raw.Seq
			t.r.mu.Unlock()
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if t.drain != nil {
		return t.streamFrozen(ctx, send)
	}
	d, err := t.describe(ctx)
	if err != nil {
		return err
	}
	src, err := t.r.cfg.Remote.Source(t.info.Config)
	if err != nil {
		return err
	}
	t.r.mu.Lock()
	from := max(t.m.Next(), t.sent+1)
	t.r.mu.Unlock()
	if base.Seq(d.HeadSeq)+1 < from {
		return fmt.Errorf("the source's log ends at seq %d of incarnation %s, the image is at %d: the source was restored or set back and has lost what this region has; "+
			"fail over to this region, or delete the link and create it again: %w", d.HeadSeq, d.Incarnation, from-1, metastore.ErrChain)
	}
	return src.Follow(ctx, from, d.Incarnation, send)
}

// describe asks who the source is and where it stands, and notes that it was in reach.
func (t *tailing) describe(ctx context.Context) (*adminpb.DescribeResponse, error) {
	src, err := t.r.cfg.Remote.Source(t.info.Config)
	if err != nil {
		return nil, err
	}
	d, err := src.Describe(ctx)
	if err != nil {
		return nil, fmt.Errorf("reach the source: %w", err)
	}
	if len(d.ClusterId) != len(base.ClusterID{}) || base.ClusterID(d.ClusterId) != t.info.SourceCluster {
		return nil, fmt.Errorf("the source's addresses lead to cluster %x, the link was made for %s: %w", d.ClusterId, t.info.SourceCluster, base.ErrCorrupt)
	}
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	t.r.seen.problem, t.r.seen.contact = "", t.r.cfg.Now()
	t.r.seen.headSeq = max(t.r.seen.headSeq, base.Seq(d.HeadSeq))
	t.r.seen.epoch = max(t.r.seen.epoch, base.Epoch(d.Epoch))
	return d, nil
}

func (t *tailing) streamFrozen(ctx context.Context, send func(metastore.RawEntry, base.Seq) error) error {
	pos, err := t.drain.Position(ctx)
	if err != nil {
		return fmt.Errorf("read the source's fenced log: %w", err)
	}
	t.r.mu.Lock()
	from := max(t.m.Next(), t.sent+1)
	t.r.seen.headSeq, t.r.seen.problem = pos.Head.Seq, ""
	t.r.mu.Unlock()
	for from <= pos.Head.Seq {
		entries, err := t.drain.Read(ctx, from, drainReadBytes)
		if errors.Is(err, metastore.ErrTrimmed) {
			entries, err = t.readArchive(ctx, pos.Incarnation, from)
		}
		if err != nil {
			return fmt.Errorf("read the source's fenced log from seq %d: %w", from, err)
		}
		for _, raw := range entries {
			if err := send(raw, pos.Head.Seq); err != nil {
				return err
			}
			from = raw.Seq + 1
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

func (t *tailing) readArchive(ctx context.Context, incarnation string, from base.Seq) ([]metastore.RawEntry, error) {
	return archive.NewReader(objstore.AsObjects(t.source)).Read(ctx, incarnation, from, drainReadBytes)
}

const drainReadBytes = 4 << 20
