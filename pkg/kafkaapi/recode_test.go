package kafkaapi

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/batchtest"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch/records"
)

// stored are the batches of a partition.
func (h *harness) stored(topic Topic, partition int32) (out [][]byte) {
	h.locked(func() {
		for _, b := range h.logs[base.TopicPartition{Topic: topic.ID, Partition: partition}].batches {
			out = append(out, bytes.Clone(b))
		}
	})
	return out
}

// memoryFree tells whether requests hold no memory for recompression.
func (h *harness) memoryFree() bool {
	r := h.server.recoder
	if !r.memory.TryAcquire(recodersMax * r.request) {
		return false
	}
	r.memory.Release(recodersMax * r.request)
	return true
}

// compression.type: whatever codec a producer chose, batches are stored under the topic's, with the same records, and with
// what an idempotent producer is known by.
func TestRecompression(t *testing.T) {
	h, ctx := start(t, nil), testContext(t)
	clientCodecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
	for name, codec := range codecs {
		configs := map[string]string{"compression.type": name}
		if level, ok := map[string]string{"gzip": "9", "lz4": "12", "zstd": "-5"}[name]; ok {
			configs["compression."+name+".level"] = level
		}
		topic := h.add(name, 1, configs)
		var want []string
		for i, cc := range clientCodecs {
			producer := h.client(kgo.ProducerBatchCompression(cc), kgo.DefaultProduceTopic(name))
			for j := range 200 {
				r := kgo.KeyStringRecord("key", fmt.Sprintf("%d %d padding padding padding", i, j))
				r.Headers = []kgo.RecordHeader{{Key: "h", Value: []byte("v")}}
				producer.Produce(ctx, r, nil)
				want = append(want, string(r.Value))
			}
			if err := producer.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
		for _, b := range h.stored(topic, 0) {
			if hd, _, err := batch.Parse(b); err != nil || hd.Codec() != codec || hd.ProducerID < 0 || !batch.CheckCRC(hd, b) {
				t.Fatalf("%s: stored %+v, %v", name, hd, err)
			}
		}
		consumer := h.client(kgo.ConsumeTopics(name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		var got []string
		for len(got) < len(want) {
			f := consumer.PollFetches(ctx)
			if err := f.Err(); err != nil {
				t.Fatal(err)
			}
			f.EachRecord(func(r *kgo.Record) {
				if string(r.Key) != "key" || len(r.Headers) != 1 {
					t.Errorf("%s: %+v", name, r)
				}
				got = append(got, string(r.Value))
			})
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: other records were read than were written", name)
		}
	}
	eventually(t, "the memory to be free", h.memoryFree)
}

// zipped is a batch of zstd, of one record with a value of n bytes.
func zipped(t *testing.T, n int) []byte {
	t.Helper()
	r := kmsg.Record{Value: make([]byte, n)}
	r.Length = int32(len(r.AppendTo(nil)) - 1)
	b := makeBatch(1, string(r.AppendTo(nil)))
	h, _, err := batch.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := records.Recode(h, b, b[batch.HeaderSize:], records.Codec{Type: records.Zstd, Level: 3}, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Where records are looked into, what is wrong with them costs one batch and an error that tells, and gives its memory back.
func TestInspectionErrors(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.DecompressedBytes = 1 << 20 })
	h.add("plain", 1, map[string]string{"compression.type": "uncompressed", "max.message.bytes": "10000"})
	h.add("zstd", 1, map[string]string{"compression.type": "zstd"})
	h.add("gzip", 1, map[string]string{"compression.type": "gzip"})
	h.add("strict", 1, map[string]string{"message.timestamp.after.max.ms": "60000", "message.timestamp.before.max.ms": "60000"})
	h.add("stamped", 1, map[string]string{"message.timestamp.type": "LogAppendTime", "message.timestamp.after.max.ms": "60000"})
	h.add("lax", 1, nil)
	now := time.Now().UnixMilli()
	// liar is a batch whose header is within bounds, and whose record is not.
	liar := func(delta int64) []byte {
		r := kmsg.Record{TimestampDelta64: delta}
		r.Length = int32(len(r.AppendTo(nil)) - 1)
		return makeBatch(1, string(r.AppendTo(nil)))
	}
	garbage := makeBatch(1, "this was never compressed")
	garbage[22] |= 1
	seal(garbage)
	w := h.dial()
	for _, c := range []struct {
		name, topic string
		b           []byte
		want        *kerr.Error
	}{
		{"a bomb", "gzip", zipped(t, 8<<20), kerr.MessageTooLarge},
		{"a bomb for a topic that does not look", "lax", zipped(t, 8<<20), nil},
		{"too large for the topic once it is plain", "plain", zipped(t, 20_000), kerr.MessageTooLarge},
		{"large enough", "plain", zipped(t, 9_000), nil},
		{"garbage under a codec", "zstd", garbage, kerr.InvalidRecord},
		{"garbage under the topic's own codec", "gzip", garbage, nil}, // not looked at: it is stored as it came, and is its consumers' trouble
		{"garbage as records", "zstd", makeBatch(1, "value"), kerr.InvalidRecord},
		{"a record of the future", "strict", liar(3_600_000), kerr.InvalidTimestamp},
		{"a record of the past", "strict", liar(-3_600_000), kerr.InvalidTimestamp},
		{"a record of the past, compressed", "strict", zipped(t, 10), nil},
		{"a record without a time", "strict", liar(-now - 3_600_000), nil},
		{"bounds mean nothing to append time", "stamped", liar(3_600_000), nil},
	} {
		p := ask[*kmsg.ProduceResponse](w, produceRequest(9, c.topic, 0, c.b), 9).Topics[0].Partitions[0]
		var want int16
		if c.want != nil {
			want = c.want.Code
		}
		if p.ErrorCode != want {
			t.Errorf("%s: %v %v, want %v", c.name, kerr.ErrorForCode(p.ErrorCode), p.ErrorMessage, c.want)
		}
		eventually(t, "the memory to be free", h.memoryFree)
	}
}

// What requests may make is bounded for all together, and one that makes more than its part is refused.
func TestRecompressionIsBounded(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.DecompressedBytes = 1 << 20 })
	h.add("t", 3, map[string]string{"compression.type": "uncompressed"})
	req := produceRequest(9, "t", 0, zipped(t, 600_000))
	for p := range int32(2) {
		part := kmsg.NewProduceRequestTopicPartition()
		part.Partition, part.Records = p+1, zipped(t, 600_000)
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, part)
	}
	got := ask[*kmsg.ProduceResponse](h.dial(), req, 9).Topics[0].Partitions
	for i, want := range []int16{0, kerr.MessageTooLarge.Code, kerr.MessageTooLarge.Code} {
		if got[i].ErrorCode != want {
			t.Errorf("partition %d: %v, want %d", i, kerr.ErrorForCode(got[i].ErrorCode), want)
		}
	}

	// Appends are held: as many requests as there is memory for go in, the others wait, and all are answered in the end.
	h.locked(func() { h.hold = true })
	const requests = 6
	var conns []*wire
	for i := range requests {
		w := h.dial()
		w.send(produceRequest(9, "t", 0, zipped(t, 900_000)), int32(i))
		conns = append(conns, w)
	}
	heldNow := func() (n int) {
		h.locked(func() { n = len(h.held) })
		return n
	}
	eventually(t, "some to be under way", func() bool { return heldNow() >= recodersMax-1 })
	if n := heldNow(); n > recodersMax {
		t.Errorf("%d requests are under way, there is memory for %d", n, recodersMax)
	}
	h.let(func(all []func()) []func() { return all })
	for i, w := range conns {
		resp := w.receive(produceRequest(9, "t", 0, nil), int32(i)).(*kmsg.ProduceResponse)
		if code := resp.Topics[0].Partitions[0].ErrorCode; code != 0 {
			t.Errorf("request %d: %v", i, kerr.ErrorForCode(code))
		}
	}
	eventually(t, "the memory to be free", h.memoryFree)
}

// A retry is the batch of before: producer, epoch and sequence are kept.
func TestRecompressionKeepsTheSequence(t *testing.T) {
	h := start(t, nil)
	topic := h.add("t", 1, map[string]string{"compression.type": "lz4"})
	w := h.dial()
	b := batchtest.Make(batchtest.Spec{Producer: 9, Epoch: 2, Sequence: 40, Records: 3, Value: 'x', Timestamp: time.Now().UnixMilli()})
	for range 2 {
		if p := ask[*kmsg.ProduceResponse](w, produceRequest(9, "t", 0, bytes.Clone(b)), 9).Topics[0].Partitions[0]; p.ErrorCode != 0 {
			t.Fatal(kerr.ErrorForCode(p.ErrorCode))
		}
	}
	stored := h.stored(topic, 0)
	first, _, err := batch.Parse(stored[0])
	if err != nil || first.ProducerID != 9 || first.ProducerEpoch != 2 || first.BaseSequence != 40 || first.Records != 3 {
		t.Errorf("%+v, %v", first, err)
	}
	if batch.Digest(stored[0]) != batch.Digest(stored[1]) {
		t.Error("the same batch became two")
	}
}
