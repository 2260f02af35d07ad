package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

// A reader of the Java client that has read beyond the cut of a failover goes on at the cut, or is told of it (KIP-320), also when the
// region that took over has grown beyond its position meanwhile: then only the leader epoch tells that the records are others.
//
//  1. B has 100 records when its link is paused; A takes 50 more, which the reader reads: it is at 150, in A's epoch.
//  2. A dies with its etcd. B takes over by a cut at 100, and grows to 180.
//  3. The reader comes to B with its position and epoch.
func TestJavaBeyondTheCut(t *testing.T) {
	part(t, "java")
	const topic, cut, beyond, grown = "cut", 100, 50, 80
	java := javaProgram(t, "Cut")
	run := func(args ...string) string {
		c := java
		c.args, c.timeout = append(c.args[:len(c.args):len(c.args)], args...), 3*time.Minute
		return strings.TrimSpace(c.must(t))
	}
	x := harness.NewClusterPair(t, harness.ClusterConfig{Agents: 1, Coordinators: 1}, harness.ClusterConfig{Agents: 1, Coordinators: 1})
	a, b := x.A.Kafka()[0], x.B.Kafka()[0]
	produce(t, a, topic, cut)
	x.WaitCaughtUp()
	if r := x.B.TryAdmin(x.B.Leader(), "shadow", "pause", harness.Link); r.Code != 0 {
		t.Fatalf("the link is not paused: %s%s", r.Out, r.Err)
	}
	produce(t, a, topic, beyond)
	var reader struct{ Position, Epoch int64 }
	if text := run("read", a, topic, fmt.Sprint(cut+beyond)); json.Unmarshal([]byte(text), &reader) != nil || reader.Position != cut+beyond {
		t.Fatalf("the reader of A printed %s", text)
	}
	x.A.Kill()
	x.A.Etcd.Kill()
	report, _ := x.Failover()
	if report.Mode != "cut" || len(report.Partitions) != 1 || report.Partitions[0].EndOffset != cut {
		t.Fatalf("the failover's report: %+v, want a cut at %d", report, cut)
	}
	produce(t, b, topic, grown)
	if out := run("beyond", b, topic, fmt.Sprint(reader.Position), fmt.Sprint(reader.Epoch), fmt.Sprint(cut)); strings.Count(out, "ok ") != 3 {
		t.Errorf("the reader at B printed %s", out)
	}
}

// produce writes records to partition 0 of a topic of one partition, which it creates when it is not there.
func produce(t *testing.T, broker, topic string, records int) {
	t.Helper()
	cl, err := kgo.NewClient(
		kgo.SeedBrokers(broker), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.Dialer(func(ctx context.Context, network, _ string) (net.Conn, error) { // whatever address the agent gives to clients
			return (&net.Dialer{}).DialContext(ctx, network, broker)
		}),
	)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	there, err := adm.ListTopics(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	if !there.Has(topic) {
		if _, err := adm.CreateTopic(t.Context(), 1, -1, nil, topic); err != nil {
			t.Fatal(err)
		}
	}
	for i := range records {
		cl.Produce(t.Context(), kgo.StringRecord(fmt.Sprint(broker, " ", i)), func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}
