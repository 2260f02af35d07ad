package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

const (
	consumePartitions = 16
	consumeBytes      = 512 << 20 // that the agents' caches hold
	consumeMemory     = 4 << 30   // of an agent, so that they do
)

// consume measures readers of a topic from its start: after a start of the agents, when all has to come from the bucket, and
// once more, when it is in their caches. Several consumers share the partitions, as a group's members do.
func (p *place) consume(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 8*settle)
	defer cancel()
	c, err := p.startCluster(clusterConfig{name: "consume", agent: []string{"--memory-bytes", fmt.Sprint(consumeMemory)}})
	if err != nil {
		return err
	}
	defer func() { c.stop() }()
	topic, records := topicName(consumePartitions), p.b.scaled(consumeBytes/recordBytes)
	if err := createTopic(ctx, c.kafka, topic, consumePartitions); err != nil {
		return err
	}
	if err := fill(ctx, c.kafka, topic, records); err != nil {
		return err
	}
	if err := p.readThrough(ctx, c.cfg.name); err != nil { // what the kernel caches of it, it caches for all
		return err
	}
	gets, err := p.rawGets(ctx)
	if err != nil {
		return err
	}
	for _, n := range []int{1, 4} {
		if err := p.consumers(ctx, c, n, records, limit{Name: "raw GET of 8 MiB, 4 at once", Value: gets}); err != nil {
			return err
		}
	}
	return p.empty(ctx, rawBucket)
}

// consumers measures n of them.
func (p *place) consumers(ctx context.Context, c *cluster, n, records int, gets limit) error {
	topic := topicName(consumePartitions)
	var limits []limit
	for _, what := range []string{besideGets, besideNothing} {
		brokers, err := p.b.alone()
		if what != besideNothing {
			brokers, err = p.discarder(what)
		}
		if err != nil {
			return err
		}
		mbps, err := p.b.readAgain(ctx, brokers, topic, n, records)
		if err != nil {
			return err
		}
		limits = append(limits, limit{Value: mbps})
	}
	limits[0].Name, limits[1].Name = "generator from memory with GETs of the same bytes", "generator from memory"
	cold, err := c.readCold(ctx, topic, n, records)
	if err != nil {
		return err
	}
	hot, err := p.b.readAgain(ctx, c.kafka, topic, n, records)
	if err != nil {
		return err
	}
	p.add(fmt.Sprintf("consume cold, %d of 16 partitions", n), cold, "MB/s", limits[0], gets).aim(aimConsume)
	p.add(fmt.Sprintf("consume hot, %d of 16 partitions", n), hot, "MB/s", limits[1], gets).aim(aimConsume)
	return nil
}

// readCold is the median of three reads, each after a start of the agents.
func (c *cluster) readCold(ctx context.Context, topic string, n, records int) (float64, error) {
	var rates []float64
	for range 3 {
		if err := c.restartAgents(); err != nil {
			return 0, err
		}
		mbps, err := readAll(ctx, c.kafka, topic, n, records)
		if err != nil {
			return 0, err
		}
		rates = append(rates, mbps)
	}
	slices.Sort(rates)
	return rates[1], nil
}

// readAgain reads again and again, and gives the median of the rates, but for the first one: that was the warm-up.
func (b *bench) readAgain(ctx context.Context, brokers []string, topic string, n, records int) (float64, error) {
	var rates []float64
	for began := time.Now(); len(rates) < 2 || time.Since(began) < b.o.seconds; {
		mbps, err := readAll(ctx, brokers, topic, n, records)
		if err != nil {
			return 0, err
		}
		rates = append(rates, mbps)
	}
	rates = rates[1:]
	slices.Sort(rates)
	return rates[len(rates)/2], nil
}

func fill(ctx context.Context, brokers []string, topic string, records int) error {
	cl, err := producer(brokers, topic)
	if err != nil {
		return err
	}
	defer cl.Close()
	var failed kgo.FirstErrPromise
	for range records {
		cl.Produce(ctx, &kgo.Record{Value: noise()}, failed.Promise())
	}
	return failed.Err()
}

// readAll reads a number of records from the start by n consumers that share the partitions, and gives the rate of it.
func readAll(ctx context.Context, brokers []string, topic string, n, records int) (mbps float64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var came atomic.Int64
	var last sync.Once
	g, gctx := errgroup.WithContext(ctx)
	began := time.Now()
	for i := range n {
		from := map[int32]kgo.Offset{}
		for x := i; x < consumePartitions; x += n {
			from[int32(x)] = kgo.NewOffset().AtStart()
		}
		g.Go(func() error {
			cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
			if err != nil {
				return err
			}
			defer cl.Close()
			for came.Load() < int64(records) {
				fs := cl.PollFetches(gctx)
				if gctx.Err() != nil && came.Load() >= int64(records) {
					return nil
				}
				if err := fs.Err(); err != nil {
					return err
				}
				if came.Add(int64(fs.NumRecords())) >= int64(records) {
					last.Do(func() {
						mbps = float64(came.Load()) * recordBytes / mb / time.Since(began).Seconds()
						cancel()
					})
				}
			}
			return nil
		})
	}
	err = g.Wait()
	return mbps, err
}

// rawGets reads objects of 8 MiB, four at once.
func (p *place) rawGets(ctx context.Context) (mbps float64, err error) {
	store, err := p.bucket(ctx, rawBucket)
	if err != nil {
		return 0, err
	}
	if err := putGets(ctx, store); err != nil {
		return 0, err
	}
	var next atomic.Int64
	times, took, _, err := p.b.closed(ctx, putsAtOnce, func(ctx context.Context) (time.Duration, error) {
		began := time.Now()
		err := store.GetRange(ctx, getKey(next.Add(1)), 0, make([]byte, putBytes))
		return time.Since(began), err
	})
	if err != nil {
		return 0, err
	}
	return float64(len(times)) * putBytes / mb / took, nil
}

// readThrough reads all records of a region's bucket once.
func (p *place) readThrough(ctx context.Context, bucket string) error {
	store, err := p.bucket(ctx, bucket)
	if err != nil {
		return err
	}
	return eachObject(ctx, store, func(o objstore.Info) error {
		return store.GetRange(ctx, o.Key, 0, make([]byte, o.Size))
	})
}

// eachObject calls fn for each segment object of a bucket.
func eachObject(ctx context.Context, store objstore.Store, fn func(objstore.Info) error) error {
	for after := ""; ; {
		found, err := store.List(ctx, "data/", after, 1000)
		if err != nil || len(found) == 0 {
			return err
		}
		for _, o := range found {
			if err := fn(o); err != nil {
				return err
			}
			after = o.Key
		}
	}
}
