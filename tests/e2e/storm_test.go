package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/tests/harness"
	"github.com/gnomon-stream/gnomon/tests/s3/server"
)

// storm stands before a store and refuses a share of the requests with 503 SlowDown, as S3 does when a prefix gets more than it is ready for.
type storm struct {
	percent  atomic.Int64 // of the requests that are refused
	requests atomic.Int64
	refused  atomic.Int64
}

// before returns the bucket's URL by way of the storm.
func (s *storm) before(t *testing.T, store *server.Server, prefix string) string {
	t.Helper()
	location, query, _ := strings.Cut(store.URL(prefix), "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(values.Get("endpoint"))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target) // leaves the Host as it was signed
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if rand.Int64N(100) < s.percent.Load() {
			s.refused.Add(1)
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	values.Set("endpoint", front.URL)
	return location + "?" + values.Encode()
}

// rage refuses that share of the requests for stormLasts.
func (s *storm) rage(percent int64) {
	s.percent.Store(percent)
	time.AfterFunc(stormLasts, func() { s.percent.Store(0) })
}

const (
	stormLasts = 8 * time.Second
	// stormRequests bounds what the store is asked for while it refuses everything: three agents and two coordinators, each with backing off
	// uploads, readers, an archive and a probe. Without pauses it would be tens of thousands.
	stormRequests = 800
)

// Point 9 of docs/KAFKA.md: the store refuses everything with 503 SlowDown while the region starts, and again, and then nine of ten requests,
// while producers and a group are at work. The processes wait, ask less, and live; what the caches have is served; nothing acked is lost.
func TestStoreSlowDown(t *testing.T) {
	store := startStore(t)
	for _, v := range store.Env() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	var weather storm
	bucket := weather.before(t, store, "a")
	weather.rage(100)
	c := harness.NewCluster(t, harness.ClusterConfig{Agents: 2, Bucket: bucket})
	if weather.refused.Load() == 0 {
		t.Fatal("the region started before the storm")
	}
	t.Logf("at the start %d requests were refused in %v", weather.refused.Load(), stormLasts)

	brokers := c.Kafka()
	createTopic(t, brokers, "t", 4)
	ctx := testContext(t, 4*time.Minute)
	group := startReader(t, brokers, "t", "g")
	ledger := witness.NewLedger()
	cl := newClient(t, brokers, kgo.MaxBufferedRecords(20_000))
	sent := 0
	produce := func(until time.Time) {
		for ; time.Now().Before(until); sent++ {
			ledger.Produce(ctx, cl, &kgo.Record{Topic: "t", Key: fmt.Append(nil, sent%40), Value: fmt.Append(nil, sent)}, nil)
			time.Sleep(2 * time.Millisecond) // the pace of a stream, not a wait
		}
	}
	produce(time.Now().Add(2 * time.Second))
	if err := cl.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	read := ends(t, brokers, "t")
	harness.Eventually(t, time.Minute, "the group reads what will be in the caches", func() string { return group.Behind(read) })
	for _, percent := range []int64{100, 90} {
		before := weather.requests.Load()
		weather.rage(percent)
		ending := time.Now().Add(stormLasts)
		if percent == 100 {
			readAll(t, brokers, "t") // out of the caches, as the group has read it: the store gives nothing
			if time.Now().After(ending) {
				t.Error("what the caches have was not served while the store refused")
			}
		}
		produce(ending)
		asked := weather.requests.Load() - before
		t.Logf("%d %% refused for %v: %d requests, %d records acked so far", percent, stormLasts, asked, ledger.Acked())
		if asked > stormRequests {
			t.Errorf("%d requests in %v while the store refuses, want at most %d", asked, stormLasts, stormRequests)
		}
		produce(time.Now().Add(2 * time.Second)) // blocks while the client is full of what waits
	}
	if err := cl.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	checkLedger(t, ledger, readAll(t, brokers, "t"), nil)
	end := ends(t, brokers, "t")
	harness.Eventually(t, time.Minute, "the group reads to the end", func() string { return group.Behind(end) })
	checkReader(t, group)
	if err := ledger.Err(); err != nil {
		t.Error(err)
	}
}
