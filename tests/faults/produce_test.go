package faults

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// badProduce is a request that is understood and refused by a code.
type badProduce struct {
	version int16
	req     *kmsg.ProduceRequest
	want    *kerr.Error
}

func badProduces(a *agents) map[string]badProduce {
	at16 := func(at int, v uint16) func([]byte) { return func(b []byte) { binary.BigEndian.PutUint16(b[at:], v) } }
	at32 := func(at int, v uint32) func([]byte) { return func(b []byte) { binary.BigEndian.PutUint32(b[at:], v) } }
	at64 := func(at int, v uint64) func([]byte) { return func(b []byte) { binary.BigEndian.PutUint64(b[at:], v) } }
	flipped := batchOf(nil, "a value")
	flipped[len(flipped)-3] ^= 1
	plain := func(records []byte) *kmsg.ProduceRequest { return produceRequest("t", a.id, -1, records) }
	elsewhere := plain(batchOf(nil, "x"))
	elsewhere.Topics[0].Partitions[0].Partition = 7
	negative := plain(batchOf(nil, "x"))
	negative.Topics[0].Partitions[0].Partition = -1
	transaction := plain(batchOf(nil, "x"))
	transaction.TransactionID = kmsg.StringPtr("tx")
	return map[string]badProduce{
		"wrong CRC":               {9, plain(flipped), kerr.CorruptMessage},
		"batch cut off":           {9, plain(batchOf(nil, "a value")[:63]), kerr.CorruptMessage},
		"header cut off":          {9, plain(batchOf(nil, "a value")[:40]), kerr.CorruptMessage},
		"length beyond the end":   {9, plain(batchOf(at32(8, 0x7fffffff), "a value")), kerr.CorruptMessage},
		"negative length":         {9, plain(batchOf(at32(8, 0xffffffff), "a value")), kerr.CorruptMessage},
		"batch too large":         {9, plain(batchOf(nil, strings.Repeat("x", 2<<20))), kerr.MessageTooLarge},
		"too large for its topic": {9, produceRequest("small", a.id, -1, batchOf(nil, strings.Repeat("x", 2000))), kerr.MessageTooLarge},
		"no batch":                {9, plain(nil), kerr.InvalidRecord},
		"two batches":             {9, plain(append(batchOf(nil, "x"), batchOf(nil, "y")...)), kerr.InvalidRecord},
		"count beyond the end":    {9, plain(batchOf(at32(57, 0x7fffffff), "x")), kerr.InvalidRecord},
		"no records":              {9, plain(batchOf(at32(57, 0), "x")), kerr.InvalidRecord},
		"negative offset delta":   {9, plain(batchOf(at32(23, 0x80000000), "x")), kerr.InvalidRecord},
		"control batch":           {9, plain(batchOf(at16(21, 0x20), "x")), kerr.InvalidRecord},
		"unknown codec":           {9, plain(batchOf(at16(21, 7), "x")), kerr.UnsupportedCompressionType},
		"zstd too early":          {3, plain(batchOf(at16(21, 4), "x")), kerr.UnsupportedCompressionType},
		"year 2262":               {9, plain(batchOf(at64(35, 1<<63-1), "x")), kerr.InvalidTimestamp},
		"magic 0":                 {3, plain(messageSet(0, "old")), kerr.InvalidRecord},
		"magic 1":                 {9, plain(messageSet(1, "old")), kerr.InvalidRecord},
		"magic 3":                 {9, plain(batchOf(func(b []byte) { b[16] = 3 }, "x")), kerr.CorruptMessage},
		"version 0":               {0, plain(messageSet(0, "old")), kerr.UnsupportedVersion},
		"version 2":               {2, plain(messageSet(1, "old")), kerr.UnsupportedVersion},
		"acks 2":                  {9, produceRequest("t", a.id, 2, batchOf(nil, "x")), kerr.InvalidRequiredAcks},
		"unknown topic":           {9, produceRequest("no-such-topic", a.id, 1, batchOf(nil, "x")), kerr.UnknownTopicOrPartition},
		"topic with a bad name":   {9, produceRequest("no/such topic", a.id, 1, batchOf(nil, "x")), kerr.UnknownTopicOrPartition},
		"unknown topic id":        {13, produceRequest("", [16]byte{1, 2, 3}, 1, batchOf(nil, "x")), kerr.UnknownTopicID},
		"unknown partition":       {9, elsewhere, kerr.UnknownTopicOrPartition},
		"negative partition":      {9, negative, kerr.UnknownTopicOrPartition},
		"transaction":             {9, transaction, kerr.InvalidTxnState},
	}
}

// testBadProduce wants Kafka's own code for each bad batch; the same connection then takes a good one.
func testBadProduce(t *testing.T, a *agents) {
	limit := "1000"
	createTopic(t, a.kafka, "small", map[string]*string{"max.message.bytes": &limit})
	w := dial(t, a.kafka[0])
	for name, bad := range badProduces(a) {
		t.Run(name, func(t *testing.T) {
			w.t = t
			before := end(t, a.kafka, "t")
			got := w.ask(bad.req, bad.version).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
			if got.ErrorCode != bad.want.Code || got.BaseOffset != -1 {
				t.Fatalf("offset %d, %v (%v), want %v", got.BaseOffset, kerr.ErrorForCode(got.ErrorCode), got.ErrorMessage, bad.want)
			}
			good := w.ask(produceRequest("t", a.id, -1, batchOf(nil, "good")), 9).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
			if good.ErrorCode != 0 || good.BaseOffset != before {
				t.Fatalf("a good batch after it: offset %d, want %d: %v", good.BaseOffset, before, kerr.ErrorForCode(good.ErrorCode))
			}
		})
	}
	w.t = t
	a.unharmed(t)
}

// testAcks has a record produced with each value of acks. 0 gets no answer, and a closed connection for a bad batch.
func testAcks(t *testing.T, a *agents) {
	first := end(t, a.kafka, "t")
	w := dial(t, a.kafka[0])
	for i, acks := range []int16{1, -1} {
		for j, version := range []int16{3, 9, 13} {
			p := w.ask(produceRequest("t", a.id, acks, batchOf(nil, "acked")), version).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
			if p.ErrorCode != 0 || p.BaseOffset != first+int64(3*i+j) {
				t.Errorf("acks %d, version %d: offset %d, %v", acks, version, p.BaseOffset, kerr.ErrorForCode(p.ErrorCode))
			}
		}
	}
	// No answer to the first: the next answer on the connection is the second's.
	w.send(request(produceRequest("t", a.id, 0, batchOf(nil, "not acked")), 9))
	p := w.ask(produceRequest("t", a.id, 1, batchOf(nil, "last")), 9).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	if p.BaseOffset != first+7 {
		t.Errorf("the record after that with acks 0 got offset %d, want %d", p.BaseOffset, first+7)
	}
	spoilt := batchOf(nil, "spoilt")
	spoilt[len(spoilt)-1] ^= 1
	w.send(request(produceRequest("t", a.id, 0, spoilt), 9))
	w.closed()
	if n := end(t, a.kafka, "t") - first; n != 8 {
		t.Errorf("%d records, want 8", n)
	}
	a.unharmed(t)
}

// testBadFetch wants codes for what is not there.
func testBadFetch(t *testing.T, a *agents) {
	produce(t, a.kafka, "t", "one")
	w := dial(t, a.kafka[0])
	for name, c := range map[string]struct {
		req  *kmsg.FetchRequest
		want *kerr.Error
	}{
		"unknown topic id":  {fetchRequest([16]byte{9}, 0, 0, -1), kerr.UnknownTopicID},
		"unknown partition": {fetchRequest(a.id, 5, 0, -1), kerr.UnknownTopicOrPartition},
		"beyond the end":    {fetchRequest(a.id, 0, 1<<40, -1), kerr.OffsetOutOfRange},
		"negative offset":   {fetchRequest(a.id, 0, -5, -1), kerr.OffsetOutOfRange},
		"epoch of tomorrow": {fetchRequest(a.id, 0, 0, 1<<30), kerr.UnknownLeaderEpoch},
		"epoch of old":      {fetchRequest(a.id, 0, 0, 0), kerr.FencedLeaderEpoch},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			resp := w.ask(c.req, 13).(*kmsg.FetchResponse)
			if got := resp.Topics[0].Partitions[0].ErrorCode; got != c.want.Code {
				t.Errorf("%v, want %v", kerr.ErrorForCode(got), c.want)
			}
		})
	}
	w.t = t
	resp := w.ask(fetchRequest(a.id, 0, 0, -1), 13).(*kmsg.FetchResponse)
	if p := resp.Topics[0].Partitions[0]; p.ErrorCode != 0 || len(p.RecordBatches) == 0 {
		t.Errorf("a good fetch after them: %v, %d bytes", kerr.ErrorForCode(p.ErrorCode), len(p.RecordBatches))
	}
}
