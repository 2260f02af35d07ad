package kafkaapi

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
)

func fetchRequest(version int16, wait int32, id base.TopicID, partition int32, offset int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = version, wait, 1, 1<<20, 0
	t := kmsg.NewFetchRequestTopic()
	t.TopicID, t.Topic = id, "t"
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, 1<<20
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func listRequest(topic string, partition int32, timestamp int64) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version = 7
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp = partition, timestamp
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// put appends batches of one record and size bytes each.
func (h *harness) put(topic Topic, partition int32, sizes ...int) {
	for _, size := range sizes {
		b := makeBatch(1, string(make([]byte, size-batch.HeaderSize)))
		hd, _, err := batch.Parse(b)
		if err != nil {
			h.t.Fatal(err)
		}
		h.memory.append(ProduceBatch{Topic: topic.ID, Partition: partition, Header: hd, Bytes: b})
	}
}

func TestFetchEveryVersion(t *testing.T) {
	h := start(t, nil)
	topic := h.add("t", 1, nil)
	h.put(topic, 0, 100, 200)
	w := h.dial()
	for version := int16(4); version <= 18; version++ {
		resp := ask[*kmsg.FetchResponse](w, fetchRequest(version, 0, topic.ID, 0, 1), version)
		p := resp.Topics[0].Partitions[0]
		if resp.SessionID != 0 || p.ErrorCode != 0 || p.HighWatermark != 2 || len(p.RecordBatches) != 200 {
			t.Errorf("version %d: %d bytes, %+v", version, len(p.RecordBatches), p)
		}
	}
}

func TestFetchErrors(t *testing.T) {
	h := start(t, nil)
	topic := h.add("t", 1, nil)
	w := h.dial()
	begin := time.Now()
	check := func(name string, req *kmsg.FetchRequest, want *kerr.Error) {
		t.Helper()
		p := ask[*kmsg.FetchResponse](w, req, req.Version).Topics[0].Partitions[0]
		if p.ErrorCode != want.Code || p.HighWatermark != -1 || p.RecordBatches == nil {
			t.Errorf("%s: %+v, want %v", name, p, want)
		}
	}
	check("unknown id", fetchRequest(13, 9000, base.TopicID{1}, 0, 0), kerr.UnknownTopicID)
	check("partition", fetchRequest(13, 9000, topic.ID, 1, 0), kerr.UnknownTopicOrPartition)
	check("offset", fetchRequest(13, 9000, topic.ID, 0, 5), kerr.OffsetOutOfRange)
	byName := fetchRequest(12, 9000, topic.ID, 0, 0)
	byName.Topics[0].Topic = "other"
	check("unknown name", byName, kerr.UnknownTopicOrPartition)
	h.locked(func() { h.refresh = base.ErrUnavailable })
	check("no view", byName, kerr.KafkaStorageError)
	byName.Version = 5
	check("no view, old client", byName, kerr.NotLeaderForPartition)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("errors were answered after %v", took)
	}
	session := fetchRequest(13, 0, topic.ID, 0, 0)
	session.SessionID, session.SessionEpoch = 77, 1
	if resp := ask[*kmsg.FetchResponse](w, session, 13); resp.ErrorCode != kerr.FetchSessionIDNotFound.Code || len(resp.Topics) != 0 {
		t.Errorf("session: %+v", resp)
	}
	for _, epoch := range []int32{-1, 0} {
		session.SessionEpoch = epoch
		if resp := ask[*kmsg.FetchResponse](w, session, 13); resp.ErrorCode != 0 || resp.SessionID != 0 || len(resp.Topics) != 1 {
			t.Errorf("session with epoch %d: %+v", epoch, resp)
		}
	}
}

// KIP-74: both bounds hold, but the first batch that is found is returned whatever its size.
func TestFetchSizes(t *testing.T) {
	h := start(t, nil)
	topic := h.add("t", 3, nil)
	h.put(topic, 1, 500, 100, 100)
	h.put(topic, 2, 100, 100, 100)
	cases := []struct {
		name           string
		max, partition int32
		want1, want2   int
	}{
		{name: "all", max: 10_000, partition: 10_000, want1: 700, want2: 300},
		{name: "first batch is too large", max: 50, partition: 50, want1: 500},
		{name: "first is too large for its partition", max: 10_000, partition: 250, want1: 500, want2: 200},
		{name: "max bytes", max: 650, partition: 10_000, want1: 600},
		{name: "rest for the second", max: 800, partition: 10_000, want1: 700, want2: 100},
		{name: "zero", max: 0, partition: 0, want1: 500},
	}
	w := h.dial()
	for _, c := range cases {
		req := fetchRequest(13, 0, topic.ID, 0, 0)
		req.MaxBytes = c.max
		for p := int32(1); p < 3; p++ {
			rp := kmsg.NewFetchRequestTopicPartition()
			rp.Partition = p
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, rp)
		}
		for i := range req.Topics[0].Partitions {
			req.Topics[0].Partitions[i].PartitionMaxBytes = c.partition
		}
		got := ask[*kmsg.FetchResponse](w, req, 13).Topics[0].Partitions
		if len(got[0].RecordBatches) != 0 || len(got[1].RecordBatches) != c.want1 || len(got[2].RecordBatches) != c.want2 {
			t.Errorf("%s: %d, %d, %d bytes, want 0, %d, %d", c.name, len(got[0].RecordBatches), len(got[1].RecordBatches), len(got[2].RecordBatches), c.want1, c.want2)
		}
	}
}

func TestFetchWaitsForMinBytes(t *testing.T) {
	h := start(t, nil)
	topic := h.add("t", 1, nil)
	w := h.dial()
	req := fetchRequest(13, 20_000, topic.ID, 0, 0)
	req.MinBytes = 250
	w.send(req, 1)
	h.put(topic, 0, 100)
	h.put(topic, 0, 100)
	h.put(topic, 0, 100)
	if p := w.receive(req, 1).(*kmsg.FetchResponse).Topics[0].Partitions[0]; len(p.RecordBatches) != 300 {
		t.Errorf("%d bytes", len(p.RecordBatches))
	}
	req.MinBytes, req.MaxWaitMillis = 1000, 20
	if p := ask[*kmsg.FetchResponse](w, req, 13).Topics[0].Partitions[0]; len(p.RecordBatches) != 300 {
		t.Errorf("after max_wait: %d bytes", len(p.RecordBatches))
	}
}

// A fetch without partitions has nothing to wait for, as in Kafka.
func TestFetchNothing(t *testing.T) {
	h := start(t, nil)
	req := fetchRequest(13, 60_000, base.TopicID{}, 0, 0) // longer than a wire waits for an answer
	req.Topics = nil
	if resp := ask[*kmsg.FetchResponse](h.dial(), req, 13); resp.ErrorCode != 0 || len(resp.Topics) != 0 {
		t.Errorf("%+v", resp)
	}
}

func TestListOffsets(t *testing.T) {
	h := start(t, nil)
	topic := h.add("t", 1, nil)
	h.put(topic, 0, 100, 100)
	w := h.dial()
	for version := int16(1); version <= 11; version++ {
		for timestamp, want := range map[int64]int64{-1: 2, -2: 0} {
			if p := ask[*kmsg.ListOffsetsResponse](w, listRequest("t", 0, timestamp), version).Topics[0].Partitions[0]; p.ErrorCode != 0 || p.Offset != want {
				t.Errorf("version %d, timestamp %d: %+v", version, timestamp, p)
			}
		}
		for timestamp, since := range map[int64]int16{-3: 7, -4: 8, -5: 9, -6: 11, -7: 99} {
			p := ask[*kmsg.ListOffsetsResponse](w, listRequest("t", 0, timestamp), version).Topics[0].Partitions[0]
			if refused := p.ErrorCode == kerr.UnsupportedVersion.Code; refused != (version < since) {
				t.Errorf("version %d, timestamp %d: %+v", version, timestamp, p)
			}
		}
	}
	if p := ask[*kmsg.ListOffsetsResponse](w, listRequest("no", 0, -1), 7).Topics[0].Partitions[0]; p.ErrorCode != kerr.UnknownTopicOrPartition.Code || p.Offset != -1 {
		t.Errorf("%+v", p)
	}
	// The request is looked at before topics are.
	if p := ask[*kmsg.ListOffsetsResponse](w, listRequest("no", 0, -7), 7).Topics[0].Partitions[0]; p.ErrorCode != kerr.UnsupportedVersion.Code {
		t.Errorf("%+v", p)
	}
	twice := listRequest("t", 0, -1)
	twice.Topics = append(twice.Topics, listRequest("t", 0, -2).Topics...)
	for _, topic := range ask[*kmsg.ListOffsetsResponse](w, twice, 7).Topics {
		if p := topic.Partitions[0]; p.ErrorCode != kerr.InvalidRequest.Code {
			t.Errorf("a partition named twice: %+v", p)
		}
	}
}

func TestOffsetForLeaderEpoch(t *testing.T) {
	h := start(t, nil)
	h.put(h.add("t", 1, nil), 0, 100, 100)
	for version := int16(2); version <= 4; version++ {
		req := kmsg.NewPtrOffsetForLeaderEpochRequest()
		req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{
			{Partition: 0, CurrentLeaderEpoch: -1, LeaderEpoch: 5}, {Partition: 9, CurrentLeaderEpoch: -1},
		}}}
		p := ask[*kmsg.OffsetForLeaderEpochResponse](h.dial(), req, version).Topics[0].Partitions
		if p[0].ErrorCode != 0 || p[0].LeaderEpoch != 1 || p[0].EndOffset != 2 || p[1].ErrorCode != kerr.UnknownTopicOrPartition.Code || p[1].EndOffset != -1 {
			t.Errorf("version %d: %+v", version, p)
		}
	}
}

// halfSilent never answers for partition 0.
type halfSilent struct{ Reader }

func (r halfSilent) Read(ctx context.Context, req ReadRequest) (ReadResult, error) {
	if req.Partition == 0 {
		<-ctx.Done()
		return ReadResult{}, ctx.Err()
	}
	return r.Reader.Read(ctx, req)
}

// A store that keeps silent is not waited for until the client has gone, and partitions that do not need it are served.
func TestFetchGivesUpOnASilentStore(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.FetchRead = 50 * time.Millisecond })
	topic := h.add("t", 2, nil)
	h.put(topic, 1, 100)
	h.server.deps.Reader = halfSilent{h.memory}
	req := fetchRequest(13, 60_000, topic.ID, 0, 0)
	req.Topics[0].Partitions = append(req.Topics[0].Partitions, fetchRequest(13, 0, topic.ID, 1, 0).Topics[0].Partitions...)
	p := ask[*kmsg.FetchResponse](h.dial(), req, 13).Topics[0].Partitions
	if p[0].ErrorCode != kerr.KafkaStorageError.Code || p[1].ErrorCode != 0 || len(p[1].RecordBatches) != 100 {
		t.Errorf("%v, %v and %d bytes", kerr.ErrorForCode(p[0].ErrorCode), kerr.ErrorForCode(p[1].ErrorCode), len(p[1].RecordBatches))
	}
}

// The first partition whose records are not at hand has all partitions of the Fetch read ahead, once a pass.
func TestFetchReadsAhead(t *testing.T) {
	h := start(t, nil)
	topic := h.add("t", 3, nil)
	req := fetchRequest(13, 0, topic.ID, 0, 0)
	req.MaxBytes = 1 << 20
	for p := range int32(3) {
		h.put(topic, p, 100)
		if p > 0 {
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, fetchRequest(13, 0, topic.ID, p, 0).Topics[0].Partitions...)
		}
	}
	for _, cold := range []bool{false, true} {
		h.memory.locked(func() { h.memory.cold, h.memory.aheads = cold, nil })
		ask[*kmsg.FetchResponse](h.dial(), req, 13)
		var aheads []readAhead
		h.memory.locked(func() { aheads = h.memory.aheads })
		switch {
		case !cold && len(aheads) != 0:
			t.Errorf("what is at hand was read ahead: %+v", aheads)
		case cold && (len(aheads) != 1 || len(aheads[0].reqs) != 3 || aheads[0].maxBytes != 1<<20 || aheads[0].reqs[2].Partition != 2):
			t.Errorf("read ahead: %+v, want all three partitions once", aheads)
		}
	}
}
