package main

import (
	"context"
	"fmt"
)

// measurement enters its figures into the report.
type measurement struct {
	name  string
	store string // where it is made
	// long: it takes minutes, or needs what not every machine has, and is made only if -only is given.
	long    bool
	measure func(*place, context.Context) error
}

// wants tells whether a measurement was asked for.
func (o options) wants(m measurement) bool {
	return o.only.MatchString(m.name) && (!m.long || o.onlyGiven)
}

func measurements(stores []string) []measurement {
	var all []measurement
	for _, kind := range stores {
		all = append(all, onStore(kind)...)
	}
	return append(append(append(all, failovers()...), sizes()...), sideBySide()...)
}

// onStore is what is made on each kind of store.
func onStore(kind string) []measurement {
	var all []measurement
	add := func(name string, measure func(*place, context.Context) error) {
		all = append(all, measurement{name: kind + "/" + name, store: kind, measure: measure})
	}
	add("limit/put", (*place).reportPuts)
	add("limit/etcd", (*place).reportEtcd)
	for _, s := range shapes {
		add("produce/"+s.String(), func(p *place, ctx context.Context) error { return p.produce(ctx, s) })
	}
	for _, rate := range []int{200, 5000} {
		add(fmt.Sprintf("latency/%d", rate), func(p *place, ctx context.Context) error { return p.latency(ctx, rate) })
	}
	add("consume", (*place).consume)
	add("link", (*place).link)
	return all
}

func failovers() []measurement {
	var all []measurement
	for _, n := range []int{1, 1_000, 10_000} {
		all = append(all, measurement{
			name: fmt.Sprintf("failover/%d", n), store: storeDirectory, long: n > 1_000,
			measure: func(p *place, ctx context.Context) error { return p.failover(ctx, n) },
		})
	}
	return all
}

// sizes is what is made with many of something.
func sizes() []measurement {
	add := func(name string, long bool, measure func(*place, context.Context) error) measurement {
		return measurement{name: name, store: storeDirectory, long: long, measure: measure}
	}
	var all []measurement
	for _, n := range []int{1_000, 10_000} {
		all = append(all, add(fmt.Sprintf("partitions/%d", n), false, func(p *place, ctx context.Context) error { return p.partitions(ctx, n) }))
	}
	return append(all,
		add("group/1000", false, func(p *place, ctx context.Context) error { return p.group(ctx, 1_000) }),
		add("connections/5000", false, func(p *place, ctx context.Context) error { return p.connections(ctx, 5_000) }),
		add("sequencer", false, func(p *place, ctx context.Context) error { return p.b.extents(ctx, 10_000) }),
		add("start/partitions", false, func(p *place, ctx context.Context) error { return p.startPartitions(ctx, 100_000) }),
		add("start/spans", true, func(p *place, ctx context.Context) error { return p.startSpans(ctx, 10_000_000) }),
	)
}

func sideBySide() []measurement {
	add := func(name string, measure func(*place, context.Context) error) measurement {
		return measurement{name: "kafka/" + name, store: storeDirectory, long: true, measure: measure}
	}
	return []measurement{
		add("load", (*place).besideKafka),
		add("mirror", (*place).besideMirror),
		add("failover", (*place).besideFailover),
	}
}
