package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const sectionKafka = "Beside Apache Kafka and MirrorMaker 2"

// own gives a figure of Gnomon's on this place, which is measured now if this run has not done so.
func (p *place) own(ctx context.Context, name string, measure func(*place, context.Context) error) (float64, error) {
	if p.b.report.find(p.section(), name) == 0 {
		if err := measure(p, ctx); err != nil {
			return 0, err
		}
	}
	v := p.b.report.find(p.section(), name)
	if v == 0 {
		return 0, fmt.Errorf("%q was not measured", name)
	}
	return v, nil
}

// enter puts down what Gnomon gives with what Kafka gives.
func (p *place) enter(ctx context.Context, name, unit string, theirs float64, who string, measure func(*place, context.Context) error) error {
	ours, err := p.own(ctx, name, measure)
	if err == nil {
		p.b.report.add(sectionKafka, name, ours, unit, limit{Name: who, Value: theirs})
	}
	return err
}

// besideKafka gives one node of Kafka the load that Gnomon gets.
func (p *place) besideKafka(ctx context.Context) error {
	k, err := p.kafka(ctx)
	if err != nil {
		return err
	}
	x, err := k.broker(ctx, "load")
	if err != nil {
		return err
	}
	defer x.kill()
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
		measure := func(p *place, ctx context.Context) error { return p.produce(ctx, s) }
		err = p.enter(ctx, s.figure(), "MB/s", f.mbps, kafkaName, measure)
		if err = errors.Join(err, p.enter(ctx, s.figure()+", CPU", "s/GiB", cpu, kafkaName, measure)); err != nil {
			return err
		}
	}
	for _, rate := range []int{200, 5000} {
		if err := p.besideLatency(ctx, x, rate); err != nil {
			return err
		}
	}
	return p.besideConsume(ctx, x)
}

func (p *place) besideLatency(ctx context.Context, x *broker, rate int) error {
	bounded, cancel := p.b.bounded(ctx)
	defer cancel()
	s, err := p.b.pace(rate).send(bounded, []string{x.addr}, topicName(16))
	if err != nil {
		return err
	}
	q := s.ackLatency()
	measure := func(p *place, ctx context.Context) error { return p.latency(ctx, rate) }
	err = p.enter(ctx, fmt.Sprintf("ack at %d/s, p50", rate), "ms", q.p50, kafkaName, measure)
	return errors.Join(err, p.enter(ctx, fmt.Sprintf("ack at %d/s, p99", rate), "ms", q.p99, kafkaName, measure))
}

func (p *place) besideConsume(ctx context.Context, x *broker) error {
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
			name := fmt.Sprintf("consume %s, %d of 16 partitions", how, n)
			if err := p.enter(ctx, name, "MB/s", theirs, kafkaName+", from the page cache", (*place).consume); err != nil {
				return err
			}
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
	for name, theirs := range map[string]float64{"p50": lag.p50, "p99": lag.p99} {
		if err := p.enter(ctx, "shadow at 5 MB/s, lag "+name, "ms", theirs, "MirrorMaker 2", (*place).link); err != nil {
			return err
		}
	}
	mbps, cpu, brokers, err := p.mirrorBacklog(ctx, x)
	if err != nil {
		return err
	}
	name := "link, backlog of " + sizeOf(float64(p.b.scaled(backlogBytes/recordBytes))*recordBytes)
	if err := p.enter(ctx, name, "MB/s", mbps, "MirrorMaker 2", (*place).link); err != nil {
		return err
	}
	return p.enter(ctx, name+", CPU of region b", "s/GiB", cpu, fmt.Sprintf("MirrorMaker 2, and %s in both brokers", short(brokers)), (*place).link)
}

// mirrored is two brokers with a MirrorMaker between them.
type mirrored struct {
	k    *kafka
	a, b *broker
	m    *java
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
	for _, j := range []*java{x.m, x.a.java, x.b.java} {
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
