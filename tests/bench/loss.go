package main

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

const (
	lossRate  = 1_000 // records a second
	lossGroup = "readers"
)

// loss is a region that is lost under a producer and a consumer group, which go on at the other one.
type loss struct {
	a, b          []string // brokers
	topic         string
	kill          func() error                // region a, at once
	takeOver      func(context.Context) error // what has to be done at region b; nil: nothing
	before, after time.Duration
}

// outcome of a loss.
type outcome struct {
	twice, lost int
	next        time.Duration // from the kill until the group got a record that it had not had before
	tookOver    time.Duration // from the kill until what had to be done at region b was done
	acked       time.Duration // from the kill until region b acked the first record
}

// secondRegion is the first number of what is written at region b.
const secondRegion = 1 << 40

// group is the consumer group, of one member at a time.
type group struct {
	mu    sync.Mutex
	seen  map[uint64]bool
	twice int
	next  time.Time // when region b gave it the first record that is new to it
}

func (g *group) note(n uint64, second bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.seen[n]:
		g.twice++
	case second && g.next.IsZero():
		g.next = time.Now()
	}
	g.seen[n] = true
}

// moved tells whether region b gave the group anything that is new to it.
func (g *group) moved() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.next.IsZero()
}

// read is a member, which commits what it was given after each poll, until ctx ends.
func (g *group) read(ctx context.Context, brokers []string, topic string, second bool) error {
	cl, err := kgo.NewClient(append(eager(), kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic), kgo.ConsumerGroup(lossGroup), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.UnknownTopicRetries(-1), kgo.RetryTimeout(time.Second),
		kgo.FetchMaxWait(500*time.Millisecond))...) // as the Java client: a fetch that is under way holds up partitions that come to it
	if err != nil {
		return err
	}
	defer cl.CloseAllowingRebalance()
	for ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if len(r.Value) == numberBytes { // else of what made the topic
				g.note(binary.BigEndian.Uint64(r.Value), second)
			}
		})
		if ctx.Err() == nil {
			_ = cl.CommitUncommittedOffsets(ctx) // what could not be committed comes twice, and is counted
		}
	}
	return nil
}

const numberBytes = 8

// write sends numbered records, from a number on, until ctx ends, and gives those that were acked.
func write(ctx context.Context, brokers []string, topic string, from uint64) (written, error) {
	cl, err := producer(brokers, topic, append(eager(), kgo.ProducerLinger(0), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))...)
	if err != nil {
		return written{}, err
	}
	var mu sync.Mutex
	var out written
	began := time.Now()
	for n := from; ; n++ {
		if wait(ctx, time.Until(began.Add(time.Duration(n-from)*time.Second/lossRate))) != nil {
			break
		}
		cl.Produce(context.WithoutCancel(ctx), &kgo.Record{Value: binary.BigEndian.AppendUint64(nil, n)}, func(_ *kgo.Record, err error) {
			if err == nil {
				mu.Lock()
				if out.acked = append(out.acked, n); out.first.IsZero() {
					out.first = time.Now()
				}
				mu.Unlock()
			}
		})
	}
	// What is under way is waited for briefly: the region may be gone.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	_ = cl.Flush(last)
	cancel()
	cl.Close()
	mu.Lock()
	defer mu.Unlock()
	return written{first: out.first, acked: slices.Clone(out.acked)}, nil
}

// written is what was acked, and when the first of it was.
type written struct {
	acked []uint64
	first time.Time
}

// run loses region a while clients are at work there. They go to region b at that instant, whoever has to do something there yet.
func (x loss) run(ctx context.Context) (outcome, error) {
	members := &group{seen: map[uint64]bool{}}
	first, leave := context.WithCancel(ctx)
	defer leave()
	second, stop := context.WithCancel(ctx)
	defer stop()
	writing, enough := context.WithCancel(second)
	defer enough()
	var sent [2]written
	var tookOver time.Duration
	var g errgroup.Group
	g.Go(func() error { return members.read(first, x.a, x.topic, false) })
	g.Go(func() (err error) {
		sent[0], err = write(first, x.a, x.topic, 0)
		return err
	})
	if err := wait(ctx, x.before); err != nil {
		return outcome{}, err
	}
	killed := time.Now()
	err := x.kill()
	leave()
	g.Go(func() error { return members.read(second, x.b, x.topic, true) })
	g.Go(func() (err error) {
		sent[1], err = write(writing, x.b, x.topic, secondRegion)
		return err
	})
	if err == nil && x.takeOver != nil {
		err = x.takeOver(ctx)
		tookOver = time.Since(killed)
	}
	for end := time.Now().Add(2 * settle); err == nil && !members.moved() && time.Now().Before(end); {
		err = wait(ctx, 20*time.Millisecond)
	}
	if err == nil {
		err = wait(ctx, x.after)
	}
	enough()
	if err == nil {
		err = wait(ctx, x.after) // for the reader to get to the end
	}
	stop()
	if err := errors.Join(err, g.Wait()); err != nil {
		return outcome{}, err
	}
	out, err := members.outcome(killed, slices.Concat(sent[0].acked, sent[1].acked))
	out.tookOver, out.acked = tookOver, sent[1].first.Sub(killed)
	return out, err
}

func (g *group) outcome(killed time.Time, acked []uint64) (outcome, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next.IsZero() {
		return outcome{}, errors.New("nothing new was read after the loss")
	}
	out := outcome{twice: g.twice, next: g.next.Sub(killed)}
	for _, n := range acked {
		if !g.seen[n] {
			out.lost++
		}
	}
	return out, nil
}

// besideFailover loses a region of Gnomon and a broker that MirrorMaker 2 copies, under the same clients.
func (p *place) besideFailover(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*settle)
	defer cancel()
	k, err := p.kafka(ctx)
	if err != nil {
		return err
	}
	ours, err := p.loseRegion(ctx)
	if err != nil {
		return err
	}
	theirs, err := p.loseBroker(ctx, k)
	if err != nil {
		return err
	}
	add := func(name string, ours, theirs float64, unit string) *figure {
		return p.b.report.add(sectionKafka, "source lost at 1,000 records/s: "+name, ours, unit, limit{Name: mirrorName, Value: theirs})
	}
	add("from the kill to the next record", ours.next.Seconds()*1e3, theirs.next.Seconds()*1e3, "ms").
		of(part{"command done", ours.tookOver.Seconds() * 1e3}, part{"first ack", ours.acked.Seconds() * 1e3})
	add("records delivered twice", float64(ours.twice), float64(theirs.twice), "records")
	add("records acked and lost", float64(ours.lost), float64(theirs.lost), "records")
	return nil
}

func (p *place) loseBroker(ctx context.Context, k *kafka) (outcome, error) {
	x, err := k.pair(ctx)
	if err != nil {
		return outcome{}, err
	}
	defer x.kill()
	topic := topicName(16)
	if err := x.await(ctx, topic); err != nil {
		return outcome{}, err
	}
	return p.loss([]string{x.a.addr}, []string{x.b.addr}, func() error { x.a.kill(); return nil }, nil).run(ctx)
}

// loseRegion loses a region of Gnomon with its etcd.
func (p *place) loseRegion(ctx context.Context) (outcome, error) {
	x, err := p.startPair(ctx, "loss")
	if err != nil {
		return outcome{}, err
	}
	defer x.b.stop()
	if err := createTopic(ctx, x.a.kafka, topicName(16), 16); err != nil {
		return outcome{}, err
	}
	if err := x.awaitCaughtUp(ctx); err != nil {
		return outcome{}, err
	}
	return p.loss(x.a.kafka, x.b.kafka, x.a.kill, func(context.Context) error {
		command, err := x.command()
		if err != nil {
			return err
		}
		<-command.Ended()
		return command.Err()
	}).run(ctx)
}

func (p *place) loss(a, b []string, kill func() error, takeOver func(context.Context) error) loss {
	return loss{a: a, b: b, topic: topicName(16), kill: kill, takeOver: takeOver, before: 3 * p.b.o.seconds, after: p.b.o.seconds}
}
