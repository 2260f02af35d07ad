package records

import (
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
)

// Open returns a batch's records, decompressed: at most limit bytes, else base.ErrTooLarge. b is the batch that h was parsed
// from.
func Open(h batch.Header, b []byte, limit int) ([]byte, error) {
	return Decompress(h.Codec(), b[batch.HeaderSize:h.Length], limit)
}

// Recode returns the batch that h was parsed from with its records, given decompressed, under another codec (R2), and its
// header. At most limit bytes, else base.ErrTooLarge.
func Recode(h batch.Header, b, plain []byte, codec Codec, limit int) ([]byte, batch.Header, error) {
	room := len(plain) // of records that are not compressed
	if codec.Type != None {
		room = len(plain)/2 + 64 // at first
	}
	out := make([]byte, batch.HeaderSize, batch.HeaderSize+room)
	copy(out, b[:batch.HeaderSize])
	out, err := codec.compress(out, plain)
	if err != nil {
		return nil, h, err
	}
	if len(out) > limit {
		return nil, h, fmt.Errorf("batch of %d bytes under the topic's codec, at most %d: %w", len(out), limit, base.ErrTooLarge)
	}
	return out, batch.Reseal(h, out, codec.Type), nil
}
