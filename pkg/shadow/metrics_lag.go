package shadow

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// lagCollector gives the lag of the links that run here, as it is when it is asked: it grows while the source is silent.
type lagCollector struct {
	mu      sync.Mutex
	runners map[*Runner]bool
}

var (
	lagEvents  = prometheus.NewDesc("gnomon_shadow_lag_events", "Entries of the source's log that were heard of and are not in the image.", []string{"link"}, nil)
	lagBytes   = prometheus.NewDesc("gnomon_shadow_lag_bytes", "Bytes that these entries name, and their own.", []string{"link"}, nil)
	lagSeconds = prometheus.NewDesc("gnomon_shadow_lag_seconds", "Age of the oldest of them; of the last one applied, while the source is out of reach.", []string{"link"}, nil)
)

// Describe implements prometheus.Collector.
func (c *lagCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{lagEvents, lagBytes, lagSeconds} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. A link whose source was never heard of has no lag to tell.
func (c *lagCollector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for r := range c.runners {
		l, ok := r.lag()
		if !ok {
			continue
		}
		for d, v := range map[*prometheus.Desc]float64{lagEvents: l.events, lagBytes: l.bytes, lagSeconds: l.seconds} {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, r.cfg.Link)
		}
	}
}

// watch has the runner's lag told until the function that it returns is called.
func (m *Metrics) watch(r *Runner) (leave func()) {
	if m == nil {
		return func() {}
	}
	set := func(on bool) {
		m.lag.mu.Lock()
		defer m.lag.mu.Unlock()
		if m.lag.runners == nil {
			m.lag.runners = map[*Runner]bool{}
		}
		if delete(m.lag.runners, r); on {
			m.lag.runners[r] = true
		}
	}
	set(true)
	return func() { set(false) }
}

type lag struct{ events, bytes, seconds float64 }

// lag tells how far the image is behind the source; false when that was never known, or is over.
func (r *Runner) lag() (l lag, ok bool) {
	seen, now := r.look(), r.cfg.Now()
	r.cfg.Metalog.With(func(st *state.State) {
		link := st.Link(r.cfg.Link)
		if link == nil || !link.Active() || seen.contact.IsZero() {
			return
		}
		info := link.Info()
		l = lag{bytes: float64(seen.queued), seconds: secondsBehind(info, seen, linkState(info, seen, now), now)}
		if seen.headSeq > info.Position.Seq {
			l.events = float64(seen.headSeq - info.Position.Seq)
		}
		ok = true
	})
	return l, ok
}
