package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/process"
)

// eager are options of a client that asks again at once: what is measured is the cluster, not a client's patience.
func eager() []kgo.Opt {
	return []kgo.Opt{
		kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }), kgo.MetadataMinAge(10 * time.Millisecond),
	}
}

// failover measures from the command to the first ack at the shadow, with a producer that waits there: of a source that is
// gone, and of one that lives and is fenced and drained.
func (p *place) failover(ctx context.Context, topics int) error {
	topics = p.b.scaled(topics)
	for _, lost := range []bool{true, false} {
		if err := p.failoverOnce(ctx, topics, lost); err != nil {
			return err
		}
	}
	return nil
}

func (p *place) failoverOnce(ctx context.Context, topics int, lost bool) error {
	ctx, cancel := context.WithTimeout(ctx, 8*settle)
	defer cancel()
	x, err := p.startPair(ctx, fmt.Sprintf("failover-%d-%t", topics, lost))
	if err != nil {
		return err
	}
	defer x.b.stop()
	if err := createTopics(ctx, x.a.kafka, topics); err != nil {
		return err
	}
	if err := fill(ctx, x.a.kafka, "topic-0", 10); err != nil {
		return err
	}
	if err := x.awaitCaughtUp(ctx); err != nil {
		return err
	}
	cl, err := producer(x.b.kafka, "topic-0", append(eager(), kgo.ProducerLinger(0))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	acked := make(chan error, 1)
	cl.Produce(ctx, &kgo.Record{Value: noise()}, func(_ *kgo.Record, err error) { acked <- err })
	select {
	case err := <-acked:
		return fmt.Errorf("a record was answered by a shadow: %w", errors.Join(err, errTooEarly))
	case <-time.After(500 * time.Millisecond):
	}
	name := counted(topics, "topic") + ", source alive"
	if lost {
		name = counted(topics, "topic") + ", source lost"
		if err := x.a.kill(); err != nil {
			return err
		}
	} else {
		defer x.a.stop()
	}
	began := time.Now()
	command, err := x.command()
	if err != nil {
		return err
	}
	if err := <-acked; err != nil {
		return err
	}
	first := time.Since(began)
	<-command.Ended()
	whole := time.Since(began)
	ack, err := p.laterAck(ctx, cl)
	if err := errors.Join(err, command.Err()); err != nil {
		return err
	}
	p.b.report.add("Failover", name+", command to first ack", first.Seconds()*1e3, "ms", limit{Name: "an ack there later", Value: ack}).
		of(part{"to the end of the command", whole.Seconds() * 1e3})
	return nil
}

// laterAck is the median of acks, one at a time, in milliseconds: the part of a first ack that is no failover.
func (p *place) laterAck(ctx context.Context, cl *kgo.Client) (float64, error) {
	const acks = 20
	var all []time.Duration
	for range acks {
		began := time.Now()
		if err := cl.ProduceSync(ctx, &kgo.Record{Value: noise()}).FirstErr(); err != nil {
			return 0, err
		}
		all = append(all, time.Since(began))
	}
	return quantilesOf(all).p50, nil
}

var errTooEarly = errors.New("too early")

// command runs `gnomon shadow failover`.
func (x *pair) command() (*process.Process, error) {
	return process.Start("gnomon shadow failover", []string{roleVariable + "=" + roleGnomon},
		"shadow", "failover", linkName, "--yes", "--accept-missing", "--admin", x.b.url, "--format", "json")
}

func createTopics(ctx context.Context, brokers []string, n int) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return err
	}
	defer cl.Close()
	const atOnce = 500
	for from := 0; from < n; from += atOnce {
		var names []string
		for i := from; i < min(n, from+atOnce); i++ {
			names = append(names, fmt.Sprint("topic-", i))
		}
		got, err := kadm.NewClient(cl).CreateTopics(ctx, 1, -1, nil, names...)
		if err == nil {
			err = got.Error()
		}
		if err != nil {
			return err
		}
	}
	return nil
}
