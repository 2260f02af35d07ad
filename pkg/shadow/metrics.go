package shadow

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of all links of a process.
type Metrics struct {
	objects prometheus.Counter
	bytes   prometheus.Counter
	errors  prometheus.Counter
	seconds prometheus.Histogram
	lag     lagCollector
}

// NewMetrics registers the metrics with reg; a nil reg leaves them unregistered.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		objects: prometheus.NewCounter(prometheus.CounterOpts{Name: "gnomon_shadow_copied_objects_total", Help: "Objects copied from sources."}),
		bytes:   prometheus.NewCounter(prometheus.CounterOpts{Name: "gnomon_shadow_copied_bytes_total", Help: "Bytes of objects copied from sources."}),
		errors:  prometheus.NewCounter(prometheus.CounterOpts{Name: "gnomon_shadow_copy_errors_total", Help: "Copies that failed and were tried again."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gnomon_shadow_copy_seconds", Help: "Time to copy one object: read, prove, write.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}),
	}
	if reg != nil {
		reg.MustRegister(m.objects, m.bytes, m.errors, m.seconds, &m.lag)
	}
	return m
}

func (m *Metrics) copied(bytes int64, took time.Duration) {
	if m == nil {
		return
	}
	m.objects.Inc()
	m.bytes.Add(float64(bytes))
	m.seconds.Observe(took.Seconds())
}

func (m *Metrics) copyFailed() {
	if m != nil {
		m.errors.Inc()
	}
}
