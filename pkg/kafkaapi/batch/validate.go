package batch

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Limits is what a topic allows a produced batch to be.
type Limits struct {
	// MaxBytes is the largest batch, its whole header included (max.message.bytes). 0: no limit.
	MaxBytes int
	// AllowControl lets transaction markers pass, which no client may produce.
	AllowControl bool
	// OldestTimestamp and NewestTimestamp bound what records say of their time, Unix milliseconds. Only the header is
	// looked at: its base timestamp against the first, its largest against the second. 0: no bound.
	OldestTimestamp int64
	NewestTimestamp int64
}

// noTimestamp is what a record without a time has.
const noTimestamp = -1

// Validate checks a batch that a client produces: it must be the whole of b, of format version 2, with a true CRC, a
// known codec, a record count that matches its offsets, and within the limits. The records are not looked at. Errors
// wrap the *kerr.Error that Kafka gives in that case.
func Validate(b []byte, lim Limits) (Header, error) {
	if len(b) == 0 {
		return Header{}, fmt.Errorf("no record batch where there must be one: %w", kerr.InvalidRecord)
	}
	if len(b) > digestFrom && b[digestFrom] < magicV2 {
		return Header{}, fmt.Errorf("message format %d: %w", b[digestFrom], kerr.InvalidRecord)
	}
	h, rest, err := Parse(b)
	switch {
	case err != nil:
		return h, fmt.Errorf("%w: %w", kerr.CorruptMessage, err)
	case len(rest) > 0:
		return h, fmt.Errorf("%d bytes follow the one batch that a partition may have: %w", len(rest), kerr.InvalidRecord)
	case lim.MaxBytes > 0 && h.Length > lim.MaxBytes:
		return h, fmt.Errorf("batch of %d bytes, at most %d: %w", h.Length, lim.MaxBytes, kerr.MessageTooLarge)
	case !CheckCRC(h, b):
		return h, fmt.Errorf("wrong CRC: %w", kerr.CorruptMessage)
	}
	if err := h.check(lim); err != nil {
		return h, err
	}
	return h, h.checkTime(lim)
}

func (h Header) check(lim Limits) error {
	switch {
	case h.BaseOffset != 0:
		return fmt.Errorf("base offset %d where it must be 0: %w", h.BaseOffset, kerr.InvalidRecord)
	case h.Records < 1 || h.LastOffsetDelta != h.Records-1:
		return fmt.Errorf("%d records with a last offset delta of %d: %w", h.Records, h.LastOffsetDelta, kerr.InvalidRecord)
	case h.Codec() > codecMax:
		return fmt.Errorf("compression codec %d: %w", h.Codec(), kerr.UnsupportedCompressionType)
	case h.IsControl() && !lim.AllowControl:
		return fmt.Errorf("control batch from a client: %w", kerr.InvalidRecord)
	case h.ProducerID >= 0 && (h.ProducerEpoch < 0 || h.BaseSequence < 0):
		return fmt.Errorf("producer epoch %d, sequence %d: %w", h.ProducerEpoch, h.BaseSequence, kerr.InvalidRecord)
	case h.IsTransactional() && h.ProducerID < 0:
		return fmt.Errorf("transactional batch without a producer id: %w", kerr.InvalidRecord)
	}
	return nil
}

func (h Header) checkTime(lim Limits) error {
	switch {
	case h.Attributes&LogAppendTime != 0:
		return fmt.Errorf("timestamp type LogAppendTime from a client: %w", kerr.InvalidTimestamp)
	case lim.NewestTimestamp > 0 && h.MaxTimestamp > lim.NewestTimestamp:
		return fmt.Errorf("timestamp %d is later than %d: %w", h.MaxTimestamp, lim.NewestTimestamp, kerr.InvalidTimestamp)
	case lim.OldestTimestamp > 0 && h.BaseTimestamp != noTimestamp && h.BaseTimestamp < lim.OldestTimestamp:
		return fmt.Errorf("timestamp %d is earlier than %d: %w", h.BaseTimestamp, lim.OldestTimestamp, kerr.InvalidTimestamp)
	}
	return nil
}
