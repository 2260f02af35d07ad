package records

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Codec is a codec with its level; Level means what Kafka's compression.<codec>.level of that codec does, and nothing for
// None and Snappy.
type Codec struct {
	Type  int16
	Level int
}

// encoder is a compressor that can be used again.
type encoder interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// encoders are kept for use again, by codec and level: the tables of one cost more than compressing a batch.
var encoders sync.Map // Codec -> *sync.Pool of encoder

// compress appends src, compressed, to dst.
func (c Codec) compress(dst, src []byte) ([]byte, error) {
	switch c.Type {
	case None:
		return append(dst, src...), nil
	case Snappy:
		return snappy(dst, src), nil
	}
	entry, ok := encoders.Load(c)
	if !ok {
		entry, _ = encoders.LoadOrStore(c, &sync.Pool{})
	}
	pool := entry.(*sync.Pool)
	e, ok := pool.Get().(encoder)
	if !ok {
		var err error
		if e, err = c.encoder(); err != nil {
			return nil, err
		}
	}
	out := bytes.NewBuffer(dst)
	e.Reset(out)
	if _, err := e.Write(src); err != nil {
		return nil, fmt.Errorf("compress records: %w", err)
	}
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("compress records: %w", err)
	}
	pool.Put(e)
	return out.Bytes(), nil
}

func (c Codec) encoder() (encoder, error) {
	switch c.Type {
	case Gzip:
		return gzip.NewWriterLevel(io.Discard, c.Level)
	case LZ4:
		w := lz4.NewWriter(io.Discard)
		return w, w.Apply(lz4.CompressionLevelOption(lz4Level(c.Level)), lz4.BlockSizeOption(lz4.Block64Kb))
	case Zstd:
		return zstd.NewWriter(io.Discard, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
			zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(c.Level)))
	}
	return nil, fmt.Errorf("codec %d cannot be written", c.Type)
}

// lz4Default is Kafka's default level, which stands for the fast compressor; other levels, from 1 to 17, for the one that
// tries harder (KIP-390).
const lz4Default = 9

func lz4Level(level int) lz4.CompressionLevel {
	levels := [...]lz4.CompressionLevel{
		lz4.Level1, lz4.Level2, lz4.Level3, lz4.Level4, lz4.Level5, lz4.Level6, lz4.Level7, lz4.Level8, lz4.Level9,
	}
	switch {
	case level == lz4Default || level < 1:
		return lz4.Fast
	case level > len(levels):
		return lz4.Level9
	}
	return levels[level-1]
}

// snappy writes snappy-java's form, which every client reads.
func snappy(dst, src []byte) []byte {
	dst = append(dst, xerialHeader...)
	dst = append(dst, 0, 0, 0, 1, 0, 0, 0, 1) // version, and the oldest compatible one
	for len(src) > 0 {
		n := min(xerialBlock, len(src))
		dst = slices.Grow(dst, 4+s2.MaxEncodedLen(n))
		at := len(dst) + 4
		block := s2.EncodeSnappy(dst[at:cap(dst)], src[:n])
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(block)))
		dst = append(dst, block...) // where it lies already
		src = src[n:]
	}
	return dst
}
