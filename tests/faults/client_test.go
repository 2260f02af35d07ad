package faults

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/witness"
)

// testContext bounds a part of a test, below the bound of go test, so that what hangs is named.
func testContext(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func newClient(t *testing.T, brokers []string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(brokers...), kgo.MetadataMinAge(100 * time.Millisecond), kgo.FetchMaxWait(100 * time.Millisecond), kgo.ProducerLinger(0),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// createTopic makes a topic of one partition.
func createTopic(t *testing.T, brokers []string, name string, configs map[string]*string) [16]byte {
	t.Helper()
	made, err := kadm.NewClient(newClient(t, brokers)).CreateTopic(testContext(t, patience), 1, -1, configs, name)
	if err != nil {
		t.Fatalf("create topic %s: %v", name, err)
	}
	return made.ID
}

// produce sends a value and returns the offset that it is acked with.
func produce(t *testing.T, brokers []string, topic, value string) int64 {
	t.Helper()
	cl := newClient(t, brokers)
	defer cl.Close()
	r, err := cl.ProduceSync(testContext(t, patience), &kgo.Record{Topic: topic, Value: []byte(value)}).First()
	if err != nil {
		t.Fatalf("produce to %s: %v", topic, err)
	}
	return r.Offset
}

// end is the end offset of a topic's one partition.
func end(t *testing.T, brokers []string, topic string) int64 {
	t.Helper()
	ends, err := witness.Ends(testContext(t, patience), brokers, topic)
	if err != nil {
		t.Fatal(err)
	}
	return ends[0]
}

// serves wants a client that comes now to get a record acked and read back.
func serves(t *testing.T, brokers []string, topic string) {
	t.Helper()
	offset := produce(t, brokers, topic, "alive")
	reader := newClient(t, brokers, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(offset)}}))
	defer reader.Close()
	if err := reader.PollFetches(testContext(t, patience)).Err0(); err != nil {
		t.Fatalf("the agent does not serve a reader any more: %v", err)
	}
}

// metric sums the samples of a metric whose labels contain a text.
func metric(t *testing.T, adminURL, name, labels string) float64 {
	t.Helper()
	status, body := get(t, adminURL+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("metrics: HTTP %d", status)
	}
	sum, found := 0.0, false
	for line := range strings.Lines(body) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		base, rest, _ := strings.Cut(key, "{")
		if !ok || base != name || !strings.Contains(rest, labels) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum, found = sum+v, true
	}
	if !found && labels == "" {
		t.Fatalf("there is no metric %s", name)
	}
	return sum
}

// get fetches a page; status 0 means that nobody answered.
func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(b)
}
