package kafkaapi

import (
	"encoding/binary"
	"hash/crc32"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
)

// makeBatch returns a valid batch of n records; its records are value, which nobody decodes.
func makeBatch(n int32, value string) []byte {
	b := make([]byte, batch.HeaderSize, batch.HeaderSize+len(value))
	b = append(b, value...)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	b[16] = 2
	binary.BigEndian.PutUint32(b[23:], uint32(n-1))
	now := uint64(time.Now().UnixMilli())
	binary.BigEndian.PutUint64(b[27:], now)
	binary.BigEndian.PutUint64(b[35:], now)
	binary.BigEndian.PutUint64(b[43:], ^uint64(0))
	binary.BigEndian.PutUint32(b[57:], uint32(n))
	return seal(b)
}

func seal(b []byte) []byte {
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

func produceRequest(version int16, topic string, partition int32, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks = version, -1
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, records
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func TestProduceEveryVersion(t *testing.T) {
	h := start(t, nil)
	topic := h.add("t", 2, nil)
	w := h.dial()
	next := int64(0)
	for version := range int16(14) {
		req := produceRequest(version, "t", 1, makeBatch(2, "value"))
		req.Topics[0].TopicID = topic.ID
		resp := ask[*kmsg.ProduceResponse](w, req, version)
		p := resp.Topics[0].Partitions[0]
		if version < 3 {
			if p.ErrorCode != kerr.UnsupportedVersion.Code {
				t.Errorf("version %d: code %d", version, p.ErrorCode)
			}
			continue
		}
		if p.ErrorCode != 0 || p.Partition != 1 || p.BaseOffset != next || p.LogAppendTime != -1 {
			t.Errorf("version %d: %+v, want offset %d", version, p, next)
		}
		next += 2
	}
}

func TestProduceErrors(t *testing.T) {
	h := start(t, nil)
	h.add("t", 2, nil)
	h.add("small", 1, map[string]string{"max.message.bytes": "80"})
	h.add("standby", 1, nil)
	h.locked(func() { h.topics["standby"].Writable = false })
	h.add("strict", 1, map[string]string{"message.timestamp.before.max.ms": "1000"})
	spoil := func(f func(b []byte)) []byte {
		b := makeBatch(2, "value")
		f(b)
		return b
	}
	cases := []struct {
		name    string
		version int16
		topic   string
		part    int32
		records []byte
		want    *kerr.Error
	}{
		{"unknown topic", 9, "nope", 0, makeBatch(1, "x"), kerr.UnknownTopicOrPartition},
		{"partition too high", 9, "t", 2, makeBatch(1, "x"), kerr.UnknownTopicOrPartition},
		{"negative partition", 9, "t", -1, makeBatch(1, "x"), kerr.UnknownTopicOrPartition},
		{"unknown id", 13, "t", 0, makeBatch(1, "x"), kerr.UnknownTopicID},
		{"standby", 9, "standby", 0, makeBatch(1, "x"), kerr.NotLeaderForPartition},
		{"too large", 9, "small", 0, makeBatch(1, "01234567890123456789"), kerr.MessageTooLarge},
		{"wrong CRC", 9, "t", 0, spoil(func(b []byte) { b[len(b)-1] ^= 1 }), kerr.CorruptMessage},
		{"lying length", 9, "t", 0, spoil(func(b []byte) { b[11]++ }), kerr.CorruptMessage},
		{"magic 1", 9, "t", 0, spoil(func(b []byte) { b[16] = 1 }), kerr.InvalidRecord},
		{"no records", 9, "t", 0, nil, kerr.InvalidRecord},
		{"control", 9, "t", 0, spoil(func(b []byte) { b[22] |= batch.Control; seal(b) }), kerr.InvalidRecord},
		{"transactional", 9, "t", 0, spoil(func(b []byte) { b[22] |= batch.Transactional; clear(b[43:51]); seal(b) }), kerr.InvalidTxnState},
		{"old zstd", 6, "t", 0, spoil(func(b []byte) { b[22] |= 4; seal(b) }), kerr.UnsupportedCompressionType},
		{"from the future", 9, "t", 0, spoil(func(b []byte) { b[35] = 0x70; seal(b) }), kerr.InvalidTimestamp},
		{"from the past", 9, "strict", 0, spoil(func(b []byte) { b[29], b[30] = 0, 1; seal(b) }), kerr.InvalidTimestamp},
	}
	w := h.dial()
	for _, c := range cases {
		resp := ask[*kmsg.ProduceResponse](w, produceRequest(c.version, c.topic, c.part, c.records), c.version)
		if p := resp.Topics[0].Partitions[0]; p.ErrorCode != c.want.Code || p.BaseOffset != -1 {
			t.Errorf("%s: code %d, offset %d, want %v", c.name, p.ErrorCode, p.BaseOffset, c.want)
		}
	}
	acks := produceRequest(9, "t", 0, makeBatch(1, "x"))
	acks.Acks = 2
	if p := ask[*kmsg.ProduceResponse](w, acks, 9).Topics[0].Partitions[0]; p.ErrorCode != kerr.InvalidRequiredAcks.Code {
		t.Errorf("acks 2: code %d", p.ErrorCode)
	}
	txn := produceRequest(9, "t", 0, makeBatch(1, "x"))
	txn.TransactionID = kmsg.StringPtr("id")
	if p := ask[*kmsg.ProduceResponse](w, txn, 9).Topics[0].Partitions[0]; p.ErrorCode != kerr.InvalidTxnState.Code {
		t.Errorf("transactional id: code %d", p.ErrorCode)
	}
}

// One bad batch spoils no other, and each result goes to its place.
func TestProduceMixedResults(t *testing.T) {
	h := start(t, nil)
	h.add("a", 3, nil)
	h.add("b", 1, nil)
	fault := func(r []ProduceResult) { r[1] = ProduceResult{Err: base.ErrUnavailable} }
	h.locked(func() { h.appendTo = fault })
	req := produceRequest(9, "a", 0, makeBatch(1, "x"))
	bad := makeBatch(1, "x")
	bad[20] ^= 1
	for i, records := range [][]byte{bad, makeBatch(1, "y")} {
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = int32(i+1), records
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, p)
	}
	req.Topics = append(req.Topics, produceRequest(9, "b", 0, makeBatch(5, "z")).Topics...)
	resp := ask[*kmsg.ProduceResponse](h.dial(), req, 9)
	want := []int16{0, kerr.CorruptMessage.Code, kerr.RequestTimedOut.Code}
	for i, p := range resp.Topics[0].Partitions {
		if p.ErrorCode != want[i] || p.Partition != int32(i) {
			t.Errorf("partition %d: %+v", i, p)
		}
	}
	if p := resp.Topics[1].Partitions[0]; p.ErrorCode != 0 || p.BaseOffset != 0 {
		t.Errorf("topic b: %+v", p)
	}
}

// acks=0 gets no answer; its only way to hear of an error is to lose the connection.
func TestProduceWithoutAcks(t *testing.T) {
	h := start(t, nil)
	topic := h.add("t", 1, nil)
	w := h.dial()
	req := produceRequest(9, "t", 0, makeBatch(1, "x"))
	req.Acks = 0
	w.send(req, 1)
	w.send(req, 2)
	if resp := ask[*kmsg.ListOffsetsResponse](w, listRequest("t", 0, -1), 7); resp.Topics[0].Partitions[0].Offset != 2 {
		t.Fatalf("%+v", resp.Topics)
	}
	// What was sent before the connection was closed is still taken.
	last := h.dial()
	last.send(req, 1)
	_ = last.nc.Close()
	tp := base.TopicPartition{Topic: topic.ID}
	eventually(t, "the third record", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.logs[tp].end == 3 })
	req.Topics[0].Partitions[0].Partition = 7
	w.send(req, 3)
	if !w.closed() {
		t.Error("an error passed in silence")
	}
}

func TestLogAppendTime(t *testing.T) {
	h := start(t, nil)
	topic := h.add("t", 1, map[string]string{"message.timestamp.type": "LogAppendTime"})
	old := makeBatch(1, "x")
	clear(old[27:43]) // created in 1970
	resp := ask[*kmsg.ProduceResponse](h.dial(), produceRequest(9, "t", 0, seal(old)), 9)
	p := resp.Topics[0].Partitions[0]
	if p.ErrorCode != 0 || time.Since(time.UnixMilli(p.LogAppendTime)).Abs() > time.Minute {
		t.Fatalf("%+v", p)
	}
	var stored []byte
	h.locked(func() { stored = h.logs[base.TopicPartition{Topic: topic.ID}].batches[0] })
	hd, _, err := batch.Parse(stored)
	if err != nil || hd.MaxTimestamp != p.LogAppendTime || hd.Attributes&batch.LogAppendTime == 0 || !batch.CheckCRC(hd, stored) {
		t.Fatalf("%+v, %v", hd, err)
	}
}

// A topic that only another agent knows so far is found by a Refresh.
func TestProduceRefreshes(t *testing.T) {
	h := start(t, nil)
	h.add("t", 1, nil)
	h.locked(func() { h.hidden["t"] = true })
	w := h.dial()
	if p := ask[*kmsg.ProduceResponse](w, produceRequest(9, "t", 0, makeBatch(1, "x")), 9).Topics[0].Partitions[0]; p.ErrorCode != 0 {
		t.Errorf("code %d", p.ErrorCode)
	}
	h.locked(func() { h.refresh = base.ErrUnavailable })
	if p := ask[*kmsg.ProduceResponse](w, produceRequest(9, "no", 0, makeBatch(1, "x")), 9).Topics[0].Partitions[0]; p.ErrorCode != kerr.RequestTimedOut.Code {
		t.Errorf("without a view: code %d", p.ErrorCode)
	}
}
