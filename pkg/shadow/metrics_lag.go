package shadow

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gnomon-stream/gnomon/internal/base"
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
	lagOffsets = prometheus.NewDesc("gnomon_shadow_lag_offsets", "Offsets, over all partitions, that were heard of from the source and are not in the image.", []string{"link"}, nil)
	linkStates = prometheus.NewDesc("gnomon_shadow_link_state", "1 for the state that the link is in.", []string{"link", "state"}, nil)
	linkFaults = prometheus.NewDesc("gnomon_shadow_faulted_topics", "Topics of the link that are not copied any more.", []string{"link"}, nil)
	lagSeconds = prometheus.NewDesc("gnomon_shadow_lag_seconds", "Age of the oldest of them; of the last one applied, while the source is out of reach.", []string{"link"}, nil)
)

// Describe implements prometheus.Collector.
func (c *lagCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{lagEvents, lagBytes, lagOffsets, lagSeconds, linkStates, linkFaults} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. A link whose source was never heard of has a state, and no lag to tell.
func (c *lagCollector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for r := range c.runners {
		gauge := func(d *prometheus.Desc, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{r.cfg.Link}, labels...)...)
		}
		l, is := r.lag()
		if is == "" {
			continue // deleted, or over
		}
		for _, s := range []string{Active, Paused, Unreachable, Faulted} {
			v := 0.0
			if s == is {
				v = 1
			}
			gauge(linkStates, v, s)
		}
		gauge(linkFaults, l.faults)
		if l.known {
			gauge(lagEvents, l.events)
			gauge(lagBytes, l.bytes)
			gauge(lagOffsets, l.offsets)
			gauge(lagSeconds, l.seconds)
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

// lag is how far an image is behind its source; known is false while the source was never heard of.
type lag struct {
	known                                   bool
	events, bytes, offsets, seconds, faults float64
}

// lag tells how far the image is behind, and the link's state; none when the link is deleted, or has failed over.
func (r *Runner) lag() (l lag, is string) {
	seen, now := r.look(), r.cfg.Now()
	var image *state.State
	r.cfg.Metalog.With(func(st *state.State) {
		link := st.Link(r.cfg.Link)
		if link == nil || !link.Active() {
			return
		}
		info := link.Info()
		is = linkState(info, seen, now)
		l = lag{known: !seen.contact.IsZero(), bytes: float64(seen.queued), seconds: secondsBehind(info, seen, is, now)}
		if seen.headSeq > info.Position.Seq {
			l.events = float64(seen.headSeq - info.Position.Seq)
		}
		image = link.Image()
		for tp, end := range seen.queuedEnds {
			have := base.Offset(0)
			if p := image.Partition(tp); p != nil {
				have = p.End
			}
			l.offsets += float64(max(0, end-have))
		}
	})
	if image == nil {
		return l, ""
	}
	for _, t := range image.Topics() { // they may be many: nothing waits for this
		if t.Info().Fault != "" {
			l.faults++
		}
	}
	return l, is
}
