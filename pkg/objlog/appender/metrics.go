package appender

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	flushBytes, flushAge, put, commit prometheus.Histogram
	puts                              prometheus.Gauge
	flushes                           [reasonCount]prometheus.Counter
}

// reason is why the buffer was flushed.
type reason int

const (
	reasonBytes      reason = iota // an object is full: by bytes, partitions or batches
	reasonPartitions               //
	reasonBatches                  //
	reasonWaited                   // the oldest request had waited long enough, or need not wait
	reasonCount
)

var reasonNames = [reasonCount]string{"bytes", "partitions", "batches", "waited"}

// reason says why the buffer as it is now is due.
func (l *loop) reason() reason {
	c := &l.a.cfg
	switch {
	case l.bytes >= c.FlushBytes:
		return reasonBytes
	case len(l.partitions) >= c.FlushPartitions:
		return reasonPartitions
	case l.batches >= c.FlushBatches:
		return reasonBatches
	}
	return reasonWaited
}

func newMetrics(reg prometheus.Registerer, logger *slog.Logger) *metrics {
	seconds := prometheus.ExponentialBuckets(0.0005, 2, 17)
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
	flushes := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gnomon_flushes_total", Help: "Flushes, by what made them due."}, []string{"reason"})
	for i := range m.flushes {
		m.flushes[i] = flushes.WithLabelValues(reasonNames[i])
	}
	if reg == nil {
		return m
	}
	for _, x := range []prometheus.Collector{m.flushBytes, m.flushAge, m.put, m.commit, m.puts, flushes} {
		if err := reg.Register(x); err != nil {
			logger.Warn("metric of the appender is not registered", "error", err)
		}
	}
	return m
}

// Held is how many bytes requests and what is built of them hold now, and at most.
func (a *Appender) Held() (now, most int64) { return a.held.Load(), a.cfg.BufferBytes }
