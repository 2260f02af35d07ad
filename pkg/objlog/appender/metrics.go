package appender

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	flushBytes, flushAge, put, commit prometheus.Histogram
	puts                              prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, logger *slog.Logger) *metrics {
	seconds := prometheus.ExponentialBuckets(0.0005, 2, 15)
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	m := &metrics{
		flushBytes: histogram("gnomon_flush_bytes", "Bytes of record batches in a segment.", prometheus.ExponentialBuckets(256, 4, 9)),
		flushAge:   histogram("gnomon_flush_age_seconds", "How long the oldest request of a segment waited for its flush.", seconds),
		put:        histogram("gnomon_segment_put_seconds", "Time to store a segment.", seconds),
		commit:     histogram("gnomon_segment_commit_seconds", "Time to have a segment committed.", seconds),
		puts:       prometheus.NewGauge(prometheus.GaugeOpts{Name: "gnomon_segment_puts_in_flight", Help: "Segments being stored."}),
	}
	if reg == nil {
		return m
	}
	for _, x := range []prometheus.Collector{m.flushBytes, m.flushAge, m.put, m.commit, m.puts} {
		if err := reg.Register(x); err != nil {
			logger.Warn("metric of the appender is not registered", "error", err)
		}
	}
	return m
}
