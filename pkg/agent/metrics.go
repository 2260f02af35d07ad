package agent

import (
	"github.com/prometheus/client_golang/prometheus"
)

// memory tells what the bounded parts of an agent hold, when it is asked.
type memory struct{ a *Agent }

var (
	memoryUsed  = prometheus.NewDesc("gnomon_memory_used_bytes", "Bytes that a bounded part of the agent holds.", []string{"part"}, nil)
	memoryLimit = prometheus.NewDesc("gnomon_memory_limit_bytes", "Bytes that a bounded part of the agent may hold.", []string{"part"}, nil)
	connLimit   = prometheus.NewDesc("gnomon_kafka_connections_limit", "Connections that may be open.", nil, nil)
)

// Describe implements prometheus.Collector.
func (m memory) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{memoryUsed, memoryLimit, connLimit} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m memory) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	tell := func(part string, now, most int64) {
		gauge(memoryUsed, now, part)
		gauge(memoryLimit, most, part)
	}
	u := m.a.server.Usage()
	tell("requests", u.RequestBytes, u.RequestBytesMax)
	objects, objectsMax := m.a.appender.Held()
	tell("objects", objects, objectsMax)
	cache, cacheMax := m.a.fetcher.Held()
	tell("cache", cache, cacheMax)
	gauge(connLimit, int64(u.ConnectionsMax))
}
