package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
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

	place     *place // where measurements are made now
	etcd      *etcdPutter
	quiet     *process.Process // the broker that discards, and does nothing else
	processes []*process.Process
	javas     []java
	killed    map[*process.Process]bool
	ports     map[string]bool // given so far
}

func newBench(o options, dir string) *bench {
	return &bench{o: o, dir: dir, report: newReport(o), killed: map[*process.Process]bool{}, ports: map[string]bool{}}
}

// errLeftOut says that something that this machine does not have is needed.
var errLeftOut = errors.New("left out")

// run measures. What was measured before an error is in the report.
func run(ctx context.Context, o options) (r *report, err error) {
	dir, err := os.MkdirTemp(o.dir, "gnomon-bench-")
	if err != nil {
		return nil, err
	}
	b := newBench(o, dir)
	defer func() {
		b.report.Busy[1] = loadAverage()
		err = errors.Join(err, b.close())
	}()
	var missing []string // stores that cannot be had
	for _, m := range measurements(o.stores) {
		if !o.wants(m) || slices.Contains(missing, m.store) {
			continue
		}
		fmt.Fprintf(o.log, "%s %s\n", time.Now().Format(time.TimeOnly), m.name)
		err := b.measure(ctx, m)
		if errors.Is(err, errLeftOut) {
			b.report.LeftOut = append(b.report.LeftOut, fmt.Sprintf("%s (%s)", m.name, err))
			if b.place == nil {
				missing = append(missing, m.store)
			}
			continue
		}
		if err != nil {
			return b.report, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return b.report, nil
}

func (b *bench) measure(ctx context.Context, m measurement) error {
	p, err := b.at(ctx, m.store)
	if err != nil {
		return err
	}
	syscall.Sync() // what was written before is not written out during this
	return m.measure(p, ctx)
}

// close ends all processes and removes all data.
func (b *bench) close() error {
	for _, j := range b.javas {
		j.kill()
	}
	errs := []error{b.leave()}
	for _, p := range b.processes {
		select {
		case <-p.Ended():
			if !b.killed[p] {
				errs = append(errs, p.Err())
			}
			continue
		default:
		}
		errs = append(errs, p.Stop(stopTimeout))
	}
	if b.etcd != nil {
		errs = append(errs, b.etcd.close())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}

// warm is the length of a warm-up.
func (b *bench) warm() time.Duration { return min(b.o.seconds/2, 1500*time.Millisecond) }

// scaled is a size of a load, or its share in a short run.
func (b *bench) scaled(n int) int { return max(int(float64(n)*b.o.scale), min(n, 10)) }

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
	return p, p.WaitReady(startTimeout)
}

// startTimeout: a region with ten million spans takes its time.
const startTimeout = 5 * time.Minute

// forget leaves a process that was killed out of what is to end cleanly.
func (b *bench) forget(p *process.Process) { b.killed[p] = true }
