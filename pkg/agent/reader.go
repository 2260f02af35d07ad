package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/fetcher"
)

// reader implements kafkaapi.Reader.
type reader struct {
	view    *View
	fetcher *fetcher.Fetcher
	tail    *tail
}

func (r *reader) Changed(partitions []base.TopicPartition) (<-chan struct{}, func()) {
	return r.view.Changed(partitions)
}

func (r *reader) Read(ctx context.Context, req kafkaapi.ReadRequest) (kafkaapi.ReadResult, error) {
	tp := base.TopicPartition{Topic: req.Topic, Partition: req.Partition}
	l, err := r.locate(ctx, tp, req.CurrentEpoch)
	if err != nil {
		return kafkaapi.ReadResult{}, err
	}
	if req.Offset > l.part.End {
		// Another agent may have served what this view does not hold yet (A2).
		if err := r.view.Refresh(ctx); err != nil {
			return kafkaapi.ReadResult{}, err
		}
		if l, err = r.locate(ctx, tp, req.CurrentEpoch); err != nil {
			return kafkaapi.ReadResult{}, err
		}
	}
	res := kafkaapi.ReadResult{HighWatermark: l.part.End, LastStable: l.part.LastStable, LogStart: l.part.LogStart}
	if d := diverging(l.part, req); d != nil {
		res.Diverging = d
		return res, nil
	}
	if req.Offset < l.part.LogStart || req.Offset > l.part.End {
		return res, fmt.Errorf("offset %d of %s is outside %d..%d: %w", req.Offset, tp, l.part.LogStart, l.part.End, kerr.OffsetOutOfRange)
	}
	return r.fill(ctx, tp, l, req, res)
}

// diverging finds out whether the client's last record is of a history that this partition does not have.
func diverging(p *state.Partition, req kafkaapi.ReadRequest) *kafkaapi.EpochEnd {
	if req.LastFetchEpoch < 0 {
		return nil
	}
	e := p.EpochEnd(req.LastFetchEpoch)
	if e.Epoch < req.LastFetchEpoch || e.Start < req.Offset {
		return &kafkaapi.EpochEnd{Epoch: e.Epoch, End: e.Start}
	}
	return nil
}

// held are the leases on what one read found.
type held []fetcher.Lease

func (h held) release() {
	for _, l := range h {
		l.Release()
	}
}

// fill reads spans until the request is full. What it found is held until res.Release. A span whose object is gone was merged meanwhile: reach the head, look it
// up again, and only then give up.
func (r *reader) fill(ctx context.Context, tp base.TopicPartition, l located, req kafkaapi.ReadRequest, res kafkaapi.ReadResult) (kafkaapi.ReadResult, error) {
	offset, retried := req.Offset, false
	var leases held
	res.Release = func() { leases.release() }
	for i := l.part.FindSpan(offset); i < len(l.part.Spans) && res.Bytes < req.MaxBytes || i < len(l.part.Spans) && req.AtLeastOne && res.Bytes == 0; i++ {
		sp := l.part.Spans[i]
		batches, next, lease, err := r.span(ctx, l, sp, offset, req, res.Bytes)
		switch {
		case err == nil:
			leases = append(leases, lease)
		case res.Bytes > 0, errors.Is(err, fetcher.ErrNoRoom):
			return res, nil // what is there already, maybe nothing; the next fetch asks for the rest, or meets the error
		case errors.Is(err, base.ErrNotFound) && !retried:
			retried = true
			if err := r.view.Refresh(ctx); err != nil {
				return res, err
			}
			again, ok := r.find(tp)
			if !ok {
				return res, fmt.Errorf("partition %s: %w", tp, kerr.UnknownTopicOrPartition)
			}
			l = again
			i = l.part.FindSpan(offset) - 1
			continue
		case errors.Is(err, base.ErrNotFound), errors.Is(err, base.ErrCorrupt):
			return res, fmt.Errorf("read %s at %d: %w: %w", tp, offset, kerr.KafkaStorageError, err)
		default:
			return res, fmt.Errorf("read %s at %d: %w", tp, offset, err)
		}
		for _, b := range batches {
			res.Batches = append(res.Batches, b)
			res.Bytes += len(b)
		}
		offset = next
		if offset <= sp.Last {
			break // the next batch does not fit any more; a later and smaller one must not come before it
		}
	}
	if offset == l.part.End && res.Bytes > 0 { // who found nothing will wait, and is seen there
		r.tail.note(tp)
	}
	return res, nil
}

// span reads one, of which so many bytes were found before.
func (r *reader) span(ctx context.Context, l located, sp state.Span, from base.Offset, req kafkaapi.ReadRequest, before int) ([][]byte, base.Offset, fetcher.Lease, error) {
	if sp.Residency != state.Local {
		return nil, 0, fetcher.Lease{}, fmt.Errorf("offsets %d to %d are not in this region's bucket yet: %w", sp.Base, sp.Last, kerr.KafkaStorageError)
	}
	first := req.AtLeastOne && before == 0
	return r.fetcher.Read(ctx, fetcher.Request{
		Object: sp.Object, Position: sp.Position, Length: sp.Length, Base: sp.Base, From: from,
		MaxBytes: req.MaxBytes - before, AtLeastOne: first, Wait: first, Epoch: l.part.EpochOf(sp.Base), Cold: req.Cold,
	})
}
