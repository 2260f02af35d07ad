package faults

import (
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/region"
	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/objlog/appender"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

// produceTimeout is what agents of these tests give a produce request. gnomon dev has the default, 30 s: with it these tests
// would take minutes. So the region is in the test's process, and only its etcd is in one of its own.
const produceTimeout = 2 * time.Second

// logBuffer keeps all that a region logs.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// impatient is a region whose agents soon give up.
type impatient struct {
	store *s3Server
	dev   *harness.Dev
	etcd  *harness.Process
	kafka []string
	id    [16]byte // of topic "t"
	acked map[int64]string
	stop  func() // the region, once
}

func startImpatient(t *testing.T) *impatient {
	t.Helper()
	x := &impatient{store: startS3(t), dev: harness.NewDev(t), acked: map[int64]string{}}
	var url string
	x.etcd, url = x.dev.StartEtcd("a")
	log := &logBuffer{}
	id := coordinator.Identity{KafkaClusterID: "faults", Region: 1, RegionName: "a"}
	_, _ = rand.Read(id.ClusterID[:]) // never fails
	r, err := region.Open(testContext(t, patience), region.Config{
		Identity: id, EtcdEndpoints: []string{url}, BucketURL: x.store.bucket("gnomon"), AdminAddr: "127.0.0.1:0",
		KafkaAddrs: []string{"127.0.0.1:0", "127.0.0.1:0"}, FirstNodeID: 1, Appender: appender.Config{ProduceTimeout: produceTimeout},
		Version: "test", Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	x.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the region ended: %v", err)
		}
		r.Close()
		keepsSecret(t, "the region", log.String())
		if t.Failed() {
			t.Log(log.String())
		}
	})
	t.Cleanup(x.stop)
	if err := r.WaitReady(testContext(t, patience)); err != nil {
		t.Fatal(err)
	}
	x.kafka = r.Endpoints().Kafka
	x.id = createTopic(t, x.kafka, "t", nil)
	return x
}

// send produces one record without an idempotent producer behind it, and returns what the agent says to it.
func (x *impatient) send(t *testing.T, value string) (*kerr.Error, time.Duration) {
	t.Helper()
	began := time.Now()
	w := dial(t, x.kafka[0])
	defer w.close()
	resp := w.ask(produceRequest("t", x.id, -1, batchOf(nil, value)), 9).(*kmsg.ProduceResponse)
	p := resp.Topics[0].Partitions[0]
	if p.ErrorCode != 0 {
		return kerr.TypedErrorForCode(p.ErrorCode), time.Since(began)
	}
	x.acked[p.BaseOffset] = value
	return nil, time.Since(began)
}

// outage is something that is away between begin and end. during looks at what it does to others than producers.
type outage struct {
	name       string
	begin, end func()
	during     func(t *testing.T)
}

// TestStoreOutageCodes looks at the codes that clients get while the store is away: a Produce waits for as long as the agents
// are told to, and then fails so that clients send it again; so does a read of what is not cached; what is cached is read
// on. Then the store is back, and nobody does anything about it.
func TestStoreOutageCodes(t *testing.T) {
	t.Parallel()
	x := startImpatient(t)
	var speak func()
	x.sufferAll(t,
		outage{"refuses", func() { x.store.away.Store(true) }, func() { x.store.away.Store(false) }, x.uncached},
		outage{"is silent", func() { speak = x.store.hush() }, func() { speak() }, x.uncached},
	)
}

// TestEtcdOutageCodes does the same with etcd: what only a coordinator can answer fails with codes that clients repeat.
func TestEtcdOutageCodes(t *testing.T) {
	t.Parallel()
	x := startImpatient(t)
	x.sufferAll(t,
		outage{"is dead", func() { x.etcd.Kill() }, func() { x.etcd, _ = x.dev.StartEtcd("a") }, x.withoutLeader},
		outage{"is frozen", func() { x.etcd.Signal(syscall.SIGSTOP) }, func() { x.etcd.Signal(syscall.SIGCONT) }, x.withoutLeader},
	)
}

func (x *impatient) sufferAll(t *testing.T, outages ...outage) {
	for _, o := range outages {
		t.Run(o.name, func(t *testing.T) { x.suffer(t, o) })
	}
	x.complete(t)
	if want := 2 * len(outages); len(x.acked) < want {
		t.Errorf("%d records were acked, want %d or more: %v", len(x.acked), want, x.acked)
	}
	x.stop() // before an etcd that was started after it is stopped: each would wait for the other
}

func (x *impatient) suffer(t *testing.T, o outage) {
	if err, _ := x.send(t, "before: "+o.name); err != nil {
		t.Fatalf("produce before it: %v", err)
	}
	fetches(t, x.kafka[0], x.id)
	end := sync.OnceFunc(o.end)
	defer end()
	o.begin()
	err, took := x.send(t, "meanwhile: "+o.name)
	switch {
	case err == nil:
		t.Error("a produce was acked meanwhile")
	case !err.Retriable:
		t.Errorf("a produce failed with %v, which clients do not repeat", err)
	case took < produceTimeout/2:
		t.Errorf("a produce failed with %v after %s, without a wait", err, took)
	}
	fetches(t, x.kafka[0], x.id)
	x.metadata(t)
	o.during(t)
	end()
	harness.Eventually(t, 60*time.Second, "produce works again", func() string {
		if err, _ := x.send(t, "after: "+o.name); err != nil {
			return err.Message
		}
		return ""
	})
}

// uncached asks the agent that has read nothing yet for a batch that only the store has.
func (x *impatient) uncached(t *testing.T) {
	t.Helper()
	w := dial(t, x.kafka[1])
	defer w.close()
	p := w.ask(fetchRequest(x.id, 0, 0, -1), 13).(*kmsg.FetchResponse).Topics[0].Partitions[0]
	if err := kerr.TypedErrorForCode(p.ErrorCode); err == nil || !err.Retriable || len(p.RecordBatches) > 0 {
		t.Errorf("fetch of what is not cached: %v, %d bytes", err, len(p.RecordBatches))
	}
}

// metadata wants a client that comes now to find its topic and both agents.
func (x *impatient) metadata(t *testing.T) {
	t.Helper()
	w := dial(t, x.kafka[0])
	defer w.close()
	resp := w.ask(kmsg.NewPtrMetadataRequest(), 9).(*kmsg.MetadataResponse)
	if len(resp.Brokers) != 2 || len(resp.Topics) != 1 || resp.Topics[0].ErrorCode != 0 || len(resp.Topics[0].Partitions) != 1 {
		t.Errorf("metadata: %+v", resp)
	}
}

// withoutLeader asks for what only a coordinator with its etcd can answer.
func (x *impatient) withoutLeader(t *testing.T) {
	t.Helper()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "new", 1, -1
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Topics, create.TimeoutMillis = append(create.Topics, topic), 1000
	list := kmsg.NewPtrListOffsetsRequest()
	list.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "t", Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Timestamp: -1, CurrentLeaderEpoch: -1}}}}
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.Generation = "g", -1
	commit.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{LeaderEpoch: -1}}}}
	offsets := kmsg.NewPtrOffsetFetchRequest()
	offsets.Group = "g"
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.ProtocolType, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = "g", "consumer", 10_000, 10_000
	join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
	for _, q := range []struct {
		req     kmsg.Request
		version int16
		code    func(resp kmsg.Response) int16
	}{
		{create, 5, func(r kmsg.Response) int16 { return r.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode }},
		{list, 6, func(r kmsg.Response) int16 { return r.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].ErrorCode }},
		{commit, 8, func(r kmsg.Response) int16 { return r.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode }},
		{offsets, 7, func(r kmsg.Response) int16 { return r.(*kmsg.OffsetFetchResponse).ErrorCode }},
		{join, 7, func(r kmsg.Response) int16 { return r.(*kmsg.JoinGroupResponse).ErrorCode }},
		{kmsg.NewPtrInitProducerIDRequest(), 4, func(r kmsg.Response) int16 { return r.(*kmsg.InitProducerIDResponse).ErrorCode }},
	} {
		w := dial(t, x.kafka[0])
		err := kerr.TypedErrorForCode(q.code(w.ask(q.req, q.version)))
		w.close()
		if err == nil || !err.Retriable {
			t.Errorf("%s without etcd: %v", kmsg.NameForKey(q.req.Key()), err)
		}
	}
}

// complete wants every record that was acked at the offset that its ack named. A record that was not acked may be there:
// clients without idempotence know no better.
func (x *impatient) complete(t *testing.T) {
	t.Helper()
	have, err := witness.ReadAll(testContext(t, patience), x.kafka, "t")
	if err != nil {
		t.Fatal(err)
	}
	for offset, value := range x.acked {
		got := ""
		if offset < int64(len(have[0])) {
			got = string(have[0][offset].Value)
		}
		if got != value {
			t.Errorf("offset %d was acked for %q, and has %q", offset, value, got)
		}
	}
}
