package golden_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/batchtest"
	"github.com/gnomon-stream/gnomon/internal/golden"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/counting"
)

// asker sends single requests and fails the test on any error in an answer.
type asker struct {
	*meter
	cl    *kgo.Client
	topic base.TopicID
}

// produce sends one batch to each of some partitions, in one request.
func (a *asker) produce(topic string, id base.TopicID, partitions ...int32) {
	a.t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 5000
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.TopicID = topic, id
	for _, p := range partitions {
		part := kmsg.NewProduceRequestTopicPartition()
		part.Partition, part.Records = p, batchtest.Make(batchtest.Spec{Records: 10, Value: 'v', Timestamp: 1_700_000_000_000})
		t.Partitions = append(t.Partitions, part)
	}
	req.Topics = append(req.Topics, t)
	for _, p := range a.Ask(a.cl, req).(*kmsg.ProduceResponse).Topics[0].Partitions {
		if p.ErrorCode != 0 {
			a.t.Fatalf("produce: %+v", p)
		}
	}
}

// fetch asks for partition 0 from an offset on, without waiting, and returns the error code and how many bytes came.
func (a *asker) fetch(offset int64) (int16, int) {
	a.t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 0, 1, 1<<20, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = "orders", a.topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = offset, 1<<20
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	got := a.Ask(a.cl, req).(*kmsg.FetchResponse).Topics[0].Partitions[0]
	return got.ErrorCode, len(got.RecordBatches)
}

func (a *asker) records(offset int64) {
	a.t.Helper()
	if code, n := a.fetch(offset); code != 0 || n == 0 {
		a.t.Fatalf("fetch at %d: code %d, %d bytes", offset, code, n)
	}
}

func (a *asker) latest() {
	a.t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = "orders"
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp = -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	if got := a.Ask(a.cl, req).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]; got.ErrorCode != 0 || got.Offset != 10 {
		a.t.Fatalf("list offsets: %+v", got)
	}
}

func (a *asker) metadata() {
	a.t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr("orders")
	req.Topics = append(req.Topics, t)
	if got := a.Ask(a.cl, req).(*kmsg.MetadataResponse).Topics[0]; got.ErrorCode != 0 {
		a.t.Fatalf("metadata: %+v", got)
	}
}

func (a *asker) producerID() {
	a.t.Helper()
	req := kmsg.NewPtrInitProducerIDRequest()
	if got := a.Ask(a.cl, req).(*kmsg.InitProducerIDResponse); got.ErrorCode != 0 {
		a.t.Fatalf("producer id: %+v", got)
	}
}

func (a *asker) commitOffset() {
	a.t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = "g", -1
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.TopicID = "orders", a.topic
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset = 3
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	if got := a.Ask(a.cl, req).(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0]; got.ErrorCode != 0 {
		a.t.Fatalf("commit of an offset: %+v", got)
	}
}

func (a *asker) fetchOffset() {
	a.t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = "g"
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = "g"
	req.Groups = append(req.Groups, g)
	if got := a.Ask(a.cl, req).(*kmsg.OffsetFetchResponse); len(got.Groups) != 1 || len(got.Groups[0].Topics) != 1 {
		a.t.Fatalf("fetch of an offset: %+v", got)
	}
}

// TestRequestsOfClients pins what a client's request costs beyond the agent.
func TestRequestsOfClients(t *testing.T) {
	m := newMeter(t, 1)
	a := &asker{meter: m, cl: m.Client()}
	var b bill
	b.cost(m, "create a topic", func() { a.topic = a.CreateTopic(a.cl, "orders", 3) })
	b.cost(m, "metadata of a topic that the agent knows", a.metadata)
	b.cost(m, "the first produce of an agent: it opens a writer session", func() { a.produce("orders", a.topic, 0) })
	b.cost(m, "fetch, cold", func() { a.records(0) })
	b.cost(m, "fetch, cached", func() { a.records(0) })
	b.cost(m, "fetch at the end", func() {
		if code, n := a.fetch(10); code != 0 || n != 0 {
			t.Fatalf("code %d, %d bytes", code, n)
		}
	})
	b.cost(m, "fetch beyond the end: checked against the head of the log", func() {
		if code, _ := a.fetch(11); code != 1 { // OFFSET_OUT_OF_RANGE
			t.Fatalf("code %d", code)
		}
	})
	b.cost(m, "the latest offset", a.latest)
	b.cost(m, "produce one batch", func() { a.produce("orders", a.topic, 1) })
	b.cost(m, "produce to three partitions in one request", func() { a.produce("orders", a.topic, 0, 1, 2) })
	b.cost(m, "the first producer id: a block of them is reserved", a.producerID)
	b.cost(m, "a further producer id", a.producerID)
	b.cost(m, "commit an offset", a.commitOffset)
	b.cost(m, "fetch committed offsets", a.fetchOffset)
	golden.Compare(t, "testdata/clients.txt", b.String())
}

// TestRequestsOfLinks pins what one object costs on its way to the other region, in both buckets and the shadow's metalog.
func TestRequestsOfLinks(t *testing.T) {
	src, dst := newMeter(t, 1), newMeter(t, 2)
	a := &asker{meter: src, cl: src.Client()}
	wanted := a.CreateTopic(a.cl, "wanted", 3)
	other := a.CreateTopic(a.cl, "other", 1)
	a.produce("wanted", wanted, 0) // the session
	from, to := counting.New(src.data), counting.New(dst.data)
	dst.Shadow(src.Region, from, to, "wanted")
	dst.Shadowed(src.Region)

	var b bill
	cost := func(title string, operation func()) {
		x, y, reads, appends := from.Snapshot(), to.Snapshot(), dst.linearizable(), dst.appends()
		operation()
		dst.Shadowed(src.Region)
		b.WriteString("# " + title + "\n")
		b.buckets("source", from, x)
		b.buckets("shadow", to, y)
		b.metalog(dst, reads, appends)
	}
	cost("an object of three wanted partitions", func() { a.produce("wanted", wanted, 0, 1, 2) })
	cost("an object of an unwanted topic", func() { a.produce("other", other, 0) })
	cost("an event without bytes", func() { a.CreateTopic(a.cl, "wanted-too", 1) })
	golden.Compare(t, "testdata/links.txt", b.String())
}
