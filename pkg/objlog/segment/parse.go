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
	t, err := readTrailer(object, int64(len(object)))
	if err != nil {
		return nil, err
	}
	return parseFooter(object[t.position:t.position+t.length], t)
}

// readTrailer reads the trailer at the end of tail, which is the end of an object of size bytes.
func readTrailer(tail []byte, size int64) (trailer, error) {
	if size < HeaderSize+footerCountSize+TrailerSize || len(tail) < TrailerSize {
		return trailer{}, fmt.Errorf("segment of %d bytes, the smallest has %d: %w", size, HeaderSize+footerCountSize+TrailerSize, base.ErrCorrupt)
	}
	return parseTrailer(tail[len(tail)-TrailerSize:], size)
}

func parseFooter(b []byte, t trailer) ([]Extent, error) {
	if crc32.Checksum(b, castagnoli) != t.crc {
		return nil, fmt.Errorf("segment footer: wrong CRC: %w", base.ErrCorrupt)
	}
	return parseExtents(b, t.position)
}

var errLying = fmt.Errorf("segment footer: its counts contradict its length: %w", base.ErrCorrupt)

// parseExtents reads a footer. end is where the extents end in the object: they fill it without a gap from the header on.
func parseExtents(b []byte, end int64) ([]Extent, error) {
	if len(b) < footerCountSize {
		return nil, errLying
	}
	count := int64(binary.BigEndian.Uint32(b))
	b = b[footerCountSize:]
	if count*extentEntrySize > int64(len(b)) {
		return nil, errLying
	}
	extents := make([]Extent, 0, count)
	next := int64(HeaderSize)
	for range count {
		var e Extent
		var err error
		if e, b, err = parseExtent(b); err != nil {
			return nil, err
		}
		if e.Position != next || e.Length > end-next {
			return nil, fmt.Errorf("segment footer: an extent of %d bytes at %d, expected at %d, before %d: %w", e.Length, e.Position, next, end, base.ErrCorrupt)
		}
		if n := len(extents); n > 0 && extents[n-1].partition().Compare(e.partition()) >= 0 {
			return nil, fmt.Errorf("segment footer: %s is not behind %s: %w", e.partition(), extents[n-1].partition(), base.ErrCorrupt)
		}
		next += e.Length
		extents = append(extents, e)
	}
	if len(b) != 0 || next != end {
		return nil, errLying
	}
	return extents, nil
}

// parseExtent reads the extent at the front of b, with its batches, and returns what follows.
func parseExtent(b []byte) (e Extent, rest []byte, err error) {
	if len(b) < extentEntrySize {
		return e, nil, errLying
	}
	e = Extent{
		Topic: base.TopicID(b[:16]), Partition: int32(binary.BigEndian.Uint32(b[16:])),
		Position: int64(binary.BigEndian.Uint64(b[20:])), Length: int64(binary.BigEndian.Uint64(b[28:])),
	}
	n := int64(binary.BigEndian.Uint32(b[36:]))
	b = b[extentEntrySize:]
	if n == 0 || n*batchEntrySize > int64(len(b)) {
		return e, nil, errLying
	}
	e.Batches = make([]BatchEntry, n)
	total := int64(0)
	for i := range e.Batches {
		x := parseBatchEntry(b)
		if x.Length < batch.HeaderSize || x.Records < 1 {
			return e, nil, fmt.Errorf("segment footer: a batch of %d records in %d bytes: %w", x.Records, x.Length, base.ErrCorrupt)
		}
		e.Batches[i] = x
		total += int64(x.Length)
		b = b[batchEntrySize:]
	}
	if total != e.Length {
		return e, nil, fmt.Errorf("segment footer: an extent of %d bytes with batches of %d: %w", e.Length, total, base.ErrCorrupt)
	}
	return e, b, nil
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

// Verify checks a whole object: header, footer, and each batch against its footer entry. It returns the header and the
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
				return h, extents, fmt.Errorf("segment %x/%x: batch %d of %s at byte %d: %w", uint64(h.Session), uint64(h.Number), i, e.partition(), at, err)
			}
			at += int64(x.Length)
		}
	}
	return h, extents, nil
}

// VerifyBatch compares the bytes of one batch with its footer entry: digest, length, CRC and what commit was told.
func VerifyBatch(b []byte, x BatchEntry) error {
	if len(b) < batch.HeaderSize {
		return fmt.Errorf("%d bytes are no batch: %w", len(b), base.ErrCorrupt)
	}
	if got := batch.Digest(b); got != x.Digest {
		return fmt.Errorf("its digest is %s, the footer says %s: %w", got, x.Digest, base.ErrCorrupt)
	}
	h, rest, err := batch.Parse(b) // the length lies outside the digest
	switch {
	case err != nil:
		return err
	case len(rest) != 0 || entryOf(h, len(b), x.Digest) != x:
		return fmt.Errorf("its header is of %d records in %d bytes, the footer says %d in %d, or differs otherwise: %w",
			h.Records, h.Length, x.Records, x.Length, base.ErrCorrupt)
	case !batch.CheckCRC(h, b):
		return fmt.Errorf("it has a wrong CRC: %w", base.ErrCorrupt)
	}
	return nil
}
