package kafkaapi

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
)

// sink is an Appender that takes everything over at once.
type sink struct{}

func (sink) Refuse(context.Context, []ProduceBatch) {}

func (sink) Append(_ context.Context, batches []ProduceBatch, done func([]ProduceResult)) {
	done(make([]ProduceResult, len(batches)))
}

// stock is a Reader that always has the same batches.
type stock struct {
	Reader
	batches [][]byte
	bytes   int
}

func (s stock) Read(context.Context, ReadRequest) (ReadResult, error) {
	return ReadResult{Batches: s.batches, Bytes: s.bytes}, nil
}

// exchange sends one request over and over, and reads each answer.
func exchange(b *testing.B, h *harness, req kmsg.Request, bytes int) {
	b.Helper()
	w := h.dial()
	out, in := encodeRequest(req, 1), make([]byte, 4<<20)
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		w.raw(out)
		if err := readAnswer(w.nc, in); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
}

// BenchmarkProduce is a request of 16 batches of 64 KiB, over loopback, into nothing.
func BenchmarkProduce(b *testing.B) {
	h := start(b, nil)
	h.add("t", 16, nil)
	h.server.deps.Appender = sink{}
	req := produceRequest(9, "t", 0, nil)
	req.Topics[0].Partitions = nil
	one := makeBatch(1, string(make([]byte, 64<<10-batch.HeaderSize)))
	for p := range int32(16) {
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, kmsg.ProduceRequestTopicPartition{Partition: p, Records: one})
	}
	exchange(b, h, req, 16*len(one))
}

// BenchmarkFetch is an answer of 16 partitions with 64 KiB each, over loopback.
func BenchmarkFetch(b *testing.B) {
	h := start(b, nil)
	topic := h.add("t", 16, nil)
	one := makeBatch(1, string(make([]byte, 64<<10-batch.HeaderSize)))
	h.server.deps.Reader = stock{Reader: h.memory, batches: [][]byte{one}, bytes: len(one)}
	req := fetchRequest(13, 0, topic.ID, 0, 0)
	req.MaxBytes = 16 << 20
	for p := int32(1); p < 16; p++ {
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, kmsg.FetchRequestTopicPartition{Partition: p, PartitionMaxBytes: 1 << 20})
	}
	exchange(b, h, req, 16*len(one))
}

// BenchmarkFetchEncode is what stands between the records of 1,000 partitions.
func BenchmarkFetchEncode(b *testing.B) {
	r := fetchResponse{version: 13, topics: []fetchTopic{{id: base.TopicID{1}}}}
	for p := range int32(1000) {
		r.topics[0].partitions = append(r.topics[0].partitions, fetchPartitionResult{partition: p, found: ReadResult{Batches: [][]byte{{1}}, Bytes: 1}})
	}
	scratch := make([]byte, 0, 1<<20)
	var out net.Buffers
	b.ReportAllocs()
	for range b.N {
		out = r.encode(scratch)
	}
	_ = out
}

// readAnswer reads one answer into a buffer.
func readAnswer(r io.Reader, into []byte) error {
	if _, err := io.ReadFull(r, into[:4]); err != nil {
		return err
	}
	_, err := io.ReadFull(r, into[:binary.BigEndian.Uint32(into)])
	return err
}
