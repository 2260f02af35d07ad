package coordinator

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
)

// gathered are a registry's metrics: "name label value …" and the value of a counter or gauge, the count of a histogram.
func gathered(t *testing.T, reg *prometheus.Registry) map[string]float64 {
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
				name += " " + l.GetValue()
			}
			out[name] = x.GetCounter().GetValue() + x.GetGauge().GetValue() + float64(x.GetHistogram().GetSampleCount())
		}
	}
	return out
}

func committedOffset(group, topic string, offset int64) *metalogpb.Event {
	id := topicOf(topic)
	return &metalogpb.Event{Kind: &metalogpb.Event_OffsetsCommitted{OffsetsCommitted: &metalogpb.OffsetsCommitted{
		Group: group, Offsets: []*metalogpb.CommittedOffset{{TopicId: id[:], Offset: offset}},
	}}}
}

// What the leader tells of the cluster; what a standby leaves to it.
func TestStateMetrics(t *testing.T) {
	c := newCluster(t)
	leaders, standbys := prometheus.NewRegistry(), prometheus.NewRegistry()
	m := c.start("one", func(cfg *Config) {
		cfg.Registerer, cfg.Limits = leaders, Limits{Topics: 4, Partitions: 8, OffsetBytes: 10 * offsetBytes}
	})
	m.until("leads", func() bool { return m.Leading() && m.Replica().Applied() > 0 })
	s := c.start("two", func(cfg *Config) { cfg.Registerer = standbys })
	for _, topic := range []string{"x", "y"} {
		if err := m.emit(created(topic)); err != nil {
			t.Fatal(err)
		}
	}
	session, err := m.OpenSession(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.commit(request(session, 1, "x")); err != nil {
		t.Fatal(err)
	}
	for _, ev := range []*metalogpb.Event{committedOffset("g", "x", 1), committedOffset("g", "y", 0)} {
		if err := m.emit(ev); err != nil {
			t.Fatal(err)
		}
	}
	if m.endOf("x") != 3 {
		t.Fatal("three records are not there")
	}
	s.until("follows", func() bool { return s.Replica().Applied() == m.Replica().Applied() })

	got := gathered(t, leaders)
	for name, want := range map[string]float64{
		"gnomon_region_role primary": 1, "gnomon_region_role shadow": 0, "gnomon_region_role fenced": 0, "gnomon_region_epoch": float64(m.Replica().State().Region().Epoch),
		"gnomon_topics": 2, "gnomon_partitions": 2, "gnomon_consumer_groups": 1,
		"gnomon_limit_used_ratio max-topics": 0.5, "gnomon_limit_used_ratio max-partitions": 0.25, "gnomon_limit_used_ratio max-offset-bytes": 0.2,
		"gnomon_group_lag_offsets g x": 2, "gnomon_group_lag_offsets g y": 0, "gnomon_group_lag_left_out": 0,
		"gnomon_metalog_archive_age_seconds": 0, "gnomon_metalog_append_errors_total": 0, "gnomon_coordinator_leading": 1,
	} {
		if have, found := got[name]; !found || have != want {
			t.Errorf("%s is %v, want %v", name, have, want)
		}
	}
	if n := got["gnomon_metalog_entry_events"]; n == 0 || n != got["gnomon_metalog_entry_bytes"] {
		t.Errorf("events of %v entries, bytes of %v", n, got["gnomon_metalog_entry_bytes"])
	}
	for name := range gathered(t, standbys) {
		if strings.HasPrefix(name, "gnomon_topics") || strings.HasPrefix(name, "gnomon_group") || strings.Contains(name, "archive_age") {
			t.Errorf("a standby tells %s, too", name)
		}
	}
	if gathered(t, standbys)["gnomon_region_role primary"] != 1 {
		t.Error("a standby does not tell the role")
	}
}

// The archive's age grows while the bucket takes nothing, and an append that fails counts.
func TestFailuresAreTold(t *testing.T) {
	c, reg := newCluster(t), prometheus.NewRegistry()
	var down atomic.Bool
	store := fault.New(c.bucket, fault.Options{Hook: func(op objstore.Op, _ string, _ fault.Phase) error {
		if op == objstore.OpPut && down.Load() {
			return fault.ErrInjected
		}
		return nil
	}})
	m := c.start("one", func(cfg *Config) { cfg.Registerer, cfg.Objects = reg, objstore.AsObjects(store) })
	m.until("leads", func() bool { return m.Leading() && m.Replica().Applied() > 0 })
	m.until("archives", func() bool { return gathered(t, reg)["gnomon_metalog_archived_seq"] > 0 })
	down.Store(true)
	if err := m.emit(created("w")); err != nil { // which is not archived
		t.Fatal(err)
	}
	c.clock.advance(time.Minute)
	if age := gathered(t, reg)["gnomon_metalog_archive_age_seconds"]; age != 60 {
		t.Errorf("age %v", age)
	}
	down.Store(false)
	m.until("archives again", func() bool { return gathered(t, reg)["gnomon_metalog_archive_age_seconds"] == 0 })

	c.faults.once("append", memory.Before)
	_ = m.emit(created("x"))
	m.until("counts the append", func() bool { return gathered(t, reg)["gnomon_metalog_append_errors_total"] == 1 })
}

// More pairs than are told: those that lag least are left out.
func TestGroupLagIsBounded(t *testing.T) {
	c := newCluster(t)
	m := c.lead("one")
	if err := m.emit(created("x")); err != nil {
		t.Fatal(err)
	}
	session, err := m.OpenSession(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(2) { // six records
		if _, err := m.commit(request(session, n+1, "x")); err != nil {
			t.Fatal(err)
		}
	}
	const more = 2*lagSeriesMax + 100
	if err := m.Do(t.Context(), func(tx *Tx) error {
		for i := range more + lagSeriesMax {
			offset := int64(6)
			if i >= more {
				offset = 1 // lags by five
			}
			if err := tx.Emit(committedOffset(fmt.Sprintf("g%05d", i), "x", offset)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if m.endOf("x") != 6 {
		t.Fatal("six records are not there")
	}
	var g groupLag
	lags, leftOut := g.get(m.Coordinator)
	if len(lags) != lagSeriesMax || leftOut != more {
		t.Fatalf("%d told, %d left out", len(lags), leftOut)
	}
	for i, l := range lags {
		if want := (lagOf{fmt.Sprintf("g%05d", more+i), "x", 5}); l != want {
			t.Fatalf("%+v, want %+v", l, want)
		}
	}
}
