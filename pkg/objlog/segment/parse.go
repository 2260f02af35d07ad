package segment

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
)

// ParseFooter reads the extents out of a whole object.
func ParseFooter(object []byte) ([]Extent, error) {
	size := int64(len(object))
	if size < HeaderSize+TrailerSize {
		return nil, fmt.Errorf("segment of %d bytes: %w", size, base.ErrCorrupt)
	}
	t, err := parseTrailer(object[size-TrailerSize:], size)
	if err != nil {
		return nil, err
	}
	footer := object[t.position : t.position+t.length]
	if crc32.Checksum(footer, castagnoli) != t.crc {
		return nil, fmt.Errorf("segment footer: wrong CRC: %w", base.ErrCorrupt)
	}
	return parseExtents(footer, t.position)
}

func parseExtents(b []byte, end int64) ([]Extent, error) {
	lying := fmt.Errorf("segment footer: its counts contradict its length: %w", base.ErrCorrupt)
	if len(b) < footerCountSize {
		return nil, lying
	}
	count := int64(binary.BigEndian.Uint32(b))
	b = b[footerCountSize:]
	if count*extentEntrySize > int64(len(b)) {
		return nil, lying
	}
	extents := make([]Extent, 0, count)
	next := int64(HeaderSize)
	for range count {
		if len(b) < extentEntrySize {
			return nil, lying
		}
		e := Extent{
			Topic: base.TopicID(b[:16]), Partition: int32(binary.BigEndian.Uint32(b[16:])),
			Position: int64(binary.BigEndian.Uint64(b[20:])), Length: int64(binary.BigEndian.Uint64(b[28:])),
		}
		n := int64(binary.BigEndian.Uint32(b[36:]))
		b = b[extentEntrySize:]
		if n*batchEntrySize > int64(len(b)) {
			return nil, lying
		}
		e.Batches = make([]BatchEntry, n)
		total := int64(0)
		for i := range e.Batches {
			e.Batches[i] = parseBatchEntry(b)
			total += int64(e.Batches[i].Length)
			b = b[batchEntrySize:]
		}
		if e.Position != next || e.Length != total || e.Length < 0 || e.Position+e.Length > end {
			return nil, fmt.Errorf("segment footer: an extent of %d bytes at %d, expected %d at %d: %w", e.Length, e.Position, total, next, base.ErrCorrupt)
		}
		next += e.Length
		extents = append(extents, e)
	}
	if len(b) != 0 || next != end {
		return nil, lying
	}
	return extents, nil
}

func parseBatchEntry(b []byte) BatchEntry {
	return BatchEntry{
		Length:        int32(binary.BigEndian.Uint32(b)),
		Records:       int32(binary.BigEndian.Uint32(b[4:])),
		ProducerID:    int64(binary.BigEndian.Uint64(b[8:])),
		ProducerEpoch: int16(binary.BigEndian.Uint16(b[16:])),
		BaseSequence:  int32(binary.BigEndian.Uint32(b[18:])),
		Attributes:    int16(binary.BigEndian.Uint16(b[22:])),
		BaseTimestamp: int64(binary.BigEndian.Uint64(b[24:])),
		MaxTimestamp:  int64(binary.BigEndian.Uint64(b[32:])),
		Digest:        base.Digest(b[40:56]),
	}
}

// Verify recomputes every batch's digest from its bytes and compares it with the footer. It returns the header and the
// extents; the error names the first batch that differs.
func Verify(object []byte) (Header, []Extent, error) {
	h, err := ParseHeader(object)
	if err != nil {
		return h, nil, err
	}
	extents, err := ParseFooter(object)
	if err != nil {
		return h, nil, err
	}
	for _, e := range extents {
		at := e.Position
		for i, x := range e.Batches {
			if err := VerifyBatch(object[at:at+int64(x.Length)], x); err != nil {
				return h, extents, fmt.Errorf("segment %x/%x: batch %d of %s-%d at byte %d: %w", h.Session, h.Number, i, e.Topic, e.Partition, at, err)
			}
			at += int64(x.Length)
		}
	}
	return h, extents, nil
}

// VerifyBatch compares the bytes of one batch with its footer entry.
func VerifyBatch(b []byte, x BatchEntry) error {
	if len(b) < batch.HeaderSize {
		return fmt.Errorf("%d bytes are no batch: %w", len(b), base.ErrCorrupt)
	}
	if got := batch.Digest(b); got != x.Digest {
		return fmt.Errorf("its digest is %s, the footer says %s: %w", got, x.Digest, base.ErrCorrupt)
	}
	return nil
}
