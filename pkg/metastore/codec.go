package metastore

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// An encoded entry:
//
//	byte 0   format version, 1
//	byte 1   codec: 0 raw, 1 zstd
//	byte 2…  the Entry message, deterministic protobuf, compressed when that is smaller
//
// The hash chain is over these bytes.
const (
	entryVersion   = 1
	codecRaw       = 0
	codecZstd      = 1
	entryHeader    = 2
	entryBytesMax  = 16 << 20 // decompressed
	compressAtSize = 128
)

var encoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		panic(err) // constant options
	}
	return e
})

var decoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(entryBytesMax))
	if err != nil {
		panic(err) // constant options
	}
	return d
})

// EncodeEntry returns the entry's bytes as they stand in the log.
func EncodeEntry(e *metalogpb.Entry) ([]byte, error) {
	raw, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte{entryVersion, codecRaw}, e)
	if err != nil {
		return nil, fmt.Errorf("encode entry %d: %w", e.Seq, err)
	}
	if len(raw) < compressAtSize {
		return raw, nil
	}
	small := encoder().EncodeAll(raw[entryHeader:], []byte{entryVersion, codecZstd})
	if len(small) < len(raw) {
		return small, nil
	}
	return raw, nil
}

// DecodeEntry is the inverse of EncodeEntry. base.ErrVersion for a format version or codec that this build does not
// know; base.ErrCorrupt for any other damage, and for an entry of more than 16 MiB.
func DecodeEntry(value []byte) (*metalogpb.Entry, error) {
	if len(value) < entryHeader {
		return nil, fmt.Errorf("entry of %d bytes: %w", len(value), base.ErrCorrupt)
	}
	if value[0] != entryVersion {
		return nil, fmt.Errorf("entry of format version %d, this build knows %d: %w", value[0], entryVersion, base.ErrVersion)
	}
	payload := value[entryHeader:]
	switch value[1] {
	case codecRaw:
	case codecZstd:
		var err error
		if payload, err = decoder().DecodeAll(payload, nil); err != nil {
			return nil, fmt.Errorf("decompress entry: %w: %w", err, base.ErrCorrupt)
		}
	default:
		return nil, fmt.Errorf("entry with codec %d: %w", value[1], base.ErrVersion)
	}
	e := &metalogpb.Entry{}
	if err := proto.Unmarshal(payload, e); err != nil {
		return nil, fmt.Errorf("decode entry: %w: %w", err, base.ErrCorrupt)
	}
	return e, nil
}

// HashOf returns the hash of an encoded entry.
func HashOf(value []byte) Hash { return sha256.Sum256(value) }

// CheckNext checks that the entry is the one that follows prev: its seq, and the hash of the entry before.
func CheckNext(prev Head, raw RawEntry, e *metalogpb.Entry) error {
	var want []byte
	if prev.Seq > 0 {
		want = prev.Hash[:]
	}
	switch {
	case raw.Seq != prev.Seq+1 || e.Seq != uint64(raw.Seq):
		return fmt.Errorf("entry at seq %d says seq %d, want %d: %w", raw.Seq, e.Seq, prev.Seq+1, ErrChain)
	case !bytes.Equal(e.PrevHash, want):
		return fmt.Errorf("entry %d follows entry %x, this one is %x: %w", raw.Seq, e.PrevHash, want, ErrChain)
	}
	return nil
}
