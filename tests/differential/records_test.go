package differential

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var recordKinds = []kind{
	{14, (*world).produce},
	{9, (*world).fetch},
	{6, (*world).listOffsets},
	{3, (*world).deleteRecords},
	{2, (*world).initProducer},
	{2, (*world).offsetForLeaderEpoch},
}

// place is a partition of a request.
type place struct {
	topic     string
	id        func(*side) [16]byte
	partition int32
}

// places draws the partitions of a request, by name and id: each topic once.
func (w *world) places() []place {
	var out []place
	seen := map[string]bool{}
	for range w.some() {
		topic := w.anyTopic()
		if !seen[topic] {
			out = append(out, place{topic, w.topicID(topic), w.partition()})
		}
		seen[topic] = true
	}
	return out
}

// batchSpec is a batch in the making.
type batchSpec struct {
	records  int
	values   int   // the first of its records' values
	times    int64 // of the first record
	gap      int64 // between records' times
	producer string
	stranger int64 // producer id that nobody gave out
	epoch    int16 // to be added to the producer's
	skip     int32 // to be added to the next sequence
	breakage breakage
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batch encodes a batch for a partition, with the producer's next sequence there as the side knows it.
func (b *batchSpec) batch(s *side, p place) []byte {
	out := kmsg.RecordBatch{Magic: 2, PartitionLeaderEpoch: -1, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1}
	for i := range b.records {
		r := kmsg.Record{OffsetDelta: int32(i), TimestampDelta64: b.gap * int64(i), Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "v%d", b.values+i)}
		r.Length = int32(len(r.AppendTo(nil)) - 1) // its own length takes one byte
		out.Records = r.AppendTo(out.Records)
	}
	out.NumRecords, out.LastOffsetDelta = int32(b.records), int32(b.records)-1
	out.FirstTimestamp, out.MaxTimestamp = b.times, b.times+max(b.gap, 0)*int64(b.records-1)
	if by, has := s.producers[b.producer]; has {
		out.ProducerID, out.ProducerEpoch = by.id, by.epoch+b.epoch
		out.FirstSequence = s.next[b.sequenceKey(p)] + b.skip
		if b.epoch > 0 {
			out.FirstSequence = b.skip
		}
	}
	if b.stranger != 0 {
		out.ProducerID, out.ProducerEpoch, out.FirstSequence = b.stranger, 0, max(b.skip, 0)
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

func (w *world) draftBatch() *batchSpec {
	b := &batchSpec{records: 1 + w.IntN(4), values: w.values, times: w.now + int64(w.IntN(50)), gap: pick[int64](w, 0, 1, 7, -2)}
	w.values += b.records
	if w.in(45) && len(w.known.producers) > 0 {
		b.producer = fmt.Sprint("p", w.IntN(3))
		if w.in(25) {
			b.skip = pick[int32](w, 1, -1, -2, 5, -9)
		}
		if w.in(8) {
			b.epoch = pick[int16](w, 1, -1)
		}
	}
	if w.in(10) {
		b.breakage = pick(w, breakages...)
	}
	return b
}

func (w *world) produce() step {
	version := w.version(3, 13)
	at := w.places()
	if version >= 13 {
		at = differentPartitions(at)
	}
	var batches []*batchSpec
	for range at {
		batches = append(batches, w.draftBatch())
	}
	acks, timeout := int16(-1), int32(5000)
	if w.in(15) {
		acks = pick[int16](w, 1, 1, 2, -2)
	}
	label := "main"
	for i, b := range batches {
		if b.breakage.name != "" {
			label = fmt.Sprintf("%s, partition %d: %s", label, at[i].partition, b.breakage.name)
		}
	}
	produced := one("main", func(s *side) kmsg.Request {
		req := kmsg.NewPtrProduceRequest()
		req.Version, req.Acks, req.TimeoutMillis = version, acks, timeout
		for i, p := range at {
			t := kmsg.NewProduceRequestTopic()
			if t.Topic = p.topic; version >= 13 {
				t.Topic, t.TopicID = "", p.id(s)
			}
			rp := kmsg.NewProduceRequestTopicPartition()
			rp.Partition, rp.Records = p.partition, batches[i].batch(s, p)
			t.Partitions = append(t.Partitions, rp)
			req.Topics = append(req.Topics, t)
		}
		return req
	}, func(s *side, resp kmsg.Response) { learnProduced(s, at, batches, resp) })
	return func(s *side) []answer {
		out := produced(s)
		out[0].label = label
		return out
	}
}

// differentPartitions leaves one place of each partition number: kfake panics at two topics by id that it does not know, and the same
// number.
func differentPartitions(at []place) []place {
	seen := map[int32]bool{}
	return slices.DeleteFunc(at, func(p place) bool {
		before := seen[p.partition]
		seen[p.partition] = true
		return before
	})
}

// learnProduced counts the sequences of producers that got on.
func learnProduced(s *side, at []place, batches []*batchSpec, resp kmsg.Response) {
	ok := map[string]bool{}
	for _, t := range resp.(*kmsg.ProduceResponse).Topics {
		name := t.Topic
		if name == "" {
			name = s.topicOf[t.TopicID]
		}
		for _, p := range t.Partitions {
			ok[fmt.Sprint(name, p.Partition)] = p.ErrorCode == 0
		}
	}
	for i, p := range at {
		b := batches[i]
		if b.producer == "" || !ok[fmt.Sprint(p.topic, p.partition)] {
			continue
		}
		by := s.producers[b.producer]
		switch n := s.next[b.sequenceKey(p)] + b.skip + int32(b.records); {
		case b.epoch > 0: // a new epoch begins all sequences anew
			by.epoch += b.epoch
			s.producers[b.producer] = by
			s.forgetSequences(b.producer)
			s.next[b.sequenceKey(p)] = b.skip + int32(b.records)
		case n > s.next[b.sequenceKey(p)]:
			s.next[b.sequenceKey(p)] = n
		}
	}
}

func (s *side) forgetSequences(producer string) {
	for key := range s.next {
		if len(key) >= len(producer) && key[:len(producer)] == producer {
			delete(s.next, key)
		}
	}
}

func (w *world) initProducer() step {
	name, version := fmt.Sprint("p", w.IntN(3)), w.version(0, 5)
	again, wrong := version >= 3 && w.in(40), w.in(30)
	return one("main", func(s *side) kmsg.Request {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.Version, req.TransactionTimeoutMillis = version, 60_000
		if by, has := s.producers[name]; has && again {
			if req.ProducerID, req.ProducerEpoch = by.id, by.epoch; wrong {
				req.ProducerEpoch += 3
			}
		}
		return req
	}, func(s *side, resp kmsg.Response) {
		r := resp.(*kmsg.InitProducerIDResponse)
		if r.ErrorCode != 0 {
			return
		}
		s.producers[name] = producer{r.ProducerID, r.ProducerEpoch}
		s.producing[r.ProducerID] = name
		s.forgetSequences(name)
	})
}

func (w *world) fetch() step {
	version := w.version(4, 18)
	at := w.places()
	var offsets []int64
	var epochs []func(*side) int32
	for range at {
		offset := int64(w.IntN(12))
		if w.in(50) {
			offset = 0
		}
		if w.in(10) {
			offset = pick[int64](w, -1, -2, 1000, 1<<60)
		}
		offsets, epochs = append(offsets, offset), append(epochs, w.leaderEpoch())
	}
	isolation, session := int8(w.IntN(2)), w.in(10)
	return one("main", func(s *side) kmsg.Request {
		req := kmsg.NewPtrFetchRequest()
		req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.IsolationLevel = version, 0, 0, 10<<20, isolation
		if req.SessionEpoch = -1; session {
			req.SessionEpoch = 0
		}
		for i, p := range at {
			t := kmsg.NewFetchRequestTopic()
			if t.Topic = p.topic; version >= 13 {
				t.Topic, t.TopicID = "", p.id(s)
			}
			rp := kmsg.NewFetchRequestTopicPartition()
			rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes, rp.CurrentLeaderEpoch = p.partition, offsets[i], 1<<20, epochs[i](s)
			t.Partitions = append(t.Partitions, rp)
			req.Topics = append(req.Topics, t)
		}
		return req
	}, nil)
}

func (w *world) listOffsets() step {
	version := w.version(1, 10)
	at := w.places()
	var times []int64
	var epochs []func(*side) int32
	for range at {
		times = append(times, pick(w, -1, -2, -3, -4, -5, -1, -2, -3, -6, -7, 0, w.now-5, w.now, w.now+3, w.now+20, w.now+100))
		epochs = append(epochs, w.leaderEpoch())
	}
	isolation := int8(w.IntN(2))
	return one("main", func(s *side) kmsg.Request {
		req := kmsg.NewPtrListOffsetsRequest()
		req.Version, req.ReplicaID, req.IsolationLevel = version, -1, isolation
		for i, p := range at {
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = p.topic
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Partition, rp.Timestamp, rp.CurrentLeaderEpoch = p.partition, times[i], epochs[i](s)
			t.Partitions = append(t.Partitions, rp)
			req.Topics = append(req.Topics, t)
		}
		return req
	}, nil)
}

func (w *world) deleteRecords() step {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Version, req.TimeoutMillis = w.version(0, 2), 5000
	for _, p := range w.places() {
		t := kmsg.NewDeleteRecordsRequestTopic()
		t.Topic = p.topic
		rp := kmsg.NewDeleteRecordsRequestTopicPartition()
		rp.Partition, rp.Offset = p.partition, pick[int64](w, 0, 1, 2, 3, 5, 8, -1, -2, 1000)
		t.Partitions = append(t.Partitions, rp)
		req.Topics = append(req.Topics, t)
	}
	return plain(req)
}

func (w *world) offsetForLeaderEpoch() step {
	version := w.version(3, 4)
	at := w.places()
	var current, asked []func(*side) int32
	above := w.in(20)
	for range at {
		current, asked = append(current, w.leaderEpoch()), append(asked, func(s *side) int32 {
			if above {
				return s.epoch + 1
			}
			return s.epoch
		})
	}
	return one("main", func(s *side) kmsg.Request {
		req := kmsg.NewPtrOffsetForLeaderEpochRequest()
		req.Version, req.ReplicaID = version, -1
		for i, p := range at {
			t := kmsg.NewOffsetForLeaderEpochRequestTopic()
			t.Topic = p.topic
			rp := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
			rp.Partition, rp.CurrentLeaderEpoch, rp.LeaderEpoch = p.partition, current[i](s), asked[i](s)
			t.Partitions = append(t.Partitions, rp)
			req.Topics = append(req.Topics, t)
		}
		return req
	}, nil)
}
