package cluster

import (
	"slices"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

// takeover is how long a standby may take to lead after the leader died; leasePause is longer than the lease of a leader.
const (
	takeover   = 5 * time.Second
	leasePause = 6 * time.Second
)

// kill -9 of the leader, twice: the standby leads within 5 s, and nothing acked is lost or there twice.
func TestLeaderKilled(t *testing.T) {
	c := harness.NewCluster(t, harness.ClusterConfig{})
	createTopic(t, c.Kafka())
	l := startLoad(t, c.Kafka())
	for range 2 {
		l.more(500)
		dead := c.Leader()
		began := time.Now()
		dead.Kill()
		l.more(500)
		stall := l.stall(began)
		t.Logf("longest time without an ack: %v", stall)
		if stall > takeover {
			t.Errorf("no ack for %v, want at most %v", stall, takeover)
		}
		dead.Start()
	}
	c.WaitAgents(3)
	l.finish(c.Kafka())
}

// A leader that is paused for longer than its lease is replaced, and does no harm when it goes on.
func TestLeaderPaused(t *testing.T) {
	c := harness.NewCluster(t, harness.ClusterConfig{})
	createTopic(t, c.Kafka())
	l := startLoad(t, c.Kafka())
	l.more(500)
	old := c.Leader()
	began := time.Now()
	old.Pause()
	l.more(500)
	t.Logf("longest time without an ack: %v", l.stall(began))
	if now := c.Leader(); now == old {
		t.Error("the paused coordinator leads")
	}
	time.Sleep(max(0, leasePause-time.Since(began)))
	old.Resume()
	l.more(500)
	c.WaitAgents(3)
	l.finish(c.Kafka())
	if now := c.Leader(); now == old {
		t.Error("the old leader leads again, though nobody else went away")
	}
}

// A leader that is asked to stop hands over: no client sees an error, nor more than a moment.
func TestLeaderTerm(t *testing.T) {
	c := harness.NewCluster(t, harness.ClusterConfig{})
	createTopic(t, c.Kafka())
	l := startLoad(t, c.Kafka())
	for range 3 {
		l.more(500)
		old := c.Leader()
		began := time.Now()
		old.Term()
		l.more(500)
		stall := l.stall(began)
		t.Logf("longest time without an ack: %v", stall)
		if stall > takeover/2 {
			t.Errorf("no ack for %v after a hand-over", stall)
		}
		old.Start()
	}
	l.finish(c.Kafka())
}

// Every process is restarted in turn, the members of the etcd too, under load, with no error at a client.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	c := harness.NewCluster(t, harness.ClusterConfig{EtcdMembers: 3})
	createTopic(t, c.Kafka())
	l := startLoad(t, c.Kafka())
	l.more(300)
	for _, n := range slices.Concat(c.Agents, c.Coordinators, c.Members) {
		n.Term()
		l.more(100)
		n.Start()
		c.WaitAgents(3)
		l.more(100)
	}
	l.finish(c.Kafka())
}
