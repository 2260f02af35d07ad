package main

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

var (
	duration = flag.Duration("duration", 14*time.Second, "how long TestHistoryUnderFaults writes")
	seed     = flag.Uint64("seed", 1, "of the faults of TestHistoryUnderFaults")
	keep     = flag.String("keep", "", "folder in which TestHistoryUnderFaults leaves the history")
)

// faults are what befalls a cluster, one behind the other. Each leaves all processes running, so that the next finds a leader.
var faults = []struct {
	name   string
	befall func(c *harness.Cluster, r *rand.Rand)
}{
	{"an agent is killed", func(c *harness.Cluster, r *rand.Rand) { kill(r, anAgent(c, r)) }},
	{"the leader is paused", func(c *harness.Cluster, r *rand.Rand) { pause(r, c.Leader()) }},
	{"an agent is paused", func(c *harness.Cluster, r *rand.Rand) { pause(r, anAgent(c, r)) }},
	{"the leader is killed", func(c *harness.Cluster, r *rand.Rand) { kill(r, c.Leader()) }},
	{"the standby is killed", func(c *harness.Cluster, r *rand.Rand) { kill(r, c.Standby()) }},
	{"the standby is paused", func(c *harness.Cluster, r *rand.Rand) { pause(r, c.Standby()) }},
	{"the leader and an agent are killed", func(c *harness.Cluster, r *rand.Rand) { kill(r, c.Leader(), anAgent(c, r)) }},
	{"the leader and an agent are paused", func(c *harness.Cluster, r *rand.Rand) { pause(r, c.Leader(), anAgent(c, r)) }},
	{"both coordinators are killed", func(c *harness.Cluster, r *rand.Rand) { kill(r, c.Coordinators...) }},
	{"the leader is paused for a moment, over and over", func(c *harness.Cluster, r *rand.Rand) {
		for leader := c.Leader(); r.IntN(5) > 0; {
			leader.Pause()
			time.Sleep(upTo(r, 300*time.Millisecond))
			leader.Resume()
			time.Sleep(upTo(r, 100*time.Millisecond))
		}
	}},
	{"etcd is paused", func(c *harness.Cluster, r *rand.Rand) {
		c.Etcd.Signal(syscall.SIGSTOP)
		defer c.Etcd.Signal(syscall.SIGCONT)
		time.Sleep(upTo(r, awayMax))
	}},
	{"an agent is asked to stop", func(c *harness.Cluster, r *rand.Rand) {
		n := anAgent(c, r)
		n.Term()
		n.Start()
	}},
	{"the leader is asked to stop", func(c *harness.Cluster, _ *rand.Rand) {
		leader := c.Leader()
		leader.Term()
		leader.Start()
	}},
}

// upTo is a time below limit: short ones are as likely as long ones.
func upTo(r *rand.Rand, limit time.Duration) time.Duration {
	return time.Duration(float64(limit) * r.Float64() * r.Float64())
}

func anAgent(c *harness.Cluster, r *rand.Rand) *harness.Node { return c.Agents[r.IntN(len(c.Agents))] }

// The lease of a leader is 3 s: a pause may be longer or shorter than it.
const awayMax = 7 * time.Second

func kill(r *rand.Rand, nodes ...*harness.Node) {
	for _, n := range nodes {
		n.Kill()
	}
	time.Sleep(upTo(r, awayMax))
	for _, n := range nodes {
		n.Launch()
	}
	for _, n := range nodes {
		n.WaitReady()
	}
}

func pause(r *rand.Rand, nodes ...*harness.Node) {
	for _, n := range nodes {
		n.Pause()
	}
	time.Sleep(upTo(r, awayMax))
	for _, n := range nodes {
		n.Resume()
	}
}

// befall has one fault, after a while.
func befall(t *testing.T, r *rand.Rand, began time.Time, c *harness.Cluster) {
	t.Helper()
	time.Sleep(upTo(r, 2*time.Second))
	f := faults[r.IntN(len(faults))]
	at := time.Since(began)
	f.befall(c, r)
	t.Logf("%5.1f s: region %s: %s, for %.1f s", at.Seconds(), c.Config.Name, f.name, (time.Since(began) - at).Seconds())
}

// Three agents and two coordinators, killed and paused while the workload runs: the history has no anomaly.
//
//	go test ./tests/history -run TestHistoryUnderFaults -v -timeout 30m -duration 15m -seed 7 -keep /tmp
func TestHistoryUnderFaults(t *testing.T) {
	// Snapshots and trims come often, so that processes start from each kind of place.
	c := harness.NewCluster(t, harness.ClusterConfig{Coordinator: []string{"--snapshot-every", "500"}})
	dir := *keep
	if dir == "" {
		dir = t.TempDir()
	}
	path := filepath.Join(dir, "history.jsonl")
	w := &Workload{Brokers: c.Kafka(), Topic: "t", Partitions: 3, Records: 1_000_000, For: *duration, Rate: 2000, Final: 90 * time.Second}
	if *duration > time.Minute {
		w.Rate = 400 // a history is some 1 KB a record
	}
	done := make(chan error, 1)
	go func() { done <- recordTo(path, func(rec *Recorder) error { return w.Run(t.Context(), rec) }) }()
	r := rand.New(rand.NewPCG(*seed, 0))
	for began := time.Now(); time.Since(began) < *duration-3*time.Second; {
		befall(t, r, began, c)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	clean, err := report(&out, "text", path)
	if err != nil || !clean {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if info, err := os.Stat(path); err == nil {
		t.Logf("%d MB of history\n%s", info.Size()>>20, out.String())
	}
}
