package kafkaapi

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Metrics are the figures of a Server.
type Metrics struct {
	requests    *prometheus.CounterVec   // by api
	latency     *prometheus.HistogramVec // by api, seconds from the last byte read to the last byte written
	errors      *prometheus.CounterVec   // by api and Kafka's name of the error; one for each code given
	connections prometheus.Gauge
	refused     *prometheus.CounterVec // by reason
	panics      prometheus.Counter
	received    prometheus.Counter // bytes
	sent        prometheus.Counter // bytes
	perAPI      map[int16]apiMetrics
}

type apiMetrics struct {
	requests prometheus.Counter
	latency  prometheus.Observer
}

// Reasons to close a connection against the client's will.
const (
	reasonLimit    = "limit"    // too many connections
	reasonGarbage  = "garbage"  // no Kafka request
	reasonTooLarge = "toolarge" // a size limit
	reasonSlow     = "slow"     // no progress in reading or writing
)

func newMetrics(apis []*api, reg prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "gnomon", Subsystem: "kafka", Name: name, Help: help}
	}
	m := &Metrics{
		requests: prometheus.NewCounterVec(counter("requests_total", "Requests answered."), []string{"api"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "gnomon", Subsystem: "kafka", Name: "request_seconds",
			Help:    "Time from a request's last byte in to its answer's last byte out.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 17),
		}, []string{"api"}),
		errors:      prometheus.NewCounterVec(counter("errors_total", "Error codes given, one for each partition, topic or request that got one."), []string{"api", "error"}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "gnomon", Subsystem: "kafka", Name: "connections", Help: "Open connections."}),
		refused:     prometheus.NewCounterVec(counter("connections_refused_total", "Connections closed for what the client did."), []string{"reason"}),
		panics:      prometheus.NewCounter(counter("panics_total", "Panics caught in handlers: each is a bug.")),
		received:    prometheus.NewCounter(counter("received_bytes_total", "Bytes of requests.")),
		sent:        prometheus.NewCounter(counter("sent_bytes_total", "Bytes of answers.")),
		perAPI:      make(map[int16]apiMetrics, len(apis)),
	}
	for _, a := range apis {
		m.perAPI[a.key] = apiMetrics{m.requests.WithLabelValues(a.name), m.latency.WithLabelValues(a.name)}
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.latency, m.errors, m.connections, m.refused, m.panics, m.received, m.sent} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the metrics of the Kafka server: %w", err)
		}
	}
	return m, nil
}

func (m *Metrics) failed(a *api, e *kerr.Error) { m.errors.WithLabelValues(a.name, e.Message).Inc() }

func (m *Metrics) answered(key int16, took time.Duration, bytes int64) {
	if a, ok := m.perAPI[key]; ok {
		a.requests.Inc()
		a.latency.Observe(took.Seconds())
	}
	m.sent.Add(float64(bytes))
}
