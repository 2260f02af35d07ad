package differential

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// batchSpec is a batch in the making.
type batchSpec struct {
	records  int
	values   int   // the first of its records' values
	times    int64 // of the first record
	gap      int64 // between records' times
	producer string
	epoch    int16 // to be added to the producer's
	skip     int32 // to be added to the next sequence
	again    bool  // the sequences of the last batch, as in a retry
	gzip     bool
	breakage breakage
}

func compressed(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b) // to memory
	_ = w.Close()
	return out.Bytes()
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// turn is where a batch stands among those of its producer.
type turn struct {
	sequences
	epoch int16
	again bool // it repeats the last one
}

// turn is what the batch's would be now, as the side knows the producer.
func (b *batchSpec) turn(s *side, p place) turn {
	t := turn{sequences{s.next[b.sequenceKey(p)] + b.skip, int32(b.records)}, s.producers[b.producer].epoch + b.epoch, false}
	if b.epoch > 0 {
		t.first = b.skip // a new epoch begins anew
	}
	if last, has := s.last[b.sequenceKey(p)]; has && b.again {
		t = turn{last, s.producers[b.producer].epoch, true}
	}
	return t
}

// batch encodes a batch for a partition, with the producer's next sequence there as the side knows it.
func (b *batchSpec) batch(s *side, p place) []byte {
	out := kmsg.RecordBatch{Magic: 2, PartitionLeaderEpoch: -1, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1}
	records := b.records
	if by, has := s.producers[b.producer]; has {
		t := b.turn(s, p)
		out.ProducerID, out.ProducerEpoch, out.FirstSequence, records = by.id, t.epoch, t.first, int(t.count)
	}
	for i := range records {
		r := kmsg.Record{OffsetDelta: int32(i), TimestampDelta64: b.gap * int64(i), Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "v%d", b.values+i)}
		r.Length = int32(len(r.AppendTo(nil)) - 1) // its own length takes one byte
		out.Records = r.AppendTo(out.Records)
	}
	out.NumRecords, out.LastOffsetDelta = int32(records), int32(records)-1
	out.FirstTimestamp, out.MaxTimestamp = b.times, b.times+max(b.gap, 0)*int64(records-1)
	if b.gzip {
		out.Attributes, out.Records = 1, compressed(out.Records)
	}
	raw := out.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	seal(raw)
	if b.breakage.do != nil {
		raw = b.breakage.do(raw)
	}
	return raw
}

func (b *batchSpec) sequenceKey(p place) string { return fmt.Sprint(b.producer, p.topic, p.partition) }

// seal sets the checksum.
func seal(raw []byte) []byte {
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], castagnoli))
	return raw
}

// breakage makes a batch unsound, as a broken client could send it.
type breakage struct {
	name string
	do   func(b []byte) []byte
}

var breakages = []breakage{
	{"checksum", func(b []byte) []byte { b[17] ^= 1; return b }},
	{"magic 1", func(b []byte) []byte { b[16] = 1; return b }},
	{"magic 9", func(b []byte) []byte { b[16] = 9; return b }},
	{"cut off", func(b []byte) []byte { return b[:len(b)-3] }},
	{"cut off in the header", func(b []byte) []byte { return b[:30] }},
	{"last offset delta", func(b []byte) []byte { b[26]++; return seal(b) }},
	{"number of records", func(b []byte) []byte { b[60]++; return seal(b) }},
	{"control batch", func(b []byte) []byte { b[22] |= 0x20; return seal(b) }},
	{"unknown codec", func(b []byte) []byte { b[22] |= 0x05; return seal(b) }},
	{"base offset", func(b []byte) []byte { b[7] = 5; return b }},
	{"nothing", func([]byte) []byte { return nil }},
	{"two batches", func(b []byte) []byte { return append(b, b...) }},
	{"length", func(b []byte) []byte { binary.BigEndian.PutUint32(b[8:], 1<<30); return b }},
	{"no records", func(b []byte) []byte { binary.BigEndian.PutUint32(b[57:], 0); return seal(b) }},
	{"beyond max.message.bytes", func(b []byte) []byte {
		b = append(b, make([]byte, 1100*1024)...)
		binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
		return seal(b)
	}},
}

func (w *world) producer() string { return fmt.Sprint("p", min(w.IntN(2), w.IntN(2))) }

func (w *world) draftBatch() *batchSpec {
	b := &batchSpec{records: 1 + w.IntN(4), values: w.values, times: w.now + int64(w.IntN(50)), gap: pick[int64](w, 0, 1, 7, -2)}
	w.values += b.records
	b.gzip = w.in(15)
	if w.in(55) {
		b.producer = w.producer()
		b.again = w.in(20)
		if w.in(25) {
			b.skip = pick[int32](w, 1, -1, -2, 5, -9)
		}
		if w.in(20) {
			b.epoch = pick[int16](w, 1, -1, -1)
		}
	}
	if w.in(10) {
		b.breakage = pick(w, breakages...)
	}
	return b
}
