package coordinator

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of a coordinator.
type metrics struct {
	append        prometheus.Histogram
	appendErrors  prometheus.Counter
	entryBytes    prometheus.Histogram
	entryEvents   prometheus.Histogram
	applied       prometheus.Gauge
	archived      prometheus.Gauge
	snapshotSeq   prometheus.Gauge
	snapshotBytes prometheus.Gauge
	leading       prometheus.Gauge
	forgotten     prometheus.Counter

	archivedAt atomic.Int64 // when the archive held all that was applied, Unix nanoseconds; see stateCollector
}

func newMetrics(reg prometheus.Registerer) *metrics {
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		append: histogram("gnomon_metalog_append_seconds", "Time of one append to the metalog, or one leadership barrier.",
			prometheus.ExponentialBuckets(0.0005, 2, 17)),
		appendErrors:  counter("gnomon_metalog_append_errors_total", "Appends and barriers that failed."),
		entryBytes:    histogram("gnomon_metalog_entry_bytes", "Encoded size of the entries appended.", prometheus.ExponentialBuckets(64, 4, 9)),
		entryEvents:   histogram("gnomon_metalog_entry_events", "Events of an entry: how many shared an append.", prometheus.ExponentialBuckets(1, 2, 12)),
		applied:       gauge("gnomon_metalog_applied_seq", "Seq of the last entry applied."),
		archived:      gauge("gnomon_metalog_archived_seq", "Seq of the last entry archived in the bucket."),
		snapshotSeq:   gauge("gnomon_metalog_snapshot_seq", "Seq of the newest snapshot, as the leader knows it."),
		snapshotBytes: gauge("gnomon_metalog_snapshot_bytes", "Size of the last snapshot that this coordinator wrote."),
		leading:       gauge("gnomon_coordinator_leading", "1 while this coordinator leads."),
		forgotten:     counter("gnomon_producers_forgotten_total", "Idempotent producers that were forgotten because there were more than max-producers."),
	}
	if reg != nil {
		reg.MustRegister(m.append, m.appendErrors, m.entryBytes, m.entryEvents, m.applied, m.archived, m.snapshotSeq, m.snapshotBytes, m.leading, m.forgotten)
	}
	return m
}
