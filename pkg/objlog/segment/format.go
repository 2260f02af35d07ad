package segment

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// Version is the format version that this build writes.
const Version = 1

// Sizes of the fixed parts, bytes.
const (
	HeaderSize      = 48
	TrailerSize     = 32
	extentEntrySize = 40
	batchEntrySize  = 56
	footerCountSize = 4
)

const (
	magicHead = "GNOMSEG\x00"
	magicTail = "GNOMEND\x00"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Header says whose object this is. A whole copy in another region keeps its source's header; see Subset for others.
type Header struct {
	Cluster base.ClusterID
	Session base.SessionID
	Number  base.ObjectNumber
}

// BatchEntry is a footer's entry for one batch.
type BatchEntry struct {
	Length        int32
	Records       int32
	ProducerID    int64
	ProducerEpoch int16
	BaseSequence  int32
	Attributes    int16
	BaseTimestamp int64
	MaxTimestamp  int64
	Digest        base.Digest
}

// Extent is the batches of one partition in an object.
type Extent struct {
	Topic     base.TopicID
	Partition int32
	Position  int64 // from the start of the object
	Length    int64
	Batches   []BatchEntry
}

func (e *Extent) partition() base.TopicPartition {
	return base.TopicPartition{Topic: e.Topic, Partition: e.Partition}
}

func appendHeader(b []byte, h Header) []byte {
	start := len(b)
	b = append(b, magicHead...)
	b = binary.BigEndian.AppendUint16(b, Version)
	b = binary.BigEndian.AppendUint16(b, HeaderSize)
	b = append(b, h.Cluster[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Session))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Number))
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// ParseHeader reads an object's header.
func ParseHeader(b []byte) (Header, error) {
	var h Header
	if len(b) < HeaderSize || string(b[:8]) != magicHead {
		return h, fmt.Errorf("segment header: not a segment object: %w", base.ErrCorrupt)
	}
	if v := binary.BigEndian.Uint16(b[8:]); v != Version {
		return h, fmt.Errorf("segment of format version %d, this build knows %d: %w", v, Version, base.ErrVersion)
	}
	if crc32.Checksum(b[:HeaderSize-4], castagnoli) != binary.BigEndian.Uint32(b[HeaderSize-4:]) {
		return h, fmt.Errorf("segment header: wrong CRC: %w", base.ErrCorrupt)
	}
	if n := binary.BigEndian.Uint16(b[10:]); n != HeaderSize {
		return h, fmt.Errorf("segment header says that it has %d bytes, want %d: %w", n, HeaderSize, base.ErrCorrupt)
	}
	copy(h.Cluster[:], b[12:28])
	h.Session = base.SessionID(binary.BigEndian.Uint64(b[28:]))
	h.Number = base.ObjectNumber(binary.BigEndian.Uint64(b[36:]))
	return h, nil
}

func appendFooter(b []byte, extents []Extent) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(extents)))
	for _, e := range extents {
		b = append(b, e.Topic[:]...)
		b = binary.BigEndian.AppendUint32(b, uint32(e.Partition))
		b = binary.BigEndian.AppendUint64(b, uint64(e.Position))
		b = binary.BigEndian.AppendUint64(b, uint64(e.Length))
		b = binary.BigEndian.AppendUint32(b, uint32(len(e.Batches)))
		for _, x := range e.Batches {
			b = binary.BigEndian.AppendUint32(b, uint32(x.Length))
			b = binary.BigEndian.AppendUint32(b, uint32(x.Records))
			b = binary.BigEndian.AppendUint64(b, uint64(x.ProducerID))
			b = binary.BigEndian.AppendUint16(b, uint16(x.ProducerEpoch))
			b = binary.BigEndian.AppendUint32(b, uint32(x.BaseSequence))
			b = binary.BigEndian.AppendUint16(b, uint16(x.Attributes))
			b = binary.BigEndian.AppendUint64(b, uint64(x.BaseTimestamp))
			b = binary.BigEndian.AppendUint64(b, uint64(x.MaxTimestamp))
			b = append(b, x.Digest[:]...)
		}
	}
	return b
}

func appendTrailer(b, footer []byte, position int64) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint64(b, uint64(position))
	b = binary.BigEndian.AppendUint32(b, uint32(len(footer)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(footer, castagnoli))
	b = binary.BigEndian.AppendUint16(b, Version)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
	return append(b, magicTail...)
}

// trailer is where the footer lies.
type trailer struct {
	position int64
	length   int64
	crc      uint32
}

func parseTrailer(b []byte, size int64) (trailer, error) {
	var t trailer
	if len(b) != TrailerSize || string(b[24:]) != magicTail {
		return t, fmt.Errorf("segment trailer: the object does not end as a segment does: %w", base.ErrCorrupt)
	}
	if v := binary.BigEndian.Uint16(b[16:]); v != Version {
		return t, fmt.Errorf("segment of format version %d, this build knows %d: %w", v, Version, base.ErrVersion)
	}
	if crc32.Checksum(b[:20], castagnoli) != binary.BigEndian.Uint32(b[20:]) {
		return t, fmt.Errorf("segment trailer: wrong CRC: %w", base.ErrCorrupt)
	}
	t = trailer{
		position: int64(binary.BigEndian.Uint64(b)), length: int64(binary.BigEndian.Uint32(b[8:])), crc: binary.BigEndian.Uint32(b[12:]),
	}
	if t.position < HeaderSize || t.position+t.length+TrailerSize != size {
		return t, fmt.Errorf("segment trailer: a footer of %d bytes at %d in an object of %d: %w", t.length, t.position, size, base.ErrCorrupt)
	}
	return t, nil
}
