package shadow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// Verify compares the image with the source at one seq: the end and the chain head of every visible partition. Equal
// heads prove equal history: offsets, order and bytes. The applier is held so that both sides stand at the same seq.
func (r *Runner) Verify(ctx context.Context) (*adminpb.VerifyResponse, error) {
	cfg, err := r.linkConfig()
	if err != nil {
		return nil, err
	}
	src, err := r.cfg.Remote.Source(cfg)
	if err != nil {
		return nil, err
	}
	// The walk: (1) hold, so that the image stands at some seq p. (2) Ask the source for its heads: it answers at s >= p,
	// since the image never runs ahead. (3) Let the applier go on up to s and no further. (4) Compare at s.
	if err := r.gate.hold(ctx); err != nil {
		return nil, err
	}
	defer r.gate.open()
	actx, cancel := context.WithTimeout(ctx, headsTimeout)
	heads, err := src.Heads(actx)
	cancel()
	if err != nil {
		return &adminpb.VerifyResponse{SourceUnreachable: true, Detail: fmt.Sprintf("the source is out of reach: %v", err)}, nil
	}
	r.gate.set(false, base.Seq(heads.Seq))
	if err := r.waitPosition(ctx, base.Seq(heads.Seq)); err != nil {
		return &adminpb.VerifyResponse{SourceUnreachable: errors.Is(err, base.ErrUnavailable), Detail: err.Error()}, nil
	}
	var out *adminpb.VerifyResponse
	r.cfg.Metalog.With(func(st *state.State) {
		if l := st.Link(r.cfg.Link); l != nil {
			out = compareHeads(l, heads)
		}
	})
	return out, nil
}

const (
	headsTimeout    = 5 * time.Second
	positionTimeout = 30 * time.Second
)

func (r *Runner) linkConfig() (cfg *metalogpb.LinkConfig, err error) {
	err = fmt.Errorf("link %q: %w", r.cfg.Link, base.ErrNotFound)
	r.cfg.Metalog.With(func(st *state.State) {
		l := st.Link(r.cfg.Link)
		switch {
		case l == nil:
		case !l.Active():
			err = fmt.Errorf("link %q has failed over: there is no source to compare with; use --deep: %w", r.cfg.Link, base.ErrNotFound)
		default:
			cfg, err = l.Info().Config, nil
		}
	})
	return cfg, err
}

func (r *Runner) waitPosition(ctx context.Context, seq base.Seq) error {
	ctx, cancel := context.WithTimeout(ctx, positionTimeout)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		var at base.Seq
		r.cfg.Metalog.With(func(st *state.State) {
			if l := st.Link(r.cfg.Link); l != nil {
				at = l.Info().Position.Seq
			}
		})
		if at >= seq {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the image is at seq %d and does not reach the source's %d: %w", at, seq, base.ErrUnavailable)
		}
	}
}

func compareHeads(l *state.Link, heads *adminpb.HeadsResponse) *adminpb.VerifyResponse {
	out := &adminpb.VerifyResponse{AtSeq: heads.Seq}
	mismatch := func(topic string, partition int32, offset int64, format string, args ...any) {
		out.Mismatches = append(out.Mismatches, &adminpb.Mismatch{
			Topic: topic, Partition: partition, Offset: offset, Reason: fmt.Sprintf(format, args...),
		})
	}
	at := l.Image().Head()
	if uint64(at.Seq) != heads.Seq || !bytes.Equal(at.Hash[:], heads.Hash) {
		mismatch("", -1, -1, "the image's log is another than the source's at seq %d", heads.Seq)
	}
	source := map[base.TopicPartition]*adminpb.PartitionHead{}
	for _, h := range heads.Partitions {
		if id, err := base.TopicIDFromBytes(h.TopicId); err == nil {
			source[base.TopicPartition{Topic: id, Partition: h.Partition}] = h
		}
	}
	for _, t := range l.Image().Topics() {
		info := t.Info()
		if !info.Visible || info.SourceDeleted {
			continue
		}
		if info.Fault != "" {
			mismatch(info.Name, -1, -1, "the topic is FAULTED: %s", info.Fault)
		}
		for i := range t.Partitions() {
			out.Partitions++
			p, h := t.Partition(i), source[base.TopicPartition{Topic: info.ID, Partition: i}]
			switch {
			case h == nil:
				mismatch(info.Name, i, -1, "the source has no such partition")
			case int64(p.End) != h.EndOffset:
				mismatch(info.Name, i, min(int64(p.End), h.EndOffset), "ends at %d here and at %d at the source", p.End, h.EndOffset)
			case !bytes.Equal(p.Chain[:], h.Chain):
				mismatch(info.Name, i, int64(p.LogStart), "chain head is %s here and %x at the source", p.Chain, h.Chain)
			}
		}
	}
	out.Equal = len(out.Mismatches) == 0
	return out
}
