package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/directory"
)

const (
	putBytes    = 8 << 20
	putsAtOnce  = 4
	pairsAtOnce = 8   // as many uploads as an agent has under way at most
	entryBytes  = 512 // about what the commit of a small segment takes in the metalog
	timesMax    = 1 << 18
)

// limits are measured once a run, when first asked for.
type limits struct {
	store      *directory.Store
	keys       atomic.Int64
	etcd       *etcdPutter
	puts       *putLimit
	etcdPuts   *etcdLimit
	generators map[shape]flow
}

type putLimit struct {
	mbps, cpuPerGiB float64
	latency         quantiles
}

type etcdLimit struct {
	perSecond float64
	latency   quantiles
}

func (l *limits) close() error {
	var errs []error
	if l.store != nil {
		errs = append(errs, l.store.Close())
	}
	if l.etcd != nil {
		errs = append(errs, l.etcd.close())
	}
	return errors.Join(errs...)
}

// open makes the bucket and the etcd that limits are measured on.
func (b *bench) open() error {
	var err error
	if b.limits.store == nil {
		if b.limits.store, err = directory.Open(filepath.Join(b.dir, "raw")); err != nil {
			return err
		}
	}
	if b.limits.etcd == nil {
		b.limits.etcd, err = newEtcdPutter(filepath.Join(b.dir, "etcd"))
	}
	return err
}

// put stores an object under a new key, and deletes it: what it costs to delete is not in the time given.
func (l *limits) put(ctx context.Context, payload objstore.Payload) (time.Duration, error) {
	key := fmt.Sprintf("data/%d", l.keys.Add(1))
	began := time.Now()
	if err := l.store.Put(ctx, key, payload); err != nil {
		return 0, err
	}
	return time.Since(began), l.store.Delete(ctx, key)
}

func payloadOf(size int) objstore.Payload {
	var p objstore.Payload
	for ; size > 0; size -= len(p[len(p)-1]) {
		p = append(p, noise()[:min(size, recordBytes)])
	}
	return p
}

// closed calls op again and again, from several goroutines, for the warm-up and the length. It gives the times that op
// gave after the warm-up, how long that took, and the CPU seconds.
func (b *bench) closed(ctx context.Context, goroutines int, op func(context.Context) (time.Duration, error)) (times []time.Duration, took, cpu float64, err error) {
	var mu sync.Mutex
	var before float64
	var from time.Time
	began := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	for range goroutines {
		g.Go(func() error {
			for {
				d, err := op(gctx)
				if err != nil {
					return err
				}
				mu.Lock()
				switch {
				case time.Since(began) < b.warm():
				case from.IsZero():
					from = time.Now()
					before, err = selfCPU()
				default:
					times = append(times, d)
				}
				enough := len(times) >= timesMax || len(times) > 0 && time.Since(began) > b.warm()+b.o.seconds
				mu.Unlock()
				if err != nil || enough {
					return err
				}
			}
		})
	}
	err = g.Wait()
	after, cerr := selfCPU()
	return times, time.Since(from).Seconds(), after - before, errors.Join(err, cerr)
}

// rawPuts: objects of 8 MiB, four at once.
func (b *bench) rawPuts(ctx context.Context) (*putLimit, error) {
	if b.limits.puts != nil {
		return b.limits.puts, nil
	}
	if err := b.open(); err != nil {
		return nil, err
	}
	ctx, cancel := b.bounded(ctx)
	defer cancel()
	payload := payloadOf(putBytes)
	times, took, cpu, err := b.closed(ctx, putsAtOnce, func(ctx context.Context) (time.Duration, error) { return b.limits.put(ctx, payload) })
	if err != nil {
		return nil, err
	}
	bytes := float64(len(times)) * putBytes
	b.limits.puts = &putLimit{mbps: bytes / mb / took, cpuPerGiB: cpu / bytes * gib, latency: quantilesOf(times)}
	return b.limits.puts, nil
}

// rawEtcd: small values, one at a time.
func (b *bench) rawEtcd(ctx context.Context) (*etcdLimit, error) {
	if b.limits.etcdPuts != nil {
		return b.limits.etcdPuts, nil
	}
	if err := b.open(); err != nil {
		return nil, err
	}
	ctx, cancel := b.bounded(ctx)
	defer cancel()
	times, took, _, err := b.closed(ctx, 1, func(ctx context.Context) (time.Duration, error) {
		began := time.Now()
		err := b.limits.etcd.put(ctx, []byte("key"), noise()[:entryBytes])
		return time.Since(began), err
	})
	if err != nil {
		return nil, err
	}
	b.limits.etcdPuts = &etcdLimit{perSecond: float64(len(times)) / took, latency: quantilesOf(times)}
	return b.limits.etcdPuts, nil
}

// pair is the least that an ack can take: one PUT of the size of a flush and one put into etcd, at the rate of the flushes.
func (b *bench) pair(ctx context.Context, rate float64, size int) (quantiles, error) {
	if err := b.open(); err != nil {
		return quantiles{}, err
	}
	ctx, cancel := b.bounded(ctx)
	defer cancel()
	p := pace{rate: rate, warm: b.warm(), length: b.o.seconds}
	payload := payloadOf(size)
	times := make([]time.Duration, p.count())
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(pairsAtOnce)
	err := p.run(gctx, func(i int, due time.Time) {
		g.Go(func() error {
			key := fmt.Sprintf("data/%d", b.limits.keys.Add(1))
			if err := b.limits.store.Put(gctx, key, payload); err != nil {
				return err
			}
			err := b.limits.etcd.put(gctx, []byte("key"), noise()[:entryBytes])
			times[i] = time.Since(due)
			return err
		})
	})
	err = errors.Join(g.Wait(), err)
	return quantilesOf(times[p.first():]), err
}

// generator is what the load generator reaches against a broker that discards.
func (b *bench) generator(ctx context.Context, s shape) (flow, error) {
	if f, ok := b.limits.generators[s]; ok {
		return f, nil
	}
	brokers, err := b.discardBroker()
	if err != nil {
		return flow{}, err
	}
	ctx, cancel := b.bounded(ctx)
	defer cancel()
	f, err := flood{brokers: brokers, topic: topicName(s.partitions), producers: s.producers, warm: b.warm(), length: b.o.seconds}.run(ctx)
	if err != nil {
		return flow{}, err
	}
	if b.limits.generators == nil {
		b.limits.generators = map[shape]flow{}
	}
	b.limits.generators[s] = f
	return f, nil
}

func (b *bench) discardBroker() ([]string, error) {
	var err error
	if b.discarder == nil {
		if b.discarder, err = b.start("broker that discards", roleDiscard); err != nil {
			return nil, err
		}
	}
	return []string{strings.TrimPrefix(b.discarder.Log(), "ready ")}, nil
}

// freeAgent is what all cores could do if the agent itself cost nothing: what the generator and the raw PUTs need is left.
func freeAgent(generator flow, puts *putLimit) float64 {
	return float64(runtime.NumCPU()) / (generator.selfCPUPerGiB + puts.cpuPerGiB) * gib / mb
}
