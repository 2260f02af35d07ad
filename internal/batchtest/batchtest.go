// Package batchtest makes record batches for tests: sound ones, as a producer would send them.
//
// It is for test files only.
package batchtest

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Spec is what a batch is made of. Its records have no keys and one byte of value.
type Spec struct {
	Producer  int64 // 0 means none
	Epoch     int16
	Sequence  int32
	Records   int32 // at most 64
	Value     byte
	Timestamp int64 // of all records, Unix milliseconds
}

// Make encodes a batch.
func Make(s Spec) []byte {
	var header [batch.HeaderSize]byte
	b := header[:]
	for i := range s.Records {
		// length, attributes, timestamp delta, offset delta, no key, value of one byte, no headers
		b = append(b, 14, 0, 0, byte(i<<1), 1, 2, s.Value, 0)
	}
	if s.Producer == 0 {
		s.Producer, s.Epoch, s.Sequence = -1, -1, -1
	}
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	b[16] = 2
	binary.BigEndian.PutUint32(b[23:], uint32(s.Records-1))
	binary.BigEndian.PutUint64(b[27:], uint64(s.Timestamp))
	binary.BigEndian.PutUint64(b[35:], uint64(s.Timestamp))
	binary.BigEndian.PutUint64(b[43:], uint64(s.Producer))
	binary.BigEndian.PutUint16(b[51:], uint16(s.Epoch))
	binary.BigEndian.PutUint32(b[53:], uint32(s.Sequence))
	binary.BigEndian.PutUint32(b[57:], uint32(s.Records))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	return b
}
