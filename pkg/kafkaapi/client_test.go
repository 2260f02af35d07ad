package kafkaapi

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// A client of the shelf produces with every codec and reads what it wrote.
func TestProduceAndConsumeEveryCodec(t *testing.T) {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) {
			h, ctx := start(t, nil), testContext(t)
			h.add("t", 3, nil)
			const records = 2000
			producer := h.client(kgo.ProducerBatchCompression(codec), kgo.DefaultProduceTopic("t"))
			for i := range records {
				producer.Produce(ctx, kgo.StringRecord(fmt.Sprintf("%06d padding padding padding padding", i)), func(_ *kgo.Record, err error) {
					if err != nil {
						t.Error(err)
					}
				})
			}
			if err := producer.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			consumer := h.client(kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			seen := map[string]int{}
			for len(seen) < records {
				f := consumer.PollFetches(ctx)
				if err := f.Err(); err != nil {
					t.Fatal(err)
				}
				f.EachRecord(func(r *kgo.Record) { seen[string(r.Value)]++ })
			}
			for v, n := range seen {
				if n != 1 {
					t.Fatalf("%q was read %d times", v, n)
				}
			}
		})
	}
}

// A tail read is woken by the next record, not by the end of its wait.
func TestFetchWakesUp(t *testing.T) {
	h, ctx := start(t, nil), testContext(t)
	h.add("t", 1, nil)
	consumer := h.client(kgo.ConsumeTopics("t"), kgo.FetchMaxWait(20*time.Second), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	got := make(chan kgo.Fetches, 1)
	go func() { got <- consumer.PollFetches(ctx) }()
	producer := h.client(kgo.DefaultProduceTopic("t"))
	begin := time.Now()
	if err := producer.ProduceSync(ctx, kgo.StringRecord("x")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if f := <-got; f.NumRecords() != 1 || time.Since(begin) > 10*time.Second {
		t.Fatalf("%d records after %v, %v", f.NumRecords(), time.Since(begin), f.Err())
	}
}

func TestAdmin(t *testing.T) {
	h, ctx := start(t, nil), testContext(t)
	adm := kadm.NewClient(h.client())
	value := "1000"
	created, err := adm.CreateTopics(ctx, 4, -1, map[string]*string{"retention.ms": &value}, "a", "b")
	if err != nil || created.Error() != nil {
		t.Fatal(err, created.Error())
	}
	topics, err := adm.ListTopics(ctx)
	if err != nil || len(topics) != 2 || len(topics["a"].Partitions) != 4 {
		t.Fatalf("%v, %v", topics, err)
	}
	configs, err := adm.DescribeTopicConfigs(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range configs[0].Configs {
		if set := c.Source.String() == "DYNAMIC_TOPIC_CONFIG"; set != (c.Key == "retention.ms") || set && *c.Value != "1000" {
			t.Errorf("config %+v", c)
		}
	}
	if n := len(configs[0].Configs); n != len(topicConfigs) {
		t.Errorf("%d configs, want %d", n, len(topicConfigs))
	}
	if _, err := adm.DescribeBrokerConfigs(ctx, 1); err != nil {
		t.Error(err)
	}
	meta, err := adm.BrokerMetadata(ctx)
	if err != nil || meta.Cluster != "memory" || len(meta.Brokers) != 1 || meta.Brokers[0].NodeID != 1 {
		t.Fatalf("%+v, %v", meta, err)
	}
	if _, err := adm.DeleteTopics(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if _, ok := h.TopicByName("a"); ok {
		t.Fatal("topic a is still there")
	}
	ends, err := adm.ListEndOffsets(ctx, "b")
	if err != nil || ends.Error() != nil || len(ends["b"]) != 4 {
		t.Fatalf("%v, %v", ends, err)
	}
}

// A topic that a client may create is in the first answer; one that it may not is never created.
func TestAutoCreation(t *testing.T) {
	h, ctx := start(t, func(c *Config) { c.DefaultPartitions = 5 }), testContext(t)
	may := h.client(kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("new"))
	if err := may.ProduceSync(ctx, kgo.StringRecord("x")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if topic, ok := h.TopicByName("new"); !ok || topic.Partitions != 5 {
		t.Fatalf("%+v, %v", topic, ok)
	}
	mayNot := h.client(kgo.DefaultProduceTopic("other"), kgo.UnknownTopicRetries(1))
	if err := mayNot.ProduceSync(ctx, kgo.StringRecord("x")).FirstErr(); err == nil {
		t.Fatal("produced to a topic that nobody created")
	}
	if n := h.creations(); n != 1 {
		t.Fatalf("%d topics were created", n)
	}
}

// An outage that passes costs no record: the producer retries until it is over.
func TestPassingFaultIsRetried(t *testing.T) {
	h, ctx := start(t, nil), testContext(t)
	h.add("t", 1, nil)
	var left atomic.Int32
	left.Store(3)
	fault := func(results []ProduceResult) {
		if left.Add(-1) >= 0 {
			results[0] = ProduceResult{Err: fmt.Errorf("commit: %w", kerr.NotLeaderForPartition)}
		}
	}
	h.locked(func() { h.appendTo = fault })
	producer := h.client(kgo.DefaultProduceTopic("t"), kgo.MetadataMinAge(10*time.Millisecond))
	if err := producer.ProduceSync(ctx, kgo.StringRecord("x")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if left.Load() >= 0 {
		t.Fatal("the fault never struck")
	}
}
