package records

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// Codecs, as in the attributes of a batch.
const (
	None   = int16(0)
	Gzip   = int16(1)
	Snappy = int16(2)
	LZ4    = int16(3)
	Zstd   = int16(4)
)

// Decompress returns the records of a batch as they were before compression; those of codec None as they are. Errors:
// base.ErrTooLarge when there are more than limit bytes, base.ErrCorrupt when src is not of the codec.
func Decompress(codec int16, src []byte, limit int) ([]byte, error) {
	out, err := decompress(codec, src, limit)
	switch {
	case err == nil && len(out) <= limit:
		return out, nil
	case err == nil, errors.Is(err, base.ErrTooLarge), errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return nil, fmt.Errorf("records of more than %d bytes once decompressed: %w", limit, base.ErrTooLarge)
	}
	return nil, fmt.Errorf("decompress records: %w: %w", base.ErrCorrupt, err)
}

func decompress(codec int16, src []byte, limit int) ([]byte, error) {
	switch codec {
	case None:
		return src, nil
	case Gzip:
		r, err := gzip.NewReader(bytes.NewReader(src))
		if err != nil {
			return nil, err
		}
		return readAll(r, limit)
	case Snappy:
		return unsnappy(src, limit)
	case LZ4:
		return readAll(lz4.NewReader(bytes.NewReader(src)), limit)
	case Zstd:
		d, err := zstd.NewReader(bytes.NewReader(src), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(uint64(max(limit, zstdWindow))))
		if err != nil {
			return nil, err
		}
		defer d.Close()
		return readAll(d, limit)
	}
	return nil, fmt.Errorf("codec %d", codec)
}

// zstdWindow is the window that every decoder is to have room for (RFC 8878, section 3.1.1.1.2), however small the data.
const zstdWindow = 8 << 20

// readAll reads to the end, or one byte beyond the limit. Its buffer grows with what is there, not with what is claimed.
func readAll(r io.Reader, limit int) ([]byte, error) {
	var out bytes.Buffer
	_, err := out.ReadFrom(io.LimitReader(r, int64(limit)+1))
	return out.Bytes(), err
}

// xerialHeader begins what snappy-java writes, and Kafka's Java client with it: then come a version and the oldest version
// that can read it, and after them blocks, each with its length, big endian, in front.
var xerialHeader = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

const (
	xerialStart = 16       // where its first block is
	xerialBlock = 32 << 10 // bytes of a block before compression, as snappy-java cuts them
)

// unsnappy reads both forms that clients send: snappy-java's, and one plain block.
func unsnappy(src []byte, limit int) ([]byte, error) {
	if !bytes.HasPrefix(src, xerialHeader) || len(src) < xerialStart {
		return unsnappyBlock(nil, src, limit)
	}
	var out []byte
	for src = src[xerialStart:]; len(src) > 0; {
		if len(src) < 4 {
			return nil, io.ErrUnexpectedEOF
		}
		size := binary.BigEndian.Uint32(src)
		if src = src[4:]; int64(size) > int64(len(src)) {
			return nil, io.ErrUnexpectedEOF
		}
		var err error
		if out, err = unsnappyBlock(out, src[:size], limit); err != nil {
			return nil, err
		}
		src = src[size:]
	}
	return out, nil
}

// unsnappyBlock appends a block's bytes to out.
func unsnappyBlock(out, block []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(block)
	if err != nil {
		return nil, err
	}
	if len(out)+n > limit {
		return nil, base.ErrTooLarge
	}
	// Snappy copies at most 64 bytes by 2: a block that claims more than that is a lie, and no room is made for it.
	if n/64 > len(block) {
		return nil, fmt.Errorf("a block of %d bytes claims %d", len(block), n)
	}
	out = slices.Grow(out, n)
	if _, err := s2.Decode(out[len(out):len(out)+n], block); err != nil {
		return nil, err
	}
	return out[:len(out)+n], nil
}
