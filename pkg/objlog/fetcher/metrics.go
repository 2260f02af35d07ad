package fetcher

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	hits   prometheus.Counter
	misses prometheus.Counter
	ahead  prometheus.Counter
	read   prometheus.Counter // bytes
	// written is a part of hits.
	written prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, c *cache, logger *slog.Logger) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "gnomon", Subsystem: "fetcher", Name: name, Help: help})
	}
	m := &metrics{
		hits:   counter("cache_hits_total", "Spans read from the cache."),
		misses: counter("cache_misses_total", "Spans read from the bucket."),
		ahead:  counter("ahead_total", "Spans read from the bucket ahead of their readers; misses count them too."),
		read:   counter("read_bytes_total", "Bytes read from the bucket."),

		written: counter("written_total", "Spans read as this agent has just written them, without the bucket; hits count them too."),
	}
	if reg == nil {
		return m
	}
	held := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "gnomon", Subsystem: "fetcher", Name: "cache_bytes", Help: "Bytes that the cache holds.",
	}, func() float64 { return float64(c.size()) })
	for _, x := range []prometheus.Collector{m.hits, m.misses, m.ahead, m.read, m.written, held} {
		if err := reg.Register(x); err != nil {
			logger.Warn("metric of the fetcher is not registered", "error", err)
		}
	}
	return m
}

// Held is how many bytes the cache holds now, and at most; no cache at all holds 0.
func (f *Fetcher) Held() (now, most int64) { return f.cache.size(), max(f.cache.max, 0) }
