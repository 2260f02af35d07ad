package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

// stream is a region of its own process, on an etcd of its own process and a store of the test, with a producer and a group
// that never let up.
type stream struct {
	*harness.Dev
	t     *testing.T
	store *s3Server
	etcd  *harness.Process
	agent *harness.Process // and coordinator
	args  []string
	kafka []string
	admin string
	id    [16]byte // of topic "t"
	rows  *witness.Ledger
	group *witness.Reader
}

func startStream(t *testing.T) *stream {
	t.Helper()
	x := &stream{Dev: harness.NewDev(t), t: t, store: startS3(t), rows: witness.NewLedger()}
	var url string
	x.etcd, url = x.StartEtcd("a")
	x.args = []string{"--region", "a", "--etcd-a", url, "--bucket-a", x.store.bucket("gnomon"), "--log-level", "debug"}
	x.agent = start(t, x.Dev, x.args...)
	e := x.Endpoints("a")
	x.kafka, x.admin = e.Kafka, e.Admin
	x.id = createTopic(t, x.kafka, "t", nil)
	var err error
	x.group, err = witness.StartReader(x.kafka, "t", "g", time.Now, kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.group.Close)
	return x
}

// produce sends records, a few hundred a second, until the returned function is called, which waits for all acks.
func (x *stream) produce() (finish func()) {
	cl := newClient(x.t, x.kafka)
	stop, done := make(chan struct{}), make(chan struct{})
	ctx := testContext(x.t, 2*time.Minute)
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond): // the pace of a stream, not a wait
				x.rows.Produce(ctx, cl, &kgo.Record{Topic: "t", Value: fmt.Appendf(nil, "row %d", i)}, nil)
			}
		}
	}()
	return func() {
		x.t.Helper()
		close(stop)
		<-done
		if err := cl.Flush(ctx); err != nil {
			x.t.Fatal(err)
		}
	}
}

// acksMore waits until n more records are acked.
func (x *stream) acksMore(n int) {
	x.t.Helper()
	before, began := x.rows.Acked(), time.Now()
	harness.Eventually(x.t, 60*time.Second, "records are acked", func() string {
		if now := x.rows.Acked(); now < before+n {
			return fmt.Sprintf("%d, then %d", before, now)
		}
		return ""
	})
	keepsSecret(x.t, "the region", x.agent.Log())
	x.t.Logf("%d more records are acked after %s", n, time.Since(began).Round(time.Millisecond))
}

// fetches asks an agent for the topic's first records, and wants them at once.
func fetches(t *testing.T, addr string, id [16]byte) {
	t.Helper()
	w := dial(t, addr)
	defer w.close()
	p := w.ask(fetchRequest(id, 0, 0, -1), 13).(*kmsg.FetchResponse).Topics[0].Partitions[0]
	if p.ErrorCode != 0 || len(p.RecordBatches) == 0 {
		t.Errorf("fetch of what is cached: %v, %d bytes", kerr.ErrorForCode(p.ErrorCode), len(p.RecordBatches))
	}
}

// failing is what gnomon health says is not in order.
func (x *stream) failing() map[string]bool {
	x.t.Helper()
	r := run(x.t, "health", "--admin", x.admin, "--format", "json")
	var health struct {
		Ready  bool
		Checks []struct {
			Name string
			Ok   bool
		}
	}
	if err := json.Unmarshal([]byte(r.Out), &health); err != nil {
		x.t.Fatalf("health: %v: %s%s", err, r.Out, r.Err)
	}
	if health.Ready != (r.Code == 0) {
		x.t.Errorf("ready is %v, but the exit code is %d", health.Ready, r.Code)
	}
	out := map[string]bool{}
	for _, c := range health.Checks {
		if !c.Ok {
			out[c.Name] = true
		}
	}
	return out
}

// storeAway takes the store away until the region has noticed.
func (x *stream) storeAway() {
	x.store.away.Store(true)
	defer x.store.away.Store(false)
	harness.Eventually(x.t, patience, "the region asks the store again and again", func() string {
		if n := x.store.refused.Load(); n < 8 {
			return fmt.Sprintf("%d requests", n)
		}
		return ""
	})
	if failing := x.failing(); !failing["bucket"] || failing["etcd"] {
		x.t.Errorf("without its store the region says that %v is not in order", failing)
	}
	fetches(x.t, x.kafka[0], x.id)
}

// withoutEtcd is called when etcd is away, and returns when the region has noticed.
func (x *stream) withoutEtcd() {
	x.t.Helper()
	harness.Eventually(x.t, patience, "the region gives its term up", func() string {
		if status, _ := get(x.t, x.admin+"/readyz"); status != http.StatusServiceUnavailable {
			return fmt.Sprintf("readyz says %d", status)
		}
		return ""
	})
	if failing := x.failing(); !failing["etcd"] || failing["bucket"] {
		x.t.Errorf("without its etcd the region says that %v is not in order", failing)
	}
	if status, _ := get(x.t, x.admin+"/healthz"); status != http.StatusOK {
		x.t.Errorf("healthz says %d: a restart would not help", status)
	}
	for _, addr := range x.kafka {
		fetches(x.t, addr, x.id)
	}
}

// TestOutages takes from a region, one after the other, what it stands on. Its clients only see that nothing goes on for a
// while; nobody restarts anything, and what was acked is there, once, where the ack said, also for a process that has
// nothing in its cache.
func TestOutages(t *testing.T) {
	t.Parallel()
	x := startStream(t)
	finish := x.produce()
	x.acksMore(100)
	for _, addr := range x.kafka {
		fetches(t, addr, x.id) // now it is cached
	}

	x.storeAway()
	x.acksMore(100)

	x.etcd.Kill()
	x.withoutEtcd()
	x.etcd, _ = x.StartEtcd("a")
	x.acksMore(100)

	x.etcd.Signal(syscall.SIGSTOP)
	t.Cleanup(func() { x.etcd.Signal(syscall.SIGCONT) }) // it could not be stopped, if the test ends here
	x.withoutEtcd()
	x.etcd.Signal(syscall.SIGCONT)
	x.acksMore(100)

	finish()
	ends := map[int32]int64{0: end(t, x.kafka, "t")}
	harness.Eventually(t, patience, "the group reads to the end", func() string { return x.group.Behind(ends) })
	if progress, found := x.group.Progress(); found.Count > 0 {
		t.Errorf("group: %+v, %q", progress, found.First)
	}
	x.complete()
	if failing := x.failing(); len(failing) > 0 {
		t.Errorf("after all of it the region says that %v is not in order", failing)
	}
	x.agent.Kill()
	start(t, x.Dev, x.args...)
	x.complete()
}

// complete wants every row that was acked to be there, and nothing twice.
func (x *stream) complete() {
	x.t.Helper()
	have, err := witness.ReadAll(testContext(x.t, 60*time.Second), x.kafka, "t")
	if err != nil {
		x.t.Fatal(err)
	}
	if _, found := x.rows.Check(have, nil); found.Count > 0 {
		x.t.Errorf("%d broken promises, such as %q", found.Count, found.First)
	}
	if err := x.rows.Err(); err != nil {
		x.t.Error(err)
	}
}
