package batch

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// HeaderSize is where the records begin, bytes.
const HeaderSize = 61

// Bits of Header.Attributes.
const (
	CodecMask     = 0x07
	LogAppendTime = 0x08
	Transactional = 0x10
	Control       = 0x20
)

const (
	lengthPrefix = 12 // baseOffset and batchLength
	digestFrom   = 16
	crcFrom      = 21
	magicV2      = 2
	codecMax     = 4 // zstd
)

// Header is a batch's header.
type Header struct {
	BaseOffset      base.Offset
	Length          int // bytes of the whole batch, its first 12 included
	LeaderEpoch     base.Epoch
	Magic           int8
	CRC             uint32
	Attributes      int16
	LastOffsetDelta int32
	BaseTimestamp   int64 // Unix milliseconds
	MaxTimestamp    int64 // Unix milliseconds
	ProducerID      int64 // -1 for none
	ProducerEpoch   int16
	BaseSequence    int32
	Records         int32
}

// Codec is the compression type: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
func (h Header) Codec() int16 { return h.Attributes & CodecMask }

// IsTransactional tells whether the batch is part of a transaction.
func (h Header) IsTransactional() bool { return h.Attributes&Transactional != 0 }

// IsControl tells whether the batch holds a transaction marker.
func (h Header) IsControl() bool { return h.Attributes&Control != 0 }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Parse reads the header of the first batch in b and returns what follows that batch. It checks no more than that the
// batch is whole and of format version 2: base.ErrCorrupt or base.ErrVersion.
func Parse(b []byte) (h Header, rest []byte, err error) {
	if len(b) < HeaderSize {
		return h, nil, fmt.Errorf("record batch of %d bytes, its header has %d: %w", len(b), HeaderSize, base.ErrCorrupt)
	}
	length := int64(int32(binary.BigEndian.Uint32(b[8:]))) + lengthPrefix
	if b[16] != magicV2 {
		return h, nil, fmt.Errorf("record batch with magic %d, want 2: %w", int8(b[16]), base.ErrVersion)
	}
	if length < HeaderSize || length > int64(len(b)) {
		return h, nil, fmt.Errorf("record batch says %d bytes, there are %d: %w", length, len(b), base.ErrCorrupt)
	}
	h = Header{
		BaseOffset:      base.Offset(binary.BigEndian.Uint64(b)),
		Length:          int(length),
		LeaderEpoch:     base.Epoch(int32(binary.BigEndian.Uint32(b[12:]))),
		Magic:           int8(b[16]),
		CRC:             binary.BigEndian.Uint32(b[17:]),
		Attributes:      int16(binary.BigEndian.Uint16(b[21:])),
		LastOffsetDelta: int32(binary.BigEndian.Uint32(b[23:])),
		BaseTimestamp:   int64(binary.BigEndian.Uint64(b[27:])),
		MaxTimestamp:    int64(binary.BigEndian.Uint64(b[35:])),
		ProducerID:      int64(binary.BigEndian.Uint64(b[43:])),
		ProducerEpoch:   int16(binary.BigEndian.Uint16(b[51:])),
		BaseSequence:    int32(binary.BigEndian.Uint32(b[53:])),
		Records:         int32(binary.BigEndian.Uint32(b[57:])),
	}
	return h, b[length:], nil
}

// CheckCRC tells whether the batch that h was parsed from has the CRC that it says.
func CheckCRC(h Header, b []byte) bool {
	return crc32.Checksum(b[crcFrom:h.Length], castagnoli) == h.CRC
}

// CodecName gives the name that Kafka's configs and metrics have for the batch's codec.
func (h Header) CodecName() string {
	names := [...]string{"none", "gzip", "snappy", "lz4", "zstd"}
	if c := h.Codec(); c <= codecMax {
		return names[c]
	}
	return "unknown"
}

// PatchOffsets writes, in place, the offset and the leader epoch that the batch has in its partition. Neither the CRC
// nor the digest covers them. b must hold a parsed batch.
func PatchOffsets(b []byte, offset base.Offset, epoch base.Epoch) {
	binary.BigEndian.PutUint64(b, uint64(offset))
	binary.BigEndian.PutUint32(b[12:], uint32(epoch))
}

// StampAppendTime turns the batch that h was parsed from, in place, into one of timestamp type LogAppendTime: all its
// records count as of now, Unix milliseconds. It computes a new CRC and returns the new header.
func StampAppendTime(h Header, b []byte, now int64) Header {
	h.Attributes |= LogAppendTime
	h.MaxTimestamp = now
	binary.BigEndian.PutUint16(b[21:], uint16(h.Attributes))
	binary.BigEndian.PutUint64(b[35:], uint64(now))
	h.CRC = crc32.Checksum(b[crcFrom:h.Length], castagnoli)
	binary.BigEndian.PutUint32(b[17:], h.CRC)
	return h
}

// Reseal makes b, which begins with the header that h was parsed from and goes on with its records under another codec, a
// sound batch: it writes length, codec and CRC, and returns the new header.
func Reseal(h Header, b []byte, codec int16) Header {
	h.Length = len(b)
	h.Attributes = h.Attributes&^CodecMask | codec
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-lengthPrefix))
	binary.BigEndian.PutUint16(b[21:], uint16(h.Attributes))
	h.CRC = crc32.Checksum(b[crcFrom:], castagnoli)
	binary.BigEndian.PutUint32(b[17:], h.CRC)
	return h
}

// Digest is the digest of one whole batch: see B1. b must be at least a header long.
func Digest(b []byte) base.Digest { return base.DigestOf(b[digestFrom:]) }
