package metered_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/metered"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/storetest"
)

// O1.
func TestAcceptance(t *testing.T) {
	storetest.Run(t, func(*testing.T) objstore.Store {
		return metered.NewMetrics(prometheus.NewRegistry(), metered.Prices{}, time.Now).Wrap(memory.New(), metered.Own)
	})
}

// Every way in which a call may end is told, and billed as its class.
func TestOutcomesAndCost(t *testing.T) {
	ctx, reg := context.Background(), prometheus.NewRegistry()
	breaks := map[string]error{"down": fault.ErrInjected, "odd": fmt.Errorf("access denied")}
	inner := fault.New(memory.New(), fault.Options{Hook: func(op objstore.Op, key string, phase fault.Phase) error {
		if key == "lost" && op == objstore.OpPut && phase == fault.After {
			return fault.ErrInjected
		}
		if phase == fault.Before {
			return breaks[key]
		}
		return nil
	}})
	prices := metered.Prices{Name: "test", Put: 5, List: 7, Get: 0.5, Read: 1, CrossRegion: 1 << 10}
	m := metered.NewMetrics(reg, prices, time.Now)
	s, source := m.Wrap(inner, metered.Own), m.Wrap(inner, metered.Source)

	_ = s.Put(ctx, "a", objstore.Payload{make([]byte, 1<<19), make([]byte, 1<<19)})
	_ = s.Put(ctx, "a", objstore.Payload{{1}})
	_ = s.Put(ctx, "lost", objstore.Payload{{1}})
	_ = s.Put(ctx, "down", objstore.Payload{{1}})
	_, _ = s.Get(ctx, "none", 10)
	_, _ = s.Get(ctx, "odd", 10)
	_ = s.GetRange(ctx, "a", 0, make([]byte, 1000))
	_, _ = s.Head(ctx, "a")
	_, _ = s.List(ctx, "", "", 10)
	_ = s.Delete(ctx, "a2", "b2")
	_, _ = source.Get(ctx, "a", 1<<20)
	ended, end := context.WithCancel(ctx)
	end()
	_, _ = source.Get(ended, "a", 1<<20)

	got := series(t, reg)
	for name, want := range map[string]float64{
		"bytes_total own received": 1000, "bytes_total own sent": 1 << 20, "bytes_total source received": 1 << 20, "bytes_total source sent": 0,
		"cost_dollars_total own get": 0.002, "cost_dollars_total own list": 0.007, "cost_dollars_total own put": 0.015,
		"cost_dollars_total own transfer": 1000.0 / (1 << 30), "cost_dollars_total source get": 0.001, "cost_dollars_total source list": 0,
		"cost_dollars_total source put": 0, "cost_dollars_total source transfer": 1,
	} {
		if have, found := got[name]; !found || math.Abs(have-want) > 1e-12 {
			t.Errorf("%s is %v, want %v", name, have, want)
		}
	}
	calls := 0.0
	for name, n := range got {
		if strings.HasPrefix(name, "requests_total ") {
			calls += n
		}
	}
	for _, call := range []string{
		"own put ok", "own put exists", "own put ambiguous", "own put unavailable", "own get not_found", "own get error", "own get_range ok", "own head ok",
		"own list ok", "own delete ok", "source get ok", "source get canceled",
	} {
		if n := got["requests_total "+call]; n != 1 {
			t.Errorf("%s: %v", call, n)
		}
		calls--
	}
	if calls != 0 {
		t.Errorf("%v further calls", calls)
	}
}

// series are the counters of a registry, by name and values of their labels.
func series(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, x := range f.Metric {
			name := strings.TrimPrefix(f.GetName(), "gnomon_store_")
			for _, l := range x.Label {
				name += " " + l.GetValue()
			}
			out[name] = x.GetCounter().GetValue()
		}
	}
	return out
}

// A list is a request for each 1,000 keys.
func TestListPages(t *testing.T) {
	ctx, reg := context.Background(), prometheus.NewRegistry()
	inner := memory.New()
	for i := range 2001 {
		if err := inner.Put(ctx, fmt.Sprintf("k/%05d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	s := metered.NewMetrics(reg, metered.Prices{List: 1000}, time.Now).Wrap(inner, metered.Own)
	for _, limit := range []int{1, 1000, 1001, 3000} { // 1, 1, 2 and 3 requests
		if _, err := s.List(ctx, "k/", "", limit); err != nil {
			t.Fatal(err)
		}
	}
	if got := series(t, reg)["cost_dollars_total own list"]; got != 7 {
		t.Errorf("%v requests", got)
	}
}

// still is a store that does nothing.
type still struct{ objstore.Store }

func (still) Put(context.Context, string, objstore.Payload) error       { return nil }
func (still) GetRange(context.Context, string, int64, []byte) error     { return nil }
func (still) Head(context.Context, string) (i objstore.Info, err error) { return i, objstore.ErrExists }

// O3.
func TestAllocatesNothing(t *testing.T) {
	ctx := context.Background()
	var s objstore.Store = metered.NewMetrics(prometheus.NewRegistry(), metered.Tables()[1], time.Now).Wrap(still{}, metered.Own)
	payload, dst := objstore.Payload{{1}}, make([]byte, 10)
	if n := testing.AllocsPerRun(1000, func() {
		_ = s.Put(ctx, "a", payload)
		_ = s.GetRange(ctx, "a", 0, dst)
		_, _ = s.Head(ctx, "a")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
