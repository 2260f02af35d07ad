package kafkaapi

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// metric is the sum of the series of a family whose labels all are in want ("name=value"); histograms count samples.
func (h *harness) metric(name string, want ...string) float64 {
	h.t.Helper()
	families, err := h.server.deps.Registerer.(*prometheus.Registry).Gather()
	if err != nil {
		h.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			if strings.Join(labels, ",") == strings.Join(want, ",") {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func TestMetrics(t *testing.T) {
	h := start(t, nil)
	h.add("t", 1, nil)
	w := h.dial()
	ask[*kmsg.ProduceResponse](w, produceRequest(9, "t", 0, makeBatch(1, "x")), 9)
	ask[*kmsg.ProduceResponse](w, produceRequest(9, "no", 0, makeBatch(1, "x")), 9)
	// An answer is counted after it was written: the next one tells that the one before is counted.
	ask[*kmsg.MetadataResponse](w, kmsg.NewPtrMetadataRequest(), 12)
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"gnomon_kafka_requests_total", []string{"api=Produce"}, 2},
		{"gnomon_kafka_requests_total", []string{"api=Fetch"}, 0},
		{"gnomon_kafka_request_seconds", []string{"api=Produce"}, 2},
		{"gnomon_kafka_errors_total", []string{"api=Produce", "error=UNKNOWN_TOPIC_OR_PARTITION"}, 1},
		{"gnomon_kafka_connections", nil, 1},
		{"gnomon_kafka_panics_total", nil, 0},
	} {
		if got := h.metric(c.name, c.labels...); got != c.want {
			t.Errorf("%s%v is %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	w.raw(prefix(0x7fffffff, 0, 9))
	if !w.closed() {
		t.Fatal("the connection is still open")
	}
	eventually(t, "the connection to be counted out", func() bool { return h.metric("gnomon_kafka_connections") == 0 })
	if got := h.metric("gnomon_kafka_connections_refused_total", "reason="+reasonTooLarge); got != 1 {
		t.Errorf("%v connections refused", got)
	}
}

// Two servers cannot share a registry by mistake.
func TestMetricsAreRegisteredOnce(t *testing.T) {
	h := start(t, nil)
	if _, err := New(DefaultConfig(1), h.server.deps); err == nil {
		t.Fatal("registered twice")
	}
}
