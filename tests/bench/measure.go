package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
)

// shape of a load.
type shape struct{ producers, partitions int }

var shapes = []shape{{1, 1}, {4, 1}, {1, 16}, {4, 16}}

func (s shape) String() string { return fmt.Sprintf("%dx%d", s.producers, s.partitions) }

func (b *bench) reportPuts(ctx context.Context) error {
	l, err := b.rawPuts(ctx)
	if err != nil {
		return err
	}
	b.report.add("raw PUT of 8 MiB, 4 at once", l.mbps, "MB/s")
	b.report.add("raw PUT of 8 MiB, CPU", l.cpuPerGiB, "s/GiB")
	b.report.add("raw PUT of 8 MiB, p50", l.latency.p50, "ms")
	b.report.add("raw PUT of 8 MiB, p99", l.latency.p99, "ms")
	return nil
}

func (b *bench) reportEtcd(ctx context.Context) error {
	l, err := b.rawEtcd(ctx)
	if err != nil {
		return err
	}
	b.report.add("etcd put of 512 B, one in flight", l.perSecond, "/s")
	b.report.add("etcd put of 512 B, p50", l.latency.p50, "ms")
	b.report.add("etcd put of 512 B, p99", l.latency.p99, "ms")
	return nil
}

// produce measures throughput.
func (b *bench) produce(ctx context.Context, s shape) error {
	puts, err := b.rawPuts(ctx)
	if err != nil {
		return err
	}
	generator, err := b.generator(ctx, s)
	if err != nil {
		return err
	}
	r, err := b.single()
	if err != nil {
		return err
	}
	f, err := b.flood(ctx, r, s)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("produce, %d to %d", s.producers, s.partitions)
	b.report.add(name, f.mbps, "MB/s",
		limit{Name: "raw PUT", Value: puts.mbps}, limit{Name: "generator alone", Value: generator.mbps},
		limit{Name: "free agent", Value: freeAgent(generator, puts)})
	b.report.add(name+", CPU of gnomon", f.serverCPUPerGiB, "s/GiB", limit{Name: "raw PUT", Value: puts.cpuPerGiB})
	b.report.add(name+", CPU of the generator", f.selfCPUPerGiB, "s/GiB", limit{Name: "generator alone", Value: generator.selfCPUPerGiB})
	if b.report.produce == nil {
		b.report.produce = map[shape]float64{}
	}
	b.report.produce[s] = f.mbps
	return nil
}

func (b *bench) flood(ctx context.Context, r *region, s shape) (flow, error) {
	ctx, cancel := b.bounded(ctx)
	defer cancel()
	topic := topicName(s.partitions)
	if err := createTopic(ctx, r.at.Kafka, topic, s.partitions); err != nil {
		return flow{}, err
	}
	var out flow
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		var err error
		out, err = flood{
			brokers: r.at.Kafka, topic: topic, producers: s.producers, warm: b.warm(), length: b.o.seconds,
			server: func(ctx context.Context) (float64, error) {
				u, err := r.usage(ctx)
				return u.cpuSeconds, err
			},
		}.run(gctx)
		return err
	})
	if b.o.profiles != "" {
		g.Go(func() error {
			if err := wait(gctx, b.warm()); err != nil {
				return err
			}
			return r.profile(gctx, b.o.seconds, filepath.Join(b.o.profiles, s.String()+".cpu"))
		})
	}
	return out, g.Wait()
}

// latency measures acks at a rate of records a second.
func (b *bench) latency(ctx context.Context, rate int) error {
	alone, err := b.generatorLatency(ctx, rate)
	if err != nil {
		return err
	}
	r, err := b.single()
	if err != nil {
		return err
	}
	s, least, err := b.paced(ctx, r, rate, func(ctx context.Context, s pace) (*stream, error) {
		return s.send(ctx, r.at.Kafka, topicName(16))
	})
	if err != nil {
		return err
	}
	got, name := s.ackLatency(), fmt.Sprintf("ack at %d/s", rate)
	b.report.add(name+", p50", got.p50, "ms", limit{Name: least.name(), Value: least.p50}, limit{Name: "generator alone", Value: alone.p50})
	b.report.add(name+", p99", got.p99, "ms", limit{Name: least.name(), Value: least.p99}, limit{Name: "generator alone", Value: alone.p99})
	return nil
}

func (b *bench) generatorLatency(ctx context.Context, rate int) (quantiles, error) {
	brokers, err := b.discardBroker()
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
func (b *bench) paced(ctx context.Context, r *region, rate int, send func(context.Context, pace) (*stream, error)) (*stream, leastAck, error) {
	s, from, to, err := b.observed(ctx, r, rate, send)
	if err != nil {
		return nil, leastAck{}, err
	}
	flushes := to.flushes - from.flushes
	if flushes < 1 {
		return nil, leastAck{}, fmt.Errorf("%.0f flushes", flushes)
	}
	least := leastAck{bytes: int((to.flushBytes - from.flushBytes) / flushes), rate: flushes / (s.warm + s.length).Seconds()}
	least.quantiles, err = b.pair(ctx, least.rate, least.bytes)
	return s, least, err
}

func (b *bench) observed(ctx context.Context, r *region, rate int, send func(context.Context, pace) (*stream, error)) (s *stream, from, to usage, err error) {
	ctx, cancel := b.bounded(ctx)
	defer cancel()
	if err = createTopic(ctx, r.at.Kafka, topicName(16), 16); err != nil {
		return nil, from, to, err
	}
	if from, err = r.usage(ctx); err != nil {
		return nil, from, to, err
	}
	if s, err = send(ctx, b.pace(rate)); err != nil {
		return nil, from, to, err
	}
	to, err = r.usage(ctx)
	return s, from, to, err
}
