package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/gnomon-stream/gnomon/internal/process"
)

const (
	recordBytes = 1 << 10
	mb          = 1e6
	gib         = 1 << 30
	bytesMax    = 2 << 30 // of a measurement
	settle      = 30 * time.Second
	stopTimeout = 20 * time.Second
)

// bench is one run.
type bench struct {
	o      options
	dir    string
	report *report
	limits limits

	region    *region // for what needs no shadow
	discarder *process.Process
	processes []*process.Process
}

// measurement enters its figures into the report.
type measurement struct {
	name    string
	measure func(*bench, context.Context) error
}

func measurements() []measurement {
	all := []measurement{
		{"limit/put", (*bench).reportPuts},
		{"limit/etcd", (*bench).reportEtcd},
	}
	for _, s := range shapes {
		all = append(all, measurement{"produce/" + s.String(), func(b *bench, ctx context.Context) error { return b.produce(ctx, s) }})
	}
	for _, rate := range []int{200, 5000} {
		all = append(all, measurement{fmt.Sprintf("latency/%d", rate), func(b *bench, ctx context.Context) error { return b.latency(ctx, rate) }})
	}
	all = append(all, measurement{"shadow/lag", (*bench).shadowLag}, measurement{"consume", (*bench).consume})
	for _, n := range []int{1_000, 10_000} {
		all = append(all, measurement{fmt.Sprintf("partitions/%d", n), func(b *bench, ctx context.Context) error { return b.partitions(ctx, n) }})
	}
	return append(all,
		measurement{"group/1000", func(b *bench, ctx context.Context) error { return b.group(ctx, 1_000) }},
		measurement{"connections/5000", func(b *bench, ctx context.Context) error { return b.connections(ctx, 5_000) }},
		measurement{"sequencer", func(b *bench, ctx context.Context) error { return b.extents(ctx, 10_000) }},
	)
}

// run measures. What was measured before an error is in the report.
func run(ctx context.Context, o options) (r *report, err error) {
	dir, err := os.MkdirTemp(o.dir, "gnomon-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{o: o, dir: dir, report: &report{Started: time.Now().UTC(), Cores: runtime.GOMAXPROCS(0), Seconds: o.seconds.Seconds()}}
	defer func() { err = errors.Join(err, b.close()) }()
	for _, m := range measurements() {
		if !o.only.MatchString(m.name) {
			continue
		}
		fmt.Fprintf(o.log, "%s\n", m.name)
		if err := m.measure(b, ctx); err != nil {
			return b.report, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	b.report.compare()
	return b.report, nil
}

// close ends all processes and removes all data.
func (b *bench) close() error {
	var errs []error
	for _, p := range b.processes {
		select {
		case <-p.Ended():
			continue
		default:
		}
		errs = append(errs, p.Stop(stopTimeout))
	}
	errs = append(errs, b.limits.close(), os.RemoveAll(b.dir))
	return errors.Join(errs...)
}

// warm is the length of a warm-up.
func (b *bench) warm() time.Duration { return min(b.o.seconds/2, 1500*time.Millisecond) }

// scaled is a size of a load, or its share in a short run.
func (b *bench) scaled(n int) int { return max(int(float64(n)*b.o.scale), 10) }

// bounded gives a measurement an end, whatever happens.
func (b *bench) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, b.warm()+b.o.seconds+settle)
}

// start runs this program again in a role, until the end of the bench.
func (b *bench) start(name, role string, args ...string) (*process.Process, error) {
	p, err := process.Start(name, []string{roleVariable + "=" + role}, args...)
	if err != nil {
		return nil, err
	}
	b.processes = append(b.processes, p)
	return p, p.WaitReady(settle)
}
