package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// noise is what records hold: bytes that nothing can compress.
var noise = sync.OnceValue(func() []byte {
	b := make([]byte, recordBytes)
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], rand.Uint64())
	}
	return b
})

// producer is a client with its defaults (idempotent, acks=all, five requests in flight to a broker), except for
// compression: bytes are what is measured.
func producer(brokers []string, topic string, more ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.NoCompression()),
	}, more...)...)
}

// flood is as much load as some producers can make.
type flood struct {
	system    system
	topic     string
	producers int
	warm      time.Duration
	length    time.Duration
}

// flow is what came of a flood.
type flow struct {
	mbps          float64
	selfCPUPerGiB float64   // of the generator
	cpuPerGiB     []float64 // of the system's programs, by group
}

// run sends records for the warm-up and the length, and counts what was acked within the length.
func (f flood) run(ctx context.Context) (flow, error) {
	var acked atomic.Int64
	var out flow
	over, end := context.WithCancel(ctx)
	defer end()
	g, gctx := errgroup.WithContext(ctx)
	for range f.producers {
		g.Go(func() error { return f.produce(gctx, over, &acked) })
	}
	g.Go(func() error {
		defer end()
		var err error
		out, err = f.watch(gctx, &acked)
		return err
	})
	return out, g.Wait()
}

// produce sends until over ends, and then waits for the acks.
func (f flood) produce(ctx, over context.Context, acked *atomic.Int64) error {
	cl, err := producer(f.system.kafka, f.topic)
	if err != nil {
		return err
	}
	defer cl.Close()
	var failed atomic.Pointer[error]
	free := sync.Pool{New: func() any { return &kgo.Record{} }}
	done := func(r *kgo.Record, err error) {
		if err != nil {
			failed.CompareAndSwap(nil, &err)
			return
		}
		acked.Add(recordBytes)
		free.Put(r)
	}
	for over.Err() == nil && ctx.Err() == nil && failed.Load() == nil {
		r := free.Get().(*kgo.Record)
		*r = kgo.Record{Value: noise()}
		cl.Produce(ctx, r, done)
	}
	if err := failed.Load(); err != nil {
		return fmt.Errorf("produce: %w", *err)
	}
	return cl.Flush(ctx)
}

// reading is one look at the counters.
type reading struct {
	at    time.Time
	acked int64
	self  float64
	cpu   []float64
}

func (f flood) read(acked *atomic.Int64) (reading, error) {
	var r reading
	var err error
	if r.cpu, err = cpuOf(f.system.programs); err != nil {
		return r, err
	}
	if r.self, err = selfCPU(); err != nil {
		return r, err
	}
	r.at, r.acked = time.Now(), acked.Load()
	return r, nil
}

func (f flood) watch(ctx context.Context, acked *atomic.Int64) (flow, error) {
	if err := wait(ctx, f.warm); err != nil {
		return flow{}, err
	}
	from, err := f.read(acked)
	if err != nil {
		return flow{}, err
	}
	for d := acked.Load() - from.acked; d == 0 || d < bytesMax && time.Since(from.at) < f.length; d = acked.Load() - from.acked {
		if err := wait(ctx, 10*time.Millisecond); err != nil {
			return flow{}, err
		}
	}
	to, err := f.read(acked)
	if err != nil {
		return flow{}, err
	}
	bytes := float64(to.acked - from.acked)
	out := flow{mbps: bytes / mb / to.at.Sub(from.at).Seconds(), selfCPUPerGiB: (to.self - from.self) / bytes * gib}
	for i := range to.cpu {
		out.cpuPerGiB = append(out.cpuPerGiB, (to.cpu[i]-from.cpu[i])/bytes*gib)
	}
	return out, nil
}

// selfCPU is the CPU time of this process, in seconds.
func selfCPU() (float64, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds(), nil
}

// wait waits; an early end is an error.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
