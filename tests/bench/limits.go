package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gnomon-stream/gnomon/internal/process"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

const (
	putBytes    = 8 << 20
	putsAtOnce  = 4
	pairsAtOnce = 8   // as many uploads as an agent has under way at most
	entryBytes  = 512 // about what the commit of a small segment takes in the metalog
	timesMax    = 1 << 18
	rawBucket   = "raw"
)

type putLimit struct {
	mbps, cpuPerGiB, storePerGiB float64
	latency                      quantiles
}

// putter gives the etcd that limits are measured on.
func (b *bench) putter() (*etcdPutter, error) {
	var err error
	if b.etcd == nil {
		b.etcd, err = newEtcdPutter(b, filepath.Join(b.dir, "etcd"))
	}
	return b.etcd, err
}

// key is one that was never used.
func (p *place) key() string {
	p.keys++
	return fmt.Sprintf("data/%d", p.keys)
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

// rawPuts: objects of 8 MiB, four at once; each is deleted again, which is not in its time.
func (p *place) rawPuts(ctx context.Context) (*putLimit, error) {
	if p.puts != nil {
		return p.puts, nil
	}
	store, err := p.bucket(ctx, rawBucket)
	if err != nil {
		return nil, err
	}
	ctx, cancel := p.b.bounded(ctx)
	defer cancel()
	payload := payloadOf(putBytes)
	before, err := cpuOf([]programs{p.programs()})
	if err != nil {
		return nil, err
	}
	var count, keys atomic.Int64
	times, took, cpu, err := p.b.closed(ctx, putsAtOnce, func(ctx context.Context) (time.Duration, error) {
		key := fmt.Sprintf("puts/%d", keys.Add(1))
		began := time.Now()
		if err := store.Put(ctx, key, payload); err != nil {
			return 0, err
		}
		count.Add(1)
		return time.Since(began), store.Delete(ctx, key)
	})
	if err != nil {
		return nil, err
	}
	after, err := cpuOf([]programs{p.programs()})
	bytes := float64(len(times)) * putBytes
	p.puts = &putLimit{
		mbps: bytes / mb / took, cpuPerGiB: cpu / bytes * gib, latency: quantilesOf(times),
		storePerGiB: (after[0] - before[0]) / float64(count.Load()) / putBytes * gib, // its warm-up included
	}
	return p.puts, err
}

// pair is the least that an ack can take: one PUT of the size of a flush and one put into etcd, at the rate of the flushes.
func (p *place) pair(ctx context.Context, rate float64, size int) (quantiles, error) {
	store, err := p.bucket(ctx, rawBucket)
	if err != nil {
		return quantiles{}, err
	}
	etcd, err := p.b.putter()
	if err != nil {
		return quantiles{}, err
	}
	ctx, cancel := p.b.bounded(ctx)
	defer cancel()
	paced := pace{rate: rate, warm: p.b.warm(), length: p.b.o.seconds}
	payload := payloadOf(size)
	times := make([]time.Duration, paced.count())
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(pairsAtOnce)
	err = paced.run(gctx, func(i int, due time.Time) {
		key := p.key()
		g.Go(func() error {
			if err := store.Put(gctx, key, payload); err != nil {
				return err
			}
			err := etcd.put(gctx, []byte("key"), noise()[:entryBytes])
			times[i] = time.Since(due)
			return err
		})
	})
	err = errors.Join(g.Wait(), err, p.empty(ctx, rawBucket))
	return quantilesOf(times[paced.first():]), err
}

// discarder is the broker that discards, with raw operations of as many bytes beside it, against this place's store. what is
// the role's argument.
func (p *place) discarder(what string) ([]string, error) {
	d := p.besides[what]
	if d == nil {
		var err error
		if d, err = p.b.start("broker that discards", roleDiscard, what, p.url(rawBucket)); err != nil {
			return nil, err
		}
		p.besides[what] = d
	}
	return addressOf(d), nil
}

// alone is the broker that discards and does nothing else.
func (b *bench) alone() ([]string, error) {
	var err error
	if b.quiet == nil {
		if b.quiet, err = b.start("broker that discards", roleDiscard, besideNothing, ""); err != nil {
			return nil, err
		}
	}
	return addressOf(b.quiet), nil
}

func addressOf(d *process.Process) []string { return []string{strings.TrimPrefix(d.Log(), "ready ")} }

// generator is what the load generator reaches against a broker that discards, with raw PUTs of the same bytes beside it.
func (p *place) generator(ctx context.Context, s shape) (flow, error) {
	if f, ok := p.clients[s]; ok {
		return f, nil
	}
	brokers, err := p.discarder(besidePuts)
	if err != nil {
		return flow{}, err
	}
	ctx, cancel := p.b.bounded(ctx)
	defer cancel()
	f, err := flood{system: system{kafka: brokers}, topic: topicName(s.partitions), producers: s.producers, warm: p.b.warm(), length: p.b.o.seconds}.run(ctx)
	if err != nil {
		return flow{}, err
	}
	p.clients[s] = f
	return f, p.empty(ctx, rawBucket)
}
