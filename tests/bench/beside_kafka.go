package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	sectionKafka = "Beside Apache Kafka and MirrorMaker 2"
	mirrorName   = "MirrorMaker 2"
)

// first makes measurements of Gnomon on this place that this run has not made: before Kafka's, whose writes the kernel may be at for
// long afterwards. name is a figure of theirs.
func (p *place) first(ctx context.Context, name string, measure func(*place, context.Context) error) error {
	if p.b.report.find(p.section(), name) != 0 {
		return nil
	}
	return measure(p, ctx)
}

// beside enters what Gnomon gave with what Kafka gives.
func (p *place) beside(name, unit string, theirs float64, who string) {
	p.b.report.add(sectionKafka, name, p.b.report.find(p.section(), name), unit, limit{Name: who, Value: theirs})
}

var besideRates = []int{200, 5000}

// besideKafka gives one node of Kafka the load that Gnomon gets.
func (p *place) besideKafka(ctx context.Context) error {
	k, err := p.kafka(ctx)
	if err != nil {
		return err
	}
	if err := p.firstLoad(ctx); err != nil {
		return err
	}
	x, err := k.broker(ctx, "load")
	if err != nil {
		return err
	}
	defer x.kill()
	if err := p.kafkaProduce(ctx, x); err != nil {
		return err
	}
	for _, rate := range besideRates {
		if err := p.kafkaLatency(ctx, x, rate); err != nil {
			return err
		}
	}
	return p.kafkaConsume(ctx, x)
}

// firstLoad is first for all that Kafka's load is compared with.
func (p *place) firstLoad(ctx context.Context) error {
	for _, s := range shapes {
		if err := p.first(ctx, s.figure(), func(p *place, ctx context.Context) error { return p.produce(ctx, s) }); err != nil {
			return err
		}
	}
	for _, rate := range besideRates {
		if err := p.first(ctx, fmt.Sprintf("ack at %d/s, p50", rate), func(p *place, ctx context.Context) error { return p.latency(ctx, rate) }); err != nil {
			return err
		}
	}
	return p.first(ctx, "consume hot, 4 of 16 partitions", (*place).consume)
}

func (p *place) kafkaProduce(ctx context.Context, x *broker) error {
	for range 3 { // a virtual machine compiles what it does often
		if _, err := p.b.flood(ctx, x.system(), shape{4, 16}); err != nil {
			return err
		}
	}
	for _, s := range shapes {
		f, err := p.b.flood(ctx, x.system(), s)
		if err != nil {
			return err
		}
		cpu, _ := f.cpu(x.system().programs)
		p.beside(s.figure(), "MB/s", f.mbps, kafkaName)
		p.beside(s.figure()+", CPU", "s/GiB", cpu, kafkaName)
	}
	return nil
}

func (p *place) kafkaLatency(ctx context.Context, x *broker, rate int) error {
	syscall.Sync()
	ctx, cancel := p.b.bounded(ctx)
	defer cancel()
	s, err := p.b.pace(rate).send(ctx, []string{x.addr}, topicName(16))
	if err != nil {
		return err
	}
	q := s.ackLatency()
	p.beside(fmt.Sprintf("ack at %d/s, p50", rate), "ms", q.p50, kafkaName)
	p.beside(fmt.Sprintf("ack at %d/s, p99", rate), "ms", q.p99, kafkaName)
	return nil
}

func (p *place) kafkaConsume(ctx context.Context, x *broker) error {
	const topic = "consume-16"
	records := p.b.scaled(consumeBytes / recordBytes)
	if err := createTopic(ctx, []string{x.addr}, topic, consumePartitions); err != nil {
		return err
	}
	if err := fill(ctx, []string{x.addr}, topic, records); err != nil {
		return err
	}
	for _, n := range []int{1, 4} {
		theirs, err := p.b.readAgain(ctx, []string{x.addr}, topic, n, records)
		if err != nil {
			return err
		}
		for _, how := range []string{"cold", "hot"} {
			p.beside(fmt.Sprintf("consume %s, %d of 16 partitions", how, n), "MB/s", theirs, kafkaName+", from the page cache")
		}
	}
	return nil
}

// besideMirror gives MirrorMaker 2 what a link gets: a modest rate, and a backlog.
func (p *place) besideMirror(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 40*settle)
	defer cancel()
	k, err := p.kafka(ctx)
	if err != nil {
		return err
	}
	backlog := "link, backlog of " + sizeOf(float64(p.b.scaled(backlogBytes/recordBytes))*recordBytes)
	if err := p.first(ctx, backlog, (*place).link); err != nil {
		return err
	}
	x, err := k.pair(ctx)
	if err != nil {
		return err
	}
	defer x.kill()
	if err := x.await(ctx, topicName(16)); err != nil {
		return err
	}
	s, readAt, err := p.b.pace(shadowRate).sendAndRead(ctx, []string{x.a.addr}, []string{x.b.addr}, topicName(16))
	if err != nil {
		return err
	}
	lag := s.lag(readAt)
	p.beside("shadow at 5 MB/s, lag p50", "ms", lag.p50, mirrorName)
	p.beside("shadow at 5 MB/s, lag p99", "ms", lag.p99, mirrorName)
	mbps, cpu, brokers, err := p.mirrorBacklog(ctx, x)
	if err != nil {
		return err
	}
	p.beside(backlog, "MB/s", mbps, mirrorName)
	p.beside(backlog+", CPU of region b", "s/GiB", cpu, fmt.Sprintf("%s, and %s in both brokers", mirrorName, short(brokers)))
	return nil
}

// mirrored is two brokers with a MirrorMaker between them.
type mirrored struct {
	k    *kafka
	a, b *broker
	m    java
}

func (k *kafka) pair(ctx context.Context) (*mirrored, error) {
	a, err := k.broker(ctx, "a")
	if err != nil {
		return nil, err
	}
	b, err := k.broker(ctx, "b")
	if err != nil {
		return nil, err
	}
	x := &mirrored{k: k, a: a, b: b}
	x.m, err = k.mirror(a, b)
	return x, err
}

func (x *mirrored) kill() {
	for _, j := range []java{x.m, x.a.java, x.b.java} {
		j.kill()
	}
}

// await makes a topic at the source, and waits until a record that is written there is at the target.
func (x *mirrored) await(ctx context.Context, topic string) error {
	if err := createTopic(ctx, []string{x.a.addr}, topic, 16); err != nil {
		return err
	}
	if err := fill(ctx, []string{x.a.addr}, topic, 100); err != nil {
		return err
	}
	for end := time.Now().Add(4 * settle); ; {
		if n, err := ends(ctx, x.b.addr, topic); err == nil && n >= 100 {
			return nil
		} else if time.Now().After(end) {
			return fmt.Errorf("MirrorMaker has copied %d of 100 records of %s: %w", n, topic, err)
		}
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// ends adds the end offsets of a topic's partitions up.
func ends(ctx context.Context, addr, topic string) (int64, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	got, err := kadm.NewClient(cl).ListEndOffsets(ctx, topic)
	if err == nil {
		err = got.Error()
	}
	var sum int64
	got.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	return sum, err
}

// mirrorBacklog stops MirrorMaker while the source is filled, and counts from the first record that it copies afterwards: the start of
// its virtual machine is not in its time.
func (p *place) mirrorBacklog(ctx context.Context, x *mirrored) (mbps, cpu, brokers float64, err error) {
	if err := x.await(ctx, backlogTopic); err != nil {
		return 0, 0, 0, err
	}
	x.m.kill()
	records := p.b.scaled(backlogBytes / recordBytes)
	if err := fill(ctx, []string{x.a.addr}, backlogTopic, records); err != nil {
		return 0, 0, 0, err
	}
	base, err := ends(ctx, x.b.addr, backlogTopic)
	if err != nil {
		return 0, 0, 0, err
	}
	whole, err := ends(ctx, x.a.addr, backlogTopic)
	if err != nil {
		return 0, 0, 0, err
	}
	if x.m, err = x.k.mirror(x.a, x.b); err != nil {
		return 0, 0, 0, err
	}
	groups := []programs{{all: []program{x.m}}, {all: []program{x.a.java, x.b.java}}}
	var before []float64
	var began time.Time
	first := int64(0)
	for n := base; n < whole; {
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return 0, 0, 0, fmt.Errorf("MirrorMaker has copied %d of %d records: %w", n-base, whole-base, err)
		}
		if n, err = ends(ctx, x.b.addr, backlogTopic); err != nil {
			return 0, 0, 0, err
		}
		if n > base && before == nil {
			began, first = time.Now(), n
			if before, err = cpuOf(groups); err != nil {
				return 0, 0, 0, err
			}
		}
	}
	after, err := cpuOf(groups)
	if err != nil || whole == first { // too few to be counted
		return float64(whole-base) * recordBytes / mb, 0, 0, err
	}
	bytes := float64(whole-first) * recordBytes
	perGiB := func(i int) float64 { return (after[i] - before[i]) / bytes * gib }
	return bytes / mb / time.Since(began).Seconds(), perGiB(0), perGiB(1), nil
}
