package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// shape of a load.
type shape struct{ producers, partitions int }

var shapes = []shape{{1, 1}, {4, 1}, {1, 16}, {4, 16}}

func (s shape) String() string { return fmt.Sprintf("%dx%d", s.producers, s.partitions) }

// figure is the name of its figure.
func (s shape) figure() string { return fmt.Sprintf("produce, %d to %d", s.producers, s.partitions) }

func (p *place) reportPuts(ctx context.Context) error {
	l, err := p.rawPuts(ctx)
	if err != nil {
		return err
	}
	p.add("raw PUT of 8 MiB, 4 at once", l.mbps, "MB/s")
	p.add("raw PUT of 8 MiB, CPU", l.cpuPerGiB, "s/GiB").of(part{"and of the store", l.storePerGiB})
	p.add("raw PUT of 8 MiB, p50", l.latency.p50, "ms").of(part{"p99", l.latency.p99})
	return nil
}

// reportEtcd: small values, one at a time.
func (p *place) reportEtcd(ctx context.Context) error {
	etcd, err := p.b.putter()
	if err != nil {
		return err
	}
	ctx, cancel := p.b.bounded(ctx)
	defer cancel()
	times, took, _, err := p.b.closed(ctx, 1, func(ctx context.Context) (time.Duration, error) {
		began := time.Now()
		err := etcd.put(ctx, []byte("key"), noise()[:entryBytes])
		return time.Since(began), err
	})
	if err != nil {
		return err
	}
	q := quantilesOf(times)
	p.add("etcd put of 512 B, one in flight", float64(len(times))/took, "/s")
	p.add("etcd put of 512 B, p50", q.p50, "ms").of(part{"p99", q.p99})
	return nil
}

func (p *place) add(name string, value float64, unit string, limits ...limit) *figure {
	return p.b.report.add(p.section(), name, value, unit, limits...)
}

// region is the one region for all that needs no shadow.
func (p *place) region() (*cluster, error) {
	var err error
	if p.single == nil {
		p.single, err = p.startCluster(clusterConfig{name: "single"})
	}
	return p.single, err
}

// produce measures throughput.
func (p *place) produce(ctx context.Context, s shape) error {
	puts, err := p.rawPuts(ctx)
	if err != nil {
		return err
	}
	generator, err := p.generator(ctx, s)
	if err != nil {
		return err
	}
	c, err := p.region()
	if err != nil {
		return err
	}
	var f flow
	err = p.profiled(ctx, c, "produce-"+s.String(), p.b.warm(), func(ctx context.Context) error {
		var err error
		f, err = p.b.flood(ctx, c.system(), s)
		return err
	})
	if err != nil {
		return err
	}
	p.add(s.figure(), f.mbps, "MB/s", limit{Name: "generator with PUTs of the same bytes", Value: generator.mbps}, limit{Name: "raw PUT", Value: puts.mbps}).aim(aimThroughput)
	total, parts := f.cpu(c.system().programs)
	p.add(s.figure()+", CPU", total, "s/GiB").aim(aimCPU).of(parts...)
	p.add(s.figure()+", CPU of the generator", f.selfCPUPerGiB, "s/GiB", limit{Name: "its limit's", Value: generator.selfCPUPerGiB})
	one, four := p.b.report.find(p.section(), shape{1, 1}.figure()), p.b.report.find(p.section(), shape{4, 16}.figure())
	if s == (shape{4, 16}) && one > 0 {
		p.add("one producer to 1, as a share", one, "MB/s", limit{Name: "four producers to 16", Value: four})
	}
	return nil
}

// cpu gives the CPU of the system itself, and of each group of its programs.
func (f flow) cpu(groups []programs) (total float64, parts []part) {
	for i, g := range groups {
		name := g.name
		switch {
		case len(g.all) == 0:
			continue
		case g.beside:
			name = "and " + name
		default:
			total += f.cpuPerGiB[i]
		}
		parts = append(parts, part{name, f.cpuPerGiB[i]})
	}
	return total, parts
}

func (b *bench) flood(ctx context.Context, s system, load shape) (flow, error) {
	ctx, cancel := b.bounded(ctx)
	defer cancel()
	topic := topicName(load.partitions)
	if err := createTopic(ctx, s.kafka, topic, load.partitions); err != nil {
		return flow{}, err
	}
	return flood{system: s, topic: topic, producers: load.producers, warm: b.warm(), length: b.o.seconds}.run(ctx)
}

// profiled runs something, and takes CPU profiles of the region's processes meanwhile, after a delay, if that was asked for.
func (p *place) profiled(ctx context.Context, c *cluster, name string, delay time.Duration, run func(context.Context) error) error {
	if p.b.o.profiles == "" {
		return run(ctx)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return run(gctx) })
	for process, url := range c.admins() {
		g.Go(func() error {
			if err := wait(gctx, delay); err != nil {
				return err
			}
			return profile(gctx, url, p.b.o.seconds, filepath.Join(p.b.o.profiles, strings.Join([]string{p.kind, name, process}, "-")+".cpu"))
		})
	}
	return g.Wait()
}

// latency measures acks at a rate of records a second.
func (p *place) latency(ctx context.Context, rate int) error {
	alone, err := p.b.generatorLatency(ctx, rate)
	if err != nil {
		return err
	}
	c, err := p.region()
	if err != nil {
		return err
	}
	s, least, err := p.paced(ctx, c, rate, func(ctx context.Context, s pace) (*stream, error) {
		return s.send(ctx, c.kafka, topicName(16))
	})
	if err != nil {
		return err
	}
	got, name := s.ackLatency(), fmt.Sprintf("ack at %d/s", rate)
	p.add(name+", p50", got.p50, "ms", limit{Name: least.name(), Value: least.p50}, limit{Name: "generator alone", Value: alone.p50}).aim(aimAckP50)
	p.add(name+", p99", got.p99, "ms", limit{Name: least.name(), Value: least.p99}, limit{Name: "generator alone", Value: alone.p99}).aim(aimAckP99)
	return nil
}

func (b *bench) generatorLatency(ctx context.Context, rate int) (quantiles, error) {
	brokers, err := b.alone()
	if err != nil {
		return quantiles{}, err
	}
	ctx, cancel := b.bounded(ctx)
	defer cancel()
	s, err := b.pace(rate).send(ctx, brokers, topicName(16))
	if err != nil {
		return quantiles{}, err
	}
	return s.ackLatency(), nil
}

func (b *bench) pace(rate int) pace {
	return pace{rate: float64(rate), warm: b.warm(), length: b.o.seconds}
}

// leastAck is the least that an ack can take, with the flushes that it is for.
type leastAck struct {
	quantiles
	bytes int
	rate  float64
}

func (l leastAck) name() string {
	return fmt.Sprintf("PUT of %s + etcd put, %.0f/s", strings.TrimSuffix(fmt.Sprintf("%.1f", float64(l.bytes)/1024), ".0")+" KiB", l.rate)
}

// paced sends a stream to a region, and then measures what its flushes cost by themselves.
func (p *place) paced(ctx context.Context, c *cluster, rate int, send func(context.Context, pace) (*stream, error)) (*stream, leastAck, error) {
	s, from, to, err := p.observed(ctx, c, rate, send)
	if err != nil {
		return nil, leastAck{}, err
	}
	least, err := p.least(ctx, from, to, s.warm+s.length)
	return s, least, err
}

// least measures what the flushes between two readings cost by themselves.
func (p *place) least(ctx context.Context, from, to usage, took time.Duration) (leastAck, error) {
	flushes := to.flushes - from.flushes
	if flushes < 1 {
		return leastAck{}, fmt.Errorf("%.0f flushes", flushes)
	}
	out := leastAck{bytes: int((to.flushBytes - from.flushBytes) / flushes), rate: flushes / took.Seconds()}
	var err error
	out.quantiles, err = p.pair(ctx, out.rate, out.bytes)
	return out, err
}

func (p *place) observed(ctx context.Context, c *cluster, rate int, send func(context.Context, pace) (*stream, error)) (s *stream, from, to usage, err error) {
	ctx, cancel := p.b.bounded(ctx)
	defer cancel()
	if err = createTopic(ctx, c.kafka, topicName(16), 16); err != nil {
		return nil, from, to, err
	}
	if from, err = c.usage(ctx); err != nil {
		return nil, from, to, err
	}
	if s, err = send(ctx, p.b.pace(rate)); err != nil {
		return nil, from, to, err
	}
	to, err = c.usage(ctx)
	return s, from, to, err
}
