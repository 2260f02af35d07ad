package e2e

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"hash/fnv"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

const (
	flightsFile       = "../../../shared/data/flights.csv.gz"
	flightsRows       = 336_776
	flightsTopic      = "flights"
	flightsPartitions = 12
	flightsProducers  = 4
)

// flights gives each producer its rows, in order: a tail number belongs to one producer, so the order of a key is known.
func flights(t *testing.T) [flightsProducers][]*kgo.Record {
	t.Helper()
	var out [flightsProducers][]*kgo.Record
	f, err := os.Open(flightsFile)
	if os.IsNotExist(err) {
		t.Skipf("%s is not there: the run over all flights is left out", flightsFile)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	lines.Scan()
	column := -1
	for i, name := range strings.Split(lines.Text(), ",") {
		if name == "tailnum" {
			column = i
		}
	}
	rows := 0
	for lines.Scan() {
		key := strings.Split(lines.Text(), ",")[column]
		h := fnv.New32a()
		_, _ = h.Write([]byte(key)) // never fails
		p := h.Sum32() % flightsProducers
		// The row's number makes values unique.
		out[p] = append(out[p], &kgo.Record{Topic: flightsTopic, Key: []byte(key), Value: []byte(strconv.Itoa(rows) + "," + lines.Text())})
		rows++
	}
	if err := lines.Err(); err != nil || rows != flightsRows || column < 0 {
		t.Fatalf("%d rows, column %d, %v; want %d rows", rows, column, err, flightsRows)
	}
	return out
}

// All flights go through A, with B shadowing, and A dies on the way; they go on through B. With A's etcd in reach every
// acked row is at B; without, those beyond the boundary are missing, and no others.
func TestFlights(t *testing.T) {
	for _, fenced := range []bool{true, false} {
		t.Run(map[bool]string{true: "fenced", false: "cut"}[fenced], func(t *testing.T) { testFlights(t, fenced) })
	}
}

func testFlights(t *testing.T, fenced bool) {
	rows := flights(t)
	x := newDisaster(t, fenced)
	a, b := x.Endpoints("a").Kafka, x.Endpoints("b").Kafka
	createTopic(t, a, flightsTopic, flightsPartitions)
	ctx := testContext(t, 4*time.Minute)
	group := startReader(t, a, flightsTopic, "readers", x.path.Option())

	ledger := witness.NewLedger()
	var producers sync.WaitGroup
	began := time.Now()
	for p := range rows {
		// Each producer knows one agent of the two at first; the client finds the other.
		cl := newClient(t, a[p%2:p%2+1], x.path.Option(), kgo.MetadataMinAge(100*time.Millisecond), kgo.MaxBufferedRecords(5000))
		producers.Go(func() {
			for _, r := range rows[p] {
				ledger.Produce(ctx, cl, r, nil)
			}
			if err := cl.Flush(ctx); err != nil {
				t.Errorf("producer %d: %v", p, err)
			}
		})
	}
	awaitAcked := func(rows int) {
		t.Helper()
		harness.Eventually(t, time.Minute, "A acks", func() string {
			if n := ledger.Acked(); n < rows {
				return fmt.Sprintf("%d of %d acked", n, rows)
			}
			return ""
		})
	}
	awaitAcked(flightsRows / 2)
	if !fenced { // so that something is lost: B follows within milliseconds otherwise
		if r := x.TryAdmin("b", "shadow", "pause", harness.Link); r.Code != 0 {
			t.Fatal(r.Err)
		}
	}
	awaitAcked(flightsRows * 2 / 3)
	x.strike()
	atA := ledger.Acked()
	rate := float64(atA) / time.Since(began).Seconds()
	report, took := x.failover()
	at := boundary(report, flightsTopic)
	if err := group.Flip(ctx, b, at); err != nil {
		t.Fatal(err)
	}
	x.path.Flip()
	producers.Wait()
	if n := ledger.Acked(); n != flightsRows {
		t.Errorf("%d rows acked, want all %d", n, flightsRows)
	}

	have := readAll(t, b, flightsTopic)
	missing := checkLedger(t, ledger, have, at)
	if !fenced && missing == 0 {
		t.Error("nothing was lost although the link was paused: the cut was not put to the test")
	}
	if fenced && missing != 0 {
		t.Errorf("%d acked rows are missing although A was fenced", missing)
	}
	there := 0
	for _, records := range have {
		there += len(records)
	}
	if there+missing != flightsRows {
		t.Errorf("%d rows at B and %d missing are not %d", there, missing, flightsRows)
	}
	end := ends(t, b, flightsTopic)
	harness.Eventually(t, time.Minute, "the group reads to the end at B", func() string { return group.Behind(end) })
	checkReader(t, group)
	t.Logf("%d rows acked by A at %.0f/s, failover %s, mode %s; missing at B: %d",
		atA, rate, took.Round(time.Millisecond), report.Mode, missing)
	x.restartFenced(flightsTopic, at)
	deep := x.TryAdmin("b", "shadow", "verify", harness.Link, "--deep")
	if deep.Code != 0 {
		t.Errorf("verify --deep: %d %s%s", deep.Code, deep.Out, deep.Err)
	}
}
