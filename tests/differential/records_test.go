package differential

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var recordKinds = []kind{
	{22, (*world).produce},
	{9, (*world).fetch},
	{6, (*world).listOffsets},
	{5, (*world).deleteRecords},
	{2, (*world).initProducer},
	{2, (*world).offsetForLeaderEpoch},
	{2, (*world).fetchLimited},
	{2, (*world).produceUnacked},
	{2, (*world).describeProducers},
	{1, (*world).transaction},
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
		t, key := b.turn(s, p), b.sequenceKey(p)
		switch by := s.producers[b.producer]; {
		case t.again:
		case t.epoch > by.epoch: // all sequences begin anew
			s.forgetSequences(b.producer)
			s.producers[b.producer] = producer{by.id, t.epoch}
			s.next[key], s.last[key] = t.first+t.count, t.sequences
		case t.first+t.count > s.next[key]:
			s.next[key], s.last[key] = t.first+t.count, t.sequences
		}
	}
}

func (s *side) forgetSequences(producer string) {
	for key := range s.next {
		if len(key) >= len(producer) && key[:len(producer)] == producer {
			delete(s.next, key)
			delete(s.last, key)
		}
	}
}

func (w *world) initProducer() step {
	name, version := w.producer(), w.version(0, 5)
	again, wrong := version >= 3 && w.in(60), w.in(30)
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

// atHead asks for the ends of partitions, and then for what it is about. A Fetch that does not wait may miss what was acked a moment
// ago, as an agent's view follows the log; who asks for the end waits until the view is there.
func atHead(at []place, build func(s *side) kmsg.Request) step {
	return func(s *side) []answer {
		ends := kmsg.NewPtrListOffsetsRequest()
		ends.Version, ends.ReplicaID = 7, -1
		for _, p := range at {
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = p.topic
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Partition, rp.Timestamp, rp.CurrentLeaderEpoch = p.partition, -1, -1
			t.Partitions = append(t.Partitions, rp)
			ends.Topics = append(ends.Topics, t)
		}
		return []answer{s.ask("main", ends), s.ask("main", build(s))}
	}
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
	return atHead(at, func(s *side) kmsg.Request {
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
	})
}

// fetchLimited asks for few bytes, so that the first batch is all that fits, or some are.
func (w *world) fetchLimited() step {
	version, p, offset := w.version(4, 18), place{topic: w.topic()}, int64(w.IntN(6))
	p.id = func(s *side) [16]byte { return s.topics[p.topic] }
	partitionBytes, bytes := pick[int32](w, 0, 1, 100, 170, 1<<20), pick[int32](w, 1, 100, 1<<20)
	return atHead([]place{p}, func(s *side) kmsg.Request {
		req := kmsg.NewPtrFetchRequest()
		req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = version, 0, 1, bytes, -1
		t := kmsg.NewFetchRequestTopic()
		if t.Topic = p.topic; version >= 13 {
			t.Topic, t.TopicID = "", p.id(s)
		}
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.FetchOffset, rp.PartitionMaxBytes = offset, partitionBytes
		t.Partitions = append(t.Partitions, rp)
		req.Topics = append(req.Topics, t)
		return req
	})
}

// produceUnacked sends a batch that gets no answer, and one behind it whose offset tells what became of the first.
func (w *world) produceUnacked() step {
	version := w.version(3, 12)
	p := place{topic: w.topic()} // mostly there, as an error ends the sequence
	first, second := w.draftBatch(), w.draftBatch()
	first.producer = "" // idempotence wants acks of all
	second.producer, second.breakage = "", breakage{}
	return func(s *side) []answer {
		var out []answer
		for i, b := range []*batchSpec{first, second} {
			req := kmsg.NewPtrProduceRequest()
			req.Version, req.Acks, req.TimeoutMillis = version, int16(-i), 5000
			t := kmsg.NewProduceRequestTopic()
			t.Topic = p.topic
			rp := kmsg.NewProduceRequestTopicPartition()
			rp.Partition, rp.Records = p.partition, b.batch(s, p)
			t.Partitions = append(t.Partitions, rp)
			req.Topics = append(req.Topics, t)
			out = append(out, s.ask("main", req))
		}
		return out
	}
}

func (w *world) describeProducers() step {
	req := kmsg.NewPtrDescribeProducersRequest()
	for _, p := range w.places() {
		t := kmsg.NewDescribeProducersRequestTopic()
		t.Topic, t.Partitions = p.topic, []int32{p.partition}
		req.Topics = append(req.Topics, t)
	}
	return plain(req)
}

// transaction asks for what is not there.
func (w *world) transaction() step {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version, req.TransactionalID, req.TransactionTimeoutMillis = w.version(0, 5), kmsg.StringPtr(w.prefix+"transaction"), 60_000
	return plain(req)
}

func (w *world) listOffsets() step {
	version := w.version(1, 10)
	at := w.places()
	var times []int64
	var epochs []func(*side) int32
	for range at {
		times = append(times, pick(w, -1, -2, -3, -4, -5, -1, -2, -3, -3, -6, -7, 0, w.now-5, w.now, w.now+3, w.now+20, w.now+100))
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

// deleteRecords deletes, and then looks for what is left.
func (w *world) deleteRecords() step {
	req, look := kmsg.NewPtrDeleteRecordsRequest(), kmsg.NewPtrListOffsetsRequest()
	req.Version, req.TimeoutMillis = w.version(0, 2), 5000
	look.Version, look.ReplicaID = w.version(7, 10), -1
	for _, p := range w.places() {
		t := kmsg.NewDeleteRecordsRequestTopic()
		t.Topic = p.topic
		rp := kmsg.NewDeleteRecordsRequestTopicPartition()
		rp.Partition, rp.Offset = p.partition, pick[int64](w, 0, 1, 2, 3, 5, 8, -1, -2, 1000)
		t.Partitions = append(t.Partitions, rp)
		req.Topics = append(req.Topics, t)

		lt := kmsg.NewListOffsetsRequestTopic()
		lt.Topic = p.topic
		lp := kmsg.NewListOffsetsRequestTopicPartition()
		lp.Partition, lp.Timestamp, lp.CurrentLeaderEpoch = p.partition, pick(w, -1, -2, -3, -3, 0, w.now, w.now+20), -1
		lt.Partitions = append(lt.Partitions, lp)
		look.Topics = append(look.Topics, lt)
	}
	return func(s *side) []answer { return []answer{s.ask("main", req), s.ask("main", look)} }
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
