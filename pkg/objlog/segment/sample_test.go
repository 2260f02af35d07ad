package segment

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
)

// sample is one record batch for a test; its records have no keys and one byte of value.
type sample struct {
	topic     byte // fills the topic id
	partition int32
	records   int32
	producer  int64
	sequence  int32
	attrs     int16
	value     byte
}

func topicID(b byte) base.TopicID {
	var id base.TopicID
	for i := range id {
		id[i] = b
	}
	return id
}

// bytes encodes the batch as a producer would.
func (s sample) bytes() []byte {
	b := bytes.Repeat([]byte{0}, batch.HeaderSize)
	for i := range s.records {
		b = append(b, 14, 0, 0, byte(i<<1), 1, 2, s.value, 0)
	}
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	b[16] = 2
	binary.BigEndian.PutUint16(b[21:], uint16(s.attrs))
	binary.BigEndian.PutUint32(b[23:], uint32(s.records-1))
	binary.BigEndian.PutUint64(b[27:], 1_700_000_000_000)
	binary.BigEndian.PutUint64(b[35:], 1_700_000_000_001)
	binary.BigEndian.PutUint64(b[43:], uint64(s.producer))
	binary.BigEndian.PutUint16(b[51:], uint16(min(s.producer, 0)))
	binary.BigEndian.PutUint32(b[53:], uint32(s.sequence))
	binary.BigEndian.PutUint32(b[57:], uint32(s.records))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	return b
}

func (s sample) batch(t testing.TB) Batch {
	t.Helper()
	b := s.bytes()
	h, rest, err := batch.Parse(b)
	if err != nil || len(rest) != 0 {
		t.Fatalf("sample batch: %v, %d bytes too many", err, len(rest))
	}
	return Batch{Topic: topicID(s.topic), Partition: s.partition, Header: h, Digest: batch.Digest(b), Bytes: b}
}

var testHeader = Header{Cluster: base.ClusterID{0xc1, 0x05, 15: 0x7e}, Session: 0x0000110000000003, Number: 7}

func build(t testing.TB, samples ...sample) Built {
	t.Helper()
	batches := make([]Batch, len(samples))
	for i, s := range samples {
		batches[i] = s.batch(t)
	}
	return Build(testHeader, batches)
}

// three has two partitions of one topic and one of another, not in their order, and two batches of one partition.
func three(t testing.TB) Built {
	return build(t,
		sample{topic: 0xbb, partition: 0, records: 1, producer: -1, sequence: -1, value: 'x'},
		sample{topic: 0xaa, partition: 5, records: 2, producer: 0x11000000002a, sequence: 10, value: 'y'},
		sample{topic: 0xaa, partition: 1, records: 1, producer: -1, sequence: -1, value: 'z'},
		sample{topic: 0xaa, partition: 5, records: 1, producer: 0x11000000002a, sequence: 12, attrs: batch.Transactional, value: 'w'},
	)
}
