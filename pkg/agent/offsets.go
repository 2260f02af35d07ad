package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch/records"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/fetcher"
)

// Kafka's special timestamps of ListOffsets.
const (
	tsLatest        = -1
	tsEarliest      = -2
	tsMaxTimestamp  = -3
	tsEarliestLocal = -4
	tsLatestTiered  = -5
)

const (
	wholeSpan = 1 << 30
	// searchBytesMax bounds a batch that is decompressed for a search by time.
	searchBytesMax = 64 << 20
)

// ListOffset implements kafkaapi.Reader.
func (r *reader) ListOffset(ctx context.Context, tp base.TopicPartition, timestamp int64, readCommitted bool, current base.Epoch) (kafkaapi.OffsetAt, error) {
	none := kafkaapi.OffsetAt{Offset: -1, Timestamp: -1, Epoch: -1}
	if timestamp >= 0 {
		return r.byTime(ctx, tp, timestamp, readCommitted, current)
	}
	// Whoever asks for the end must see every ack of every agent (A2).
	if err := r.view.Refresh(ctx); err != nil {
		return none, err
	}
	l, err := r.locate(ctx, tp, current)
	if err != nil {
		return none, err
	}
	end := l.end(readCommitted)
	switch timestamp {
	case tsLatest:
		return kafkaapi.OffsetAt{Offset: end, Timestamp: -1, Epoch: l.epoch}, nil
	case tsEarliest, tsEarliestLocal:
		epoch := l.part.EpochOf(l.part.LogStart)
		if epoch < 0 { // nothing was ever written: whoever leads now will be the first to do so
			epoch = l.epoch
		}
		return kafkaapi.OffsetAt{Offset: l.part.LogStart, Timestamp: -1, Epoch: epoch}, nil
	case tsLatestTiered:
		return none, nil
	case tsMaxTimestamp:
		if l.part.MaxTimestamp < 0 {
			return none, nil
		}
		return r.search(ctx, tp, l, l.part.MaxTimestamp, end)
	}
	return none, fmt.Errorf("timestamp %d: %w", timestamp, kerr.UnsupportedVersion)
}

// end is where readers of an isolation level end.
func (l located) end(readCommitted bool) base.Offset {
	if readCommitted {
		return l.part.LastStable
	}
	return l.part.End
}

// byTime finds the first record at or after a timestamp. What a view that lags finds is the first one, as the view is a prefix of the
// log. That there is none is said at the head only (A2): who hears it goes to the end, past a record that was acked a moment ago.
func (r *reader) byTime(ctx context.Context, tp base.TopicPartition, timestamp int64, readCommitted bool, current base.Epoch) (kafkaapi.OffsetAt, error) {
	for refreshed := false; ; refreshed = true {
		l, err := r.locate(ctx, tp, current)
		if err != nil {
			return kafkaapi.OffsetAt{}, err
		}
		at, err := r.search(ctx, tp, l, timestamp, l.end(readCommitted))
		if err != nil || at.Offset >= 0 || refreshed {
			return at, err
		}
		if err := r.view.Refresh(ctx); err != nil {
			return kafkaapi.OffsetAt{}, err
		}
	}
}

// search finds the first record at or after a timestamp: by the spans' maxima, then the batches', then the records'.
func (r *reader) search(ctx context.Context, tp base.TopicPartition, l located, timestamp int64, end base.Offset) (kafkaapi.OffsetAt, error) {
	none := kafkaapi.OffsetAt{Offset: -1, Timestamp: -1, Epoch: -1}
	for _, sp := range l.part.Spans[l.part.FindSpan(l.part.LogStart):] {
		if sp.MaxTimestamp < timestamp {
			continue
		}
		found, err := r.searchSpan(ctx, l, sp, timestamp)
		if err != nil {
			return none, fmt.Errorf("look for timestamp %d in %s: %w", timestamp, tp, err)
		}
		if found.Offset >= end {
			return none, nil
		}
		if found.Offset >= 0 {
			return found, nil
		}
	}
	return none, nil
}

func (r *reader) searchSpan(ctx context.Context, l located, sp state.Span, timestamp int64) (kafkaapi.OffsetAt, error) {
	none := kafkaapi.OffsetAt{Offset: -1}
	batches, _, lease, err := r.span(ctx, l, sp, sp.Base, kafkaapi.ReadRequest{MaxBytes: wholeSpan, AtLeastOne: true}, 0)
	switch {
	case errors.Is(err, fetcher.ErrNoRoom):
		return none, fmt.Errorf("%w: %w", base.ErrUnavailable, err)
	case err != nil:
		return none, err
	}
	defer lease.Release()
	for _, b := range batches {
		h, _, err := batch.Parse(b)
		if err != nil {
			return none, err
		}
		if h.MaxTimestamp < timestamp {
			continue
		}
		offset, at, err := searchBatch(h, b, timestamp, l.part.LogStart)
		if err != nil {
			return none, err
		}
		if offset >= 0 {
			return kafkaapi.OffsetAt{Offset: offset, Timestamp: at, Epoch: l.part.EpochOf(offset)}, nil
		}
	}
	return none, nil
}

// searchBatch decodes the records of one batch as far as needed. The log may start inside it: what is before that is deleted.
func searchBatch(h batch.Header, b []byte, timestamp int64, start base.Offset) (base.Offset, int64, error) {
	if last := h.BaseOffset + base.Offset(h.Records) - 1; last < start {
		return -1, -1, nil
	}
	if h.Attributes&batch.LogAppendTime != 0 {
		return max(h.BaseOffset, start), h.MaxTimestamp, nil
	}
	plain, err := records.Open(h, b, searchBytesMax)
	if err != nil {
		return -1, -1, fmt.Errorf("the batch at %d: %w", h.BaseOffset, err)
	}
	offset, found := base.Offset(-1), int64(-1)
	err = records.Walk(plain, h.Records, func(rec records.Record) (bool, error) {
		at, o := h.BaseTimestamp+rec.TimestampDelta, h.BaseOffset+base.Offset(rec.OffsetDelta)
		if at >= timestamp && o >= start {
			offset, found = o, at
			return false, nil
		}
		return true, nil
	})
	if err != nil {
		return -1, -1, fmt.Errorf("the batch at %d: %w", h.BaseOffset, err)
	}
	return offset, found, nil
}
