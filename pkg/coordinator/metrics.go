package coordinator

import "github.com/prometheus/client_golang/prometheus"

// metrics of a coordinator.
type metrics struct {
	append     prometheus.Histogram
	entryBytes prometheus.Histogram
	applied    prometheus.Gauge
	archived   prometheus.Gauge
	leading    prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		append: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gnomon_metalog_append_seconds", Help: "Time of one append to the metalog, or one leadership barrier.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		entryBytes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gnomon_metalog_entry_bytes", Help: "Encoded size of the entries appended.",
			Buckets: prometheus.ExponentialBuckets(64, 4, 9),
		}),
		applied:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "gnomon_metalog_applied_seq", Help: "Seq of the last entry applied."}),
		archived: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gnomon_metalog_archived_seq", Help: "Seq of the last entry archived in the bucket."}),
		leading:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "gnomon_coordinator_leading", Help: "1 while this coordinator leads."}),
	}
	if reg != nil {
		reg.MustRegister(m.append, m.entryBytes, m.applied, m.archived, m.leading)
	}
	return m
}
