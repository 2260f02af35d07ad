package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

// disaster is a pair of regions of which the first will be lost.
type disaster struct {
	*harness.Dev
	t      *testing.T
	a, b   *harness.Process
	etcd   *harness.Process // of A, apart from it
	url    string
	fenced bool // A's etcd outlives A
	// buckets are the flags that name the regions' buckets, if they are in the store of GNOMON_TEST_S3.
	buckets []string
	path    *witness.Redirect
}

func newDisaster(t *testing.T, fenced bool) *disaster {
	t.Helper()
	x := &disaster{Dev: harness.NewDev(t), t: t, fenced: fenced}
	x.etcd, x.url = x.StartEtcd("a")
	x.buckets = bucketsOnS3()
	x.a, x.b = x.StartPair(append(x.buckets, "--etcd-a", x.url)...)
	x.path = witness.NewRedirect(x.Endpoints("a").Kafka, x.Endpoints("b").Kafka)
	return x
}

// bucketsOnS3 gives the flags for two prefixes of the bucket that GNOMON_TEST_S3 names (tests/s3/run.sh starts a server
// and sets it), and none, which means directories, when it is not set.
func bucketsOnS3() []string {
	location, query, ok := strings.Cut(os.Getenv("GNOMON_TEST_S3"), "?")
	if !ok {
		return nil
	}
	run := time.Now().UnixNano()
	return []string{
		"--bucket-a", fmt.Sprintf("%s/e2e-%d-a?%s", strings.TrimSuffix(location, "/"), run, query),
		"--bucket-b", fmt.Sprintf("%s/e2e-%d-b?%s", strings.TrimSuffix(location, "/"), run, query),
	}
}

// strike kills region A: agents and coordinator by SIGKILL, and its etcd unless that is to stay in reach.
func (x *disaster) strike() {
	x.t.Helper()
	x.a.Kill()
	if !x.fenced {
		x.etcd.Kill()
	}
}

// failover makes B the primary, and checks what the report says of itself.
func (x *disaster) failover() (harness.Failover, time.Duration) {
	x.t.Helper()
	var f harness.Failover
	r := x.Admin("b", &f, "shadow", "failover", harness.Link, "--yes")
	want := map[bool]string{true: "fenced", false: "cut"}[x.fenced]
	if f.Mode != want || f.DryRun || f.Epoch <= 1 {
		x.t.Errorf("failover: %+v, want mode %s", f, want)
	}
	for _, p := range f.Partitions {
		if p.MissingBytes != 0 {
			x.t.Errorf("%s-%d: %d bytes below the boundary are missing", p.Topic, p.Partition, p.MissingBytes)
		}
		if x.fenced && (p.LostOffsets == nil || *p.LostOffsets != 0) {
			x.t.Errorf("%s-%d: a fenced failover lost %v", p.Topic, p.Partition, p.LostOffsets)
		}
	}
	return f, r.Took
}

// boundary of each partition of a topic.
func boundary(f harness.Failover, topic string) witness.Boundary {
	out := witness.Boundary{}
	for _, p := range f.Partitions {
		if p.Topic == topic {
			out[p.Partition] = p.EndOffset
		}
	}
	return out
}

// restartFenced starts A again, and checks that it reads and does not write.
func (x *disaster) restartFenced(topic string, below witness.Boundary) {
	x.t.Helper()
	if !x.fenced {
		x.etcd, x.url = x.StartEtcd("a")
	}
	x.a = x.Start(append(x.buckets, "--region", "a", "--etcd-a", x.url)...)
	a := x.Endpoints("a").Kafka
	// A wrote it may be beyond the boundary; what is below must be the same in both regions.
	before, there := readAll(x.t, a, topic), readAll(x.t, x.Endpoints("b").Kafka, topic)
	for p, end := range below {
		for i := range end {
			if int64(len(before[p])) <= i || !witness.SameRecord(before[p][i], there[p][i]) {
				x.t.Fatalf("partition %d, offset %d: the regions differ below the boundary", p, i)
			}
		}
	}
	ctx := testContext(x.t, 3*time.Second)
	if _, err := produceUntilAcked(ctx, witness.NewLedger(), a, &kgo.Record{Topic: topic, Value: []byte("from a dead region")}); err == nil {
		x.t.Error("the fenced region acked a record")
	}
	for p, end := range ends(x.t, a, topic) {
		if end != int64(len(before[p])) {
			x.t.Errorf("partition %d of the fenced region grew from %d to %d", p, len(before[p]), end)
		}
	}
	var status struct{ Role string }
	health := x.TryAdmin("a", "health") // its exit code says that A is not ready
	if err := json.Unmarshal([]byte(health.Out), &status); err != nil {
		x.t.Error(err, health.Out, health.Err)
	}
	if status.Role != "fenced" {
		x.t.Errorf("A says that its role is %q, want fenced", status.Role)
	}
}

func TestFailover(t *testing.T) {
	for _, fenced := range []bool{true, false} {
		t.Run(map[bool]string{true: "fenced", false: "cut"}[fenced], func(t *testing.T) { testFailover(t, fenced) })
	}
}

func testFailover(t *testing.T, fenced bool) {
	x := newDisaster(t, fenced)
	a, b := x.Endpoints("a").Kafka, x.Endpoints("b").Kafka
	createTopic(t, a, "t", 3)
	ctx := testContext(t, 2*time.Minute)
	group := startReader(t, a, "t", "g", x.path.Option())
	producer := newClient(t, a, x.path.Option(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(100*time.Millisecond))
	rows := witness.NewLedger()
	send := func(from, to int) {
		for i := from; i < to; i++ {
			rows.Produce(ctx, producer, &kgo.Record{Topic: "t", Partition: int32(i % 3), Value: fmt.Appendf(nil, "row %d", i)}, nil)
		}
	}
	send(0, 2000)
	harness.Eventually(t, 20*time.Second, "A acks and the group reads", func() string {
		if n := rows.Acked(); n < 2000 {
			return fmt.Sprintf("%d acked", n)
		}
		return group.Behind(map[int32]int64{0: 600, 1: 600, 2: 600})
	})
	// A dies in mid-stream, while B is behind: frozen for a moment, or, where something is to be lost, paused.
	if fenced {
		x.b.Signal(syscall.SIGSTOP)
	} else if r := x.TryAdmin("b", "shadow", "pause", harness.Link); r.Code != 0 {
		t.Fatal(r.Err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := 2000; i < 4000; i += 20 {
			send(i, i+20)
			time.Sleep(time.Millisecond) // the pace of a stream, not a wait
		}
	}()
	harness.Eventually(t, 20*time.Second, "A acks more", func() string {
		if n := rows.Acked(); n < 2500 {
			return fmt.Sprintf("%d acked", n)
		}
		return ""
	})
	x.strike()
	if fenced {
		x.b.Signal(syscall.SIGCONT)
	}
	<-sent
	dry := x.TryAdmin("b", "shadow", "failover", harness.Link, "--dry-run")
	if dry.Code != 0 || !strings.Contains(dry.Out, `"dry_run": true`) {
		t.Errorf("dry run: %d %s%s", dry.Code, dry.Out, dry.Err)
	}

	type ack struct {
		took time.Duration
		err  error
	}
	first := make(chan ack, 1)
	go func() {
		took, err := produceUntilAcked(ctx, rows, b, &kgo.Record{Topic: "t", Key: []byte("other"), Value: []byte("first at B")})
		first <- ack{took, err}
	}()
	report, took := x.failover()
	got := <-first
	if got.err != nil {
		t.Fatal(got.err)
	}
	t.Logf("failover command %s, first ack at B after %s; %+v", took.Round(time.Millisecond), got.took.Round(time.Millisecond), report)
	// The claim is a second; the bound leaves room for a machine that is busy with other tests.
	if got.took > 5*time.Second {
		t.Errorf("the first ack at B came %s after the command", got.took)
	}
	at := boundary(report, "t")
	if err := group.Flip(ctx, b, at); err != nil {
		t.Fatal(err)
	}
	x.path.Flip()
	send(4000, 5000)
	if err := producer.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	lost := checkLedger(t, rows, readAll(t, b, "t"), at)
	if !fenced && lost == 0 {
		t.Error("nothing was lost although B was behind: the cut was not put to the test")
	}
	if fenced && lost != 0 {
		t.Errorf("%d acked rows are lost although A was fenced", lost)
	}
	end := ends(t, b, "t")
	harness.Eventually(t, 60*time.Second, "the group reads on at B", func() string { return group.Behind(end) })
	checkReader(t, group)
	t.Logf("%d acked rows lost", lost)
	x.restartFenced("t", at)
}

// checkReader fails the test if the group skipped an offset or got again what it had committed.
func checkReader(t *testing.T, r *witness.Reader) {
	t.Helper()
	progress, found := r.Progress()
	if found.Count > 0 || progress.Skipped > 0 || progress.Below > 0 {
		t.Errorf("group: %+v, %q", progress, found.First)
	}
	t.Logf("group: %+v", progress)
}

// The status of a link tells who is what, before and after.
func TestStatusOfFailover(t *testing.T) {
	x := newDisaster(t, true)
	createTopic(t, x.Endpoints("a").Kafka, "t", 1)
	x.WaitCaughtUp()
	check := func(state, role string) {
		t.Helper()
		var s harness.Status
		x.Admin("b", &s, "shadow", "status", harness.Link)
		if s.State != state || s.Role != role {
			t.Errorf("state %s, role %s; want %s, %s", s.State, s.Role, state, role)
		}
	}
	check("ACTIVE", "shadow")
	x.strike()
	x.WaitLink("UNREACHABLE")
	if lag := lagSeconds(t, x.Endpoints("b").Admin); lag <= 0 {
		t.Errorf("gnomon_shadow_lag_seconds is %v, though the source has been silent for seconds", lag)
	}
	x.failover()
	check("FAILED_OVER", "primary")
	again := x.TryAdmin("b", "shadow", "failover", harness.Link, "--yes")
	var e struct{ Error string }
	if again.Code == 0 {
		if err := json.Unmarshal([]byte(again.Out), &harness.Failover{}); err != nil {
			t.Error(err)
		}
	} else if json.Unmarshal([]byte(again.Err), &e) != nil || e.Error == "" {
		t.Errorf("a second failover: %d %s %s", again.Code, again.Out, again.Err)
	}
	t.Logf("a second failover says: %s%s", again.Out, again.Err)
}

// lagSeconds is the link's lag as Prometheus reads it.
func lagSeconds(t *testing.T, admin string) float64 {
	t.Helper()
	resp, err := http.Get(admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), `gnomon_shadow_lag_seconds{link="`+harness.Link+`"} `); ok {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatal("there is no gnomon_shadow_lag_seconds of the link")
	return 0
}
