package shadow

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// told are the gauges of a registry that concern the link, by name and state.
func told(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, x := range f.Metric {
			name := f.GetName()
			for _, l := range x.Label {
				if l.GetName() == "state" {
					name += " " + l.GetValue()
				}
			}
			out[name] = x.GetGauge().GetValue() + x.GetCounter().GetValue()
		}
	}
	return out
}

// The lag of a link whose copies fail is told in entries, offsets, bytes and seconds, and its state; when it goes on, the lag is gone.
func TestLagIsTold(t *testing.T) {
	reg := prometheus.NewRegistry()
	a, b := newRegion(t, 1), newRegion(t, 2)
	b.shadow(a, "*")
	l := followWith(t, a, b, NewMetrics(reg))
	l.atSource(func(a *region) { a.topic("x"); a.produce(to{"x", 0, 3, 'v'}) })
	l.caughtUp()
	await := func(what string, want map[string]float64) {
		t.Helper()
		var got map[string]float64
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
			wrong := ""
			got = told(t, reg)
			for name, v := range want {
				if have, found := got[name]; !found || have != v {
					wrong = name
				}
			}
			if wrong == "" {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %s is %v, want %v", what, wrong, got[wrong], want[wrong])
			}
		}
	}
	await("at rest", map[string]float64{
		"gnomon_shadow_lag_offsets": 0, "gnomon_shadow_lag_events": 0, "gnomon_shadow_lag_bytes": 0, "gnomon_shadow_lag_seconds": 0,
		"gnomon_shadow_link_state ACTIVE": 1, "gnomon_shadow_link_state UNREACHABLE": 0, "gnomon_shadow_faulted_topics": 0, "gnomon_shadow_copied_objects_total": 1,
	})

	down := &fallen{Store: a.bucket}
	l.w.setBucket(down)
	l.Restart()
	down.set(true)
	l.atSource(func(a *region) { a.produce(to{"x", 0, 3, 'v'}, to{"x", 1, 2, 'w'}); a.produce(to{"x", 0, 4, 'v'}) })
	await("behind", map[string]float64{"gnomon_shadow_lag_offsets": 9, "gnomon_shadow_lag_events": 2})
	if got := told(t, reg); got["gnomon_shadow_lag_bytes"] == 0 || got["gnomon_shadow_lag_seconds"] == 0 || got["gnomon_shadow_copy_errors_total"] == 0 {
		t.Errorf("%v", got)
	}
	down.set(false)
	await("again", map[string]float64{"gnomon_shadow_lag_offsets": 0, "gnomon_shadow_lag_events": 0, "gnomon_shadow_copied_objects_total": 3})

	l.until("is there", func(x *state.Link) bool { return x != nil })
	l.w.set("coordinator", true)
	await("unreachable", map[string]float64{"gnomon_shadow_link_state ACTIVE": 0, "gnomon_shadow_link_state UNREACHABLE": 1})
}
