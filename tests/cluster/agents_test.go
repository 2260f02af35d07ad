package cluster

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

// What was produced through one agent is read through each, at once.
func TestThreeAgents(t *testing.T) {
	c := harness.NewCluster(t, harness.ClusterConfig{})
	createTopic(t, c.Kafka())
	ctx := testContext(t, time.Minute)
	rows := witness.NewLedger()
	for i, addr := range c.Kafka() {
		producer := newClient(t, []string{addr}, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		for n := range 300 {
			rows.Produce(ctx, producer, &kgo.Record{Topic: topic, Partition: int32(n % partitions), Value: fmt.Appendf(nil, "%d/%d", i, n)}, nil)
		}
		if err := producer.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		for _, from := range c.Kafka() {
			have, err := witness.ReadAll(ctx, []string{from}, topic)
			if err != nil {
				t.Fatal(err)
			}
			if _, found := rows.Check(have, nil); found.Count > 0 {
				t.Errorf("through %s: %q", from, found.First)
			}
		}
	}
}

// An agent that dies under load costs its clients a moment, and nothing else; it is gone from the list a lease later, and
// back when it starts again.
func TestAgentKilled(t *testing.T) {
	t.Parallel()
	c := harness.NewCluster(t, harness.ClusterConfig{})
	createTopic(t, c.Kafka())
	l := startLoad(t, c.Kafka())
	l.more(500)
	began := time.Now()
	c.Agents[1].Kill()
	c.WaitAgents(2)
	l.more(500)
	c.Agents[1].Start()
	c.WaitAgents(3)
	l.more(500)
	t.Logf("longest time without an ack: %v", l.stall(began))
	l.finish(c.Kafka())
}

// An agent that is paused for longer than its lease, and than its clients wait, goes on where it was: what it still had in
// hand is committed once, whoever sent it again meanwhile.
func TestAgentPaused(t *testing.T) {
	t.Parallel()
	c := harness.NewCluster(t, harness.ClusterConfig{})
	createTopic(t, c.Kafka())
	l := startLoad(t, c.Kafka(), kgo.ProduceRequestTimeout(3*time.Second), kgo.RequestTimeoutOverhead(time.Second))
	l.more(500)
	c.Agents[0].Pause()
	c.WaitAgents(2)
	l.more(500)
	c.Agents[0].Resume()
	c.WaitAgents(3)
	l.more(500)
	l.finish(c.Kafka())
}

// SIGTERM of an agent is no error at a client, and hardly a delay.
func TestAgentTerm(t *testing.T) {
	c := harness.NewCluster(t, harness.ClusterConfig{})
	createTopic(t, c.Kafka())
	l := startLoad(t, c.Kafka())
	l.more(500)
	for _, n := range c.Agents {
		began := time.Now()
		n.Term()
		c.WaitAgents(2)
		l.more(300)
		n.Start()
		c.WaitAgents(3)
		l.more(300)
		t.Logf("%s: longest time without an ack: %v", n.Name, l.stall(began))
	}
	l.finish(c.Kafka())
}

// A process that starts with a node id that another has takes it over: the first one ends with an error that says so, and
// nothing is lost or doubled by the two.
func TestNodeIDTwice(t *testing.T) {
	t.Parallel()
	c := harness.NewCluster(t, harness.ClusterConfig{Agents: 2})
	createTopic(t, c.Kafka())
	l := startLoad(t, c.Kafka())
	l.more(300)
	second := c.Twin(c.Agents[0])
	second.Start()
	if code := c.Agents[0].Process().Wait(20 * time.Second); code != 1 {
		t.Errorf("exit code %d, want 1\n%s", code, c.Agents[0].Log())
	}
	l.more(300)
	l.finish([]string{second.Kafka, c.Agents[1].Kafka})
}
