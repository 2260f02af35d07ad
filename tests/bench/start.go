package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gnomon-stream/gnomon/internal/process"
)

// started is a region that was started from a made state.
type started struct {
	storedState
	coordinator, agent role
}

// role is what one process took.
type role struct {
	ready      time.Duration // from its start
	heap, peak float64       // bytes: live objects, after the garbage was collected; resident at most, so far
}

// startMade starts one coordinator, and then one agent, on a state.
func (p *place) startMade(ctx context.Context, name string, x made) (started, error) {
	var out started
	c, err := p.startCluster(clusterConfig{
		name: name, agents: 1, bare: true, coordinator: []string{"--max-partitions", "1000000"}, agent: []string{"--memory-bytes", fmt.Sprint(8 << 30)},
	})
	if err != nil {
		return out, err
	}
	defer c.stop()
	if out.storedState, err = x.store(ctx, c); err != nil {
		return out, err
	}
	took := func(start func() error) (time.Duration, error) {
		began := time.Now()
		err := start()
		return time.Since(began), err
	}
	if out.coordinator.ready, err = took(c.startCoordinator); err != nil {
		return out, err
	}
	if out.agent.ready, err = took(c.startAgents); err != nil {
		return out, err
	}
	if err := out.coordinator.memory(ctx, c.coordinator, c.url); err != nil {
		return out, err
	}
	return out, out.agent.memory(ctx, c.agents[0], c.admin[0])
}

func (r *role) memory(ctx context.Context, p *process.Process, url string) error {
	used, err := costOf(p)
	if err != nil {
		return err
	}
	r.peak = float64(used.peak)
	if _, err := get(ctx, url+"/debug/pprof/heap?gc=1"); err != nil { // the profile itself is of no interest
		return err
	}
	return metrics(ctx, url, map[string]*float64{"go_memstats_heap_alloc_bytes": &r.heap})
}

// startPartitions measures the start of a region with many partitions, and their memory.
func (p *place) startPartitions(ctx context.Context, n int) error {
	n = p.b.scaled(n)
	small := made{partitions: max(n/100, 1)}
	return p.starts(ctx, counted(n, "partition"), small, made{partitions: n}, "partition", n-small.partitions, aimPartition)
}

// startSpans is startPartitions with many spans in 10,000 partitions.
func (p *place) startSpans(ctx context.Context, n int) error {
	n = p.b.scaled(n)
	partitions := p.b.scaled(10_000)
	small := made{partitions: partitions, spans: n / 100}
	return p.starts(ctx, counted(n, "span"), small, made{partitions: partitions, spans: n}, "span", n-small.spans, aimSpan)
}

// starts measures a small state and a large one; the difference is what each of the many takes, for which there is a budget.
func (p *place) starts(ctx context.Context, name string, small, large made, one string, more int, budget target) error {
	ctx, cancel := context.WithTimeout(ctx, 4*startTimeout)
	defer cancel()
	few, err := p.startMade(ctx, "small-"+one, small)
	if err != nil {
		return err
	}
	many, err := p.startMade(ctx, "large-"+one, large)
	if err != nil {
		return err
	}
	add := func(name string, value float64, unit string, limits ...limit) *figure {
		return p.b.report.add("Start-up", name, value, unit, limits...)
	}
	load := limit{Name: "read, prove and unpack the snapshot", Value: many.load.Seconds()}
	add(name+", coordinator ready after", many.coordinator.ready.Seconds(), "s", load)
	add(name+", agent ready after", many.agent.ready.Seconds(), "s", load)
	each := func(many, few float64) float64 { return max(many-few, 0) / float64(more) }
	add("memory a "+one+", coordinator", each(many.coordinator.heap, few.coordinator.heap), "B").aim(budget)
	add("memory a "+one+", agent", each(many.agent.heap, few.agent.heap), "B").aim(budget)
	add("snapshot a "+one, each(float64(many.bytes), float64(few.bytes)), "B")
	add(name+", resident at most, coordinator", many.coordinator.peak/mb, "MB")
	add(name+", resident at most, agent", many.agent.peak/mb, "MB")
	return nil
}
