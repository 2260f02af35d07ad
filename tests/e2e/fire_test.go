package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/tests/harness"
	"github.com/gnomon-stream/gnomon/tests/s3/server"
)

// fire makes faults, one after the other, at random moments.
type fire struct {
	t     *testing.T
	c     *harness.Cluster
	store *server.Server // nil: a directory, which does not fail
	rng   *rand.Rand
	done  map[string]int
}

// between waits for a random time.
func (f *fire) between(low, high time.Duration) time.Duration {
	d := low + time.Duration(f.rng.Int64N(int64(high-low)))
	time.Sleep(d) // the moment of a fault, and how long it lasts
	return d
}

// anyOf picks a node that runs.
func (f *fire) anyOf(nodes []*harness.Node) *harness.Node { return nodes[f.rng.IntN(len(nodes))] }

// strike makes one fault and mends it.
func (f *fire) strike() {
	f.t.Helper()
	faults := []struct {
		name string
		do   func()
	}{
		{"agent killed", func() { f.kill(f.anyOf(f.c.Agents)) }},
		{"agent paused", func() { f.pause(f.anyOf(f.c.Agents)) }},
		{"agent ended", func() { n := f.anyOf(f.c.Agents); n.Term(); n.Start() }},
		{"leader killed", func() { f.kill(f.c.Leader()) }},
		{"leader paused", func() { f.pause(f.c.Leader()) }},
		{"leader ended", func() { n := f.c.Leader(); n.Term(); n.Start() }},
		{"standby killed", func() { f.kill(f.c.Standby()) }},
		{"agent and leader killed", func() {
			leader := f.c.Leader()
			agent := f.anyOf(f.c.Agents)
			agent.Kill()
			leader.Kill()
			f.between(100*time.Millisecond, time.Second)
			leader.Start()
			agent.Start()
		}},
	}
	fault := faults[f.rng.IntN(len(faults))]
	if f.store != nil && len(f.done) == 2 { // once for sure
		fault.name, fault.do = "store killed", f.killStore
	}
	began := time.Now()
	fault.do()
	f.done[fault.name]++
	f.t.Logf("%s, mended after %s", fault.name, time.Since(began).Round(time.Millisecond))
}

func (f *fire) kill(n *harness.Node) {
	n.Kill()
	f.between(50*time.Millisecond, 1500*time.Millisecond)
	n.Start()
}

// pause may be shorter or longer than a lease (3 s).
func (f *fire) pause(n *harness.Node) {
	n.Pause()
	f.between(200*time.Millisecond, 5*time.Second)
	n.Resume()
}

func (f *fire) killStore() {
	if err := f.store.Kill(); err != nil {
		f.t.Fatal(err)
	}
	time.Sleep(storeAway) // the outage
	if err := f.store.Start(); err != nil {
		f.t.Fatal(err)
	}
}

// crew is a consumer group of several members that commit as their client does by default. It notes what they are given.
type crew struct {
	mu   sync.Mutex
	seen map[string]int
}

func startCrew(t *testing.T, brokers []string, topic string, members int, opts ...kgo.Opt) *crew {
	t.Helper()
	c := &crew{seen: map[string]int{}}
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range members {
		cl := newClient(t, brokers, append([]kgo.Opt{
			kgo.ConsumeTopics(topic), kgo.ConsumerGroup("crew"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.MetadataMinAge(100 * time.Millisecond), kgo.SessionTimeout(10 * time.Second),
		}, opts...)...)
		all.Go(func() {
			for ctx.Err() == nil {
				f := cl.PollFetches(ctx)
				c.mu.Lock()
				f.EachRecord(func(r *kgo.Record) { c.seen[string(r.Value)]++ })
				c.mu.Unlock()
			}
		})
	}
	t.Cleanup(func() { stop(); all.Wait() })
	return c
}

// missing tells what of the acked records no member was given.
func (c *crew) missing(acks []*kgo.Record) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, first := 0, ""
	for _, r := range acks {
		if c.seen[string(r.Value)] == 0 {
			if n++; n == 1 {
				first = fmt.Sprintf("%d:%d", r.Partition, r.Offset)
			}
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d acked records reached no member of the group, such as that at %s", n, first)
}

const (
	firePace = 12_000 // rows a second, of all producers: so that they last as long as the fire
	oneTopic = "one"  // of one partition and many producers
	fireSeed = "GNOMON_FIRE_SEED"
)

// All flights go through a region of three agents and two coordinators, whose processes are killed, paused and ended at random
// moments, the store too where it is one that can be (`make minio`); groups read along. Then the region dies for good, and
// another takes over. Every acked row is there once, in order for each key, at the same offset in both regions; nobody skipped
// any, and no producer saw an error.
func TestFlightsUnderFire(t *testing.T) {
	rows := flights(t)
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv(fireSeed); s != "" {
		if _, err := fmt.Sscan(s, &seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%s=%d", fireSeed, seed)
	var cfg harness.ClusterConfig
	var store *server.Server
	if os.Getenv(server.Variable) != "" {
		store = startStore(t)
		for _, v := range store.Env() {
			name, value, _ := strings.Cut(v, "=")
			t.Setenv(name, value)
		}
		cfg.Bucket = store.URL("a")
	}
	x := harness.NewClusterPair(t, cfg, harness.ClusterConfig{Agents: 2, Coordinators: 1})
	a, b := x.A.Kafka(), x.B.Kafka()
	path := witness.NewRedirect(a, b)
	createTopic(t, a, flightsTopic, flightsPartitions)
	createTopic(t, a, oneTopic, 1)
	ctx := testContext(t, 6*time.Minute)
	group := startReader(t, a, flightsTopic, "readers", path.Option())
	one := startReader(t, a, oneTopic, "one", path.Option())
	members := startCrew(t, a, flightsTopic, 3, path.Option())

	ledger, oneLedger := witness.NewLedger(), witness.NewLedger()
	var producers sync.WaitGroup
	for p := range rows {
		cl := newClient(t, a[p%3:p%3+1], path.Option(), kgo.MetadataMinAge(100*time.Millisecond), kgo.MaxBufferedRecords(5000))
		producers.Go(func() { paced(ctx, t, cl, ledger, rows[p], firePace/flightsProducers) })
	}
	burning, quench := context.WithCancel(ctx)
	defer quench()
	for p := range storeProducers {
		cl := newClient(t, a[p%3:p%3+1], path.Option(), kgo.MetadataMinAge(100*time.Millisecond), kgo.MaxBufferedRecords(500))
		producers.Go(func() { drip(ctx, burning, t, cl, oneLedger, p) })
	}

	f := &fire{t: t, c: x.A, store: store, rng: rand.New(rand.NewPCG(seed, 1)), done: map[string]int{}}
	for ledger.Acked() < flightsRows*2/3 && ctx.Err() == nil {
		f.between(100*time.Millisecond, 1500*time.Millisecond)
		f.strike()
	}
	t.Logf("faults: %v; %d rows acked", f.done, ledger.Acked())
	x.A.Kill()
	report, took := x.Failover()
	if report.Mode != "fenced" {
		t.Errorf("failover by %s", report.Mode)
	}
	at, oneAt := boundary(report, flightsTopic), boundary(report, oneTopic)
	for reader, cut := range map[*witness.Reader]witness.Boundary{group: at, one: oneAt} {
		if err := reader.Flip(ctx, b, cut); err != nil {
			t.Fatal(err)
		}
	}
	path.Flip()
	t.Logf("failover %s", took.Took.Round(time.Millisecond))
	quench()
	producers.Wait()
	if n := ledger.Acked(); n != flightsRows {
		t.Errorf("%d rows acked, want all %d", n, flightsRows)
	}
	for topic, l := range map[string]*witness.Ledger{flightsTopic: ledger, oneTopic: oneLedger} {
		if missing := checkLedger(t, l, readAll(t, b, topic), boundary(report, topic)); missing != 0 {
			t.Errorf("%s: %d acked rows are missing though A was fenced", topic, missing)
		}
	}
	for topic, reader := range map[string]*witness.Reader{flightsTopic: group, oneTopic: one} {
		end := ends(t, b, topic)
		harness.Eventually(t, time.Minute, "the group reads to the end of "+topic, func() string { return reader.Behind(end) })
		checkReader(t, reader)
	}
	acks := ledger.Acks()
	harness.Eventually(t, time.Minute, "the group of three has read all", func() string { return members.missing(acks) })
	t.Logf("%d rows on %s", oneLedger.Acked(), oneTopic)
}
