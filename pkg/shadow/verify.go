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
// heads prove equal history: offsets, order and bytes; and that the image says of each span that it is here. The applier is held so that both sides stand at the same seq.
func (r *Runner) Verify(ctx context.Context) (*adminpb.VerifyResponse, error) {
	cfg, err := r.linkConfig()
	if err != nil {
		return nil, err
	}
	src, err := r.cfg.Remote.Source(cfg)
	if err != nil {
		return nil, err
	}
	if out := r.standsStill(); out != nil {
		return out, nil
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
		if out := r.standsStill(); out != nil {
			return out, nil
		}
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

// standsStill answers for a link that does not move, and so cannot be brought to where the source is; nil for one that does.
func (r *Runner) standsStill() (out *adminpb.VerifyResponse) {
	r.cfg.Metalog.With(func(st *state.State) {
		l := st.Link(r.cfg.Link)
		switch {
		case l == nil:
		case l.Info().Fault != "":
			out = &adminpb.VerifyResponse{AtSeq: uint64(l.Info().Position.Seq), Mismatches: []*adminpb.Mismatch{linkFault(l.Info())}}
		case l.Info().Paused:
			out = &adminpb.VerifyResponse{
				AtSeq: uint64(l.Info().Position.Seq), SourceUnreachable: true, Detail: "the link is paused and does not follow its source: resume it first",
			}
		}
	})
	return out
}

func linkFault(info *state.LinkInfo) *adminpb.Mismatch {
	return &adminpb.Mismatch{Partition: -1, Offset: -1, Reason: "the link is FAULTED: " + info.Fault}
}

func topicFault(info *state.TopicInfo) *adminpb.Mismatch {
	return &adminpb.Mismatch{Topic: info.Name, Partition: -1, Offset: -1, Reason: "the topic is FAULTED: " + info.Fault}
}

// notHere says which offsets of a partition are not in this region's bucket, from the first to the last; nil for none.
func notHere(topic string, partition int32, p *state.Partition) *adminpb.Mismatch {
	var first, last *state.Span
	gone := true // at the source too
	for i := range p.Spans {
		if sp := &p.Spans[i]; sp.Residency != state.Local {
			if last = sp; first == nil {
				first = sp
			}
			gone = gone && sp.Residency == state.Absent
		}
	}
	if first == nil {
		return nil
	}
	reason := fmt.Sprintf("offsets %d to %d are not in this region's bucket yet", first.Base, last.Last)
	if gone {
		reason = fmt.Sprintf("offsets %d to %d are not in this region's bucket, and the source does not have them", first.Base, last.Last)
	}
	return &adminpb.Mismatch{Topic: topic, Partition: partition, Offset: int64(first.Base), Reason: reason}
}

func (r *Runner) waitPosition(ctx context.Context, seq base.Seq) error {
	ctx, cancel := context.WithTimeout(ctx, positionTimeout)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		var at base.Seq
		still := false
		r.cfg.Metalog.With(func(st *state.State) {
			if l := st.Link(r.cfg.Link); l != nil {
				at = l.Info().Position.Seq
				still = l.Info().Paused || l.Info().Fault != ""
			}
		})
		if at >= seq {
			return nil
		}
		if still {
			return fmt.Errorf("the link stands still at seq %d: %w", at, base.ErrUnavailable)
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
			out.Mismatches = append(out.Mismatches, topicFault(info))
		}
		for i := range t.Partitions() {
			out.Partitions++
			p, h := t.Partition(i), source[base.TopicPartition{Topic: info.ID, Partition: i}]
			switch missing := notHere(info.Name, i, p); {
			case h == nil:
				mismatch(info.Name, i, -1, "the source has no such partition")
			case int64(p.End) != h.EndOffset:
				mismatch(info.Name, i, min(int64(p.End), h.EndOffset), "ends at %d here and at %d at the source", p.End, h.EndOffset)
			case !bytes.Equal(p.Chain[:], h.Chain):
				mismatch(info.Name, i, int64(p.LogStart), "chain head is %s here and %x at the source", p.Chain, h.Chain)
			case missing != nil:
				out.Mismatches = append(out.Mismatches, missing)
			}
		}
	}
	out.Equal = len(out.Mismatches) == 0
	return out
}
