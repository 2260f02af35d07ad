package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// saramaClient is IBM/sarama.
type saramaClient struct{ brokers []string }

func newSarama(brokers []string) client { return saramaClient{brokers} }

// config is the default, but for what the library asks of an idempotent producer that waits for its acks.
func (saramaClient) config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Producer.Return.Successes = true
	c.Producer.Idempotent, c.Producer.RequiredAcks, c.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Consumer.Offsets.Initial, c.Consumer.Offsets.AutoCommit.Enable = sarama.OffsetOldest, false
	return c
}

var saramaCodecs = map[string]sarama.CompressionCodec{
	"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
}

func (s saramaClient) withAdmin(fn func(sarama.ClusterAdmin) error) error {
	a, err := sarama.NewClusterAdmin(s.brokers, s.config())
	if err != nil {
		return err
	}
	return first(fn(a), a.Close())
}

func (s saramaClient) create(topic string, partitions int32, configs map[string]*string) error {
	return s.withAdmin(func(a sarama.ClusterAdmin) error {
		return a.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: configs}, false)
	})
}

func (s saramaClient) produce(codec string, all []*sarama.ProducerMessage) error {
	c := s.config()
	c.Producer.Compression = saramaCodecs[codec]
	p, err := sarama.NewSyncProducer(s.brokers, c)
	if err != nil {
		return err
	}
	return first(p.SendMessages(all), p.Close())
}

// encoder is nil for null.
func encoder(b []byte) sarama.Encoder {
	if b == nil {
		return nil
	}
	return sarama.ByteEncoder(b)
}

func (s saramaClient) roundTrip(topic, codec string, records []record) ([]record, error) {
	if err := s.create(topic, 1, nil); err != nil {
		return nil, err
	}
	var all []*sarama.ProducerMessage
	for _, r := range records {
		m := &sarama.ProducerMessage{Topic: topic, Key: encoder(r.key), Value: encoder(r.value)}
		for _, h := range r.headers {
			name, value, _ := cut(h)
			m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(name), Value: value})
		}
		all = append(all, m)
	}
	if err := s.produce(codec, all); err != nil {
		return nil, err
	}
	for i, m := range all {
		if m.Offset != int64(i) {
			return nil, fmt.Errorf("record %d acked at %d", i, m.Offset)
		}
	}
	var out []record
	err := s.read(topic, 0, sarama.OffsetOldest, func(m *sarama.ConsumerMessage) bool {
		r := record{key: m.Key, value: m.Value}
		for _, h := range m.Headers {
			r.headers = append(r.headers, string(h.Key)+"="+string(h.Value))
		}
		out = append(out, r)
		return len(out) < len(records)
	})
	return out, err
}

// read reads a partition until fn has enough.
func (s saramaClient) read(topic string, partition int32, from int64, fn func(*sarama.ConsumerMessage) bool) error {
	c, err := sarama.NewConsumer(s.brokers, s.config())
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	p, err := c.ConsumePartition(topic, partition, from)
	if err != nil {
		return err
	}
	defer p.AsyncClose()
	timeout := time.After(wait)
	for {
		select {
		case m := <-p.Messages():
			if !fn(m) {
				return nil
			}
		case <-timeout:
			return fmt.Errorf("not enough records of %s", topic)
		}
	}
}

func (s saramaClient) offsets(topic string, records int) error {
	var at *sarama.ConsumerMessage
	err := s.read(topic, 0, 7, func(m *sarama.ConsumerMessage) bool {
		at = m
		return false
	})
	if err := first(err, expect("from an offset", at.Offset, 7)); err != nil {
		return err
	}
	c, err := sarama.NewClient(s.brokers, s.config())
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for _, want := range []struct{ time, low, high int64 }{
		{sarama.OffsetOldest, 0, 0}, {sarama.OffsetNewest, int64(records), int64(records)}, {at.Timestamp.UnixMilli(), 0, 7},
		{time.Now().Add(time.Hour).UnixMilli(), -1, -1},
	} {
		o, err := c.GetOffset(topic, 0, want.time)
		if err != nil || o < want.low || o > want.high {
			return fmt.Errorf("offset at %d: %d, %v; want %d to %d", want.time, o, err, want.low, want.high)
		}
	}
	return nil
}

// member is one of a group.
type member struct {
	take   func(*sarama.ConsumerMessage)
	share  func(map[string][]int32)
	commit bool
}

func (m member) Setup(s sarama.ConsumerGroupSession) error {
	m.share(s.Claims())
	return nil
}

func (member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m member) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case msg, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			m.take(msg)
			if m.commit {
				s.MarkMessage(msg, "note")
			}
		case <-s.Context().Done():
			return nil
		}
	}
}

// join is a member until ctx ends; then what it marked is committed.
func (s saramaClient) join(ctx context.Context, topic, group string, m member) error {
	g, err := sarama.NewConsumerGroup(s.brokers, group, s.config())
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err := g.Consume(ctx, []string{topic}, m); err != nil {
			return first(err, g.Close())
		}
	}
	return g.Close()
}

func (s saramaClient) fill(topic string, records, partitions int) error {
	var all []*sarama.ProducerMessage
	for i := range records {
		all = append(all, &sarama.ProducerMessage{Topic: topic, Partition: int32(i % partitions), Value: sarama.StringEncoder(fmt.Sprint(i))})
	}
	return s.produce("none", all)
}

func (s saramaClient) group(topic, group string) error {
	if err := first(s.create(topic, 4, nil), s.fill(topic, 400, 4)); err != nil {
		return err
	}
	var mu sync.Mutex
	seen, share := map[string]bool{}, [2]int{}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	for n := range 2 {
		m := member{
			take: func(m *sarama.ConsumerMessage) {
				mu.Lock()
				defer mu.Unlock()
				seen[string(m.Value)] = true
			},
			share: func(claims map[string][]int32) {
				mu.Lock()
				defer mu.Unlock()
				share[n] = len(claims[topic])
			},
		}
		go func() { ended <- s.join(ctx, topic, group, m) }()
	}
	err := eventually("two members that share the partitions", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(seen) == 400 && share == [2]int{2, 2}
	})
	stop()
	if err := first(err, <-ended, <-ended); err != nil {
		return err
	}
	return s.withAdmin(func(a sarama.ClusterAdmin) error { return s.groupAdmin(a, topic, group) })
}

func (s saramaClient) groupAdmin(a sarama.ClusterAdmin, topic, group string) error {
	note := "note"
	for p := range int32(4) {
		at := map[string]map[int32]sarama.OffsetAndMetadata{topic: {p: {Offset: 100, LeaderEpoch: -1, Metadata: note}}}
		if _, err := a.AlterConsumerGroupOffsets(group, at, nil); err != nil {
			return err
		}
	}
	got, err := a.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0, 1, 2, 3}})
	if err != nil {
		return err
	}
	for p := range int32(4) {
		if b := got.GetBlock(topic, p); b == nil || b.Offset != 100 || b.Metadata != note {
			return fmt.Errorf("committed: %+v", b)
		}
	}
	described, err := a.DescribeConsumerGroups([]string{group})
	if err := first(err, expect("state", described[0].State, "Empty")); err != nil {
		return err
	}
	if err := a.DeleteConsumerGroup(group); err != nil {
		return err
	}
	left, err := a.ListConsumerGroups()
	_, has := left[group]
	return first(err, expect("the deleted group is listed", has, false))
}

func (s saramaClient) admin(topic string) error {
	hour, two := "3600000", "7200000"
	if err := s.create(topic, 2, map[string]*string{"retention.ms": &hour}); err != nil {
		return err
	}
	return s.withAdmin(func(a sarama.ClusterAdmin) error {
		if err := a.CreatePartitions(topic, 3, nil, false); err != nil {
			return err
		}
		set := map[string]sarama.IncrementalAlterConfigsEntry{"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &two}}
		if err := a.IncrementalAlterConfig(sarama.TopicResource, topic, set, false); err != nil {
			return err
		}
		configs, err := a.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"retention.ms"}})
		if err := first(err, expect("retention.ms", configs[0].Value, two)); err != nil {
			return err
		}
		if err := s.fill(topic, 30, 3); err != nil {
			return err
		}
		if err := a.DeleteRecords(topic, map[int32]int64{0: 4}); err != nil {
			return err
		}
		c, err := sarama.NewClient(s.brokers, s.config())
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		start, err := c.GetOffset(topic, 0, sarama.OffsetOldest)
		return first(err, expect("the start after DeleteRecords", start, 4), a.DeleteTopic(topic))
	})
}

func (s saramaClient) before(topic, group string) (map[int32]int64, error) {
	if err := s.fill(topic, 900, 3); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	n := 0
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	c := s.config()
	c.Consumer.Offsets.AutoCommit.Enable = true // what is marked is committed, at the latest when the member leaves
	g, err := sarama.NewConsumerGroup(s.brokers, group, c)
	if err != nil {
		return nil, err
	}
	m := member{commit: true, share: func(map[string][]int32) {}, take: func(*sarama.ConsumerMessage) {
		mu.Lock()
		defer mu.Unlock()
		if n++; n == 400 {
			stop()
		}
	}}
	if err := first(g.Consume(ctx, []string{topic}, m), g.Close()); err != nil {
		return nil, err
	}
	out := map[int32]int64{}
	return out, s.withAdmin(func(a sarama.ClusterAdmin) error {
		got, err := a.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0, 1, 2}})
		if err != nil {
			return err
		}
		for p := range int32(3) {
			out[p] = max(got.GetBlock(topic, p).Offset, 0)
		}
		return nil
	})
}

func (s saramaClient) after(topic, group string) (map[int32]int64, error) {
	if err := s.fill(topic, 3, 3); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	out := map[int32]int64{}
	ctx, stop := context.WithTimeout(context.Background(), wait)
	defer stop()
	m := member{share: func(map[string][]int32) {}, take: func(m *sarama.ConsumerMessage) {
		mu.Lock()
		defer mu.Unlock()
		if _, has := out[m.Partition]; !has {
			out[m.Partition] = m.Offset
		}
		if len(out) == 3 {
			stop()
		}
	}}
	return out, s.join(ctx, topic, group, m)
}
