package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// quantiles of some durations, in milliseconds.
type quantiles struct{ p50, p99 float64 }

func quantilesOf(all []time.Duration) quantiles {
	if len(all) == 0 {
		return quantiles{}
	}
	slices.Sort(all)
	at := func(q float64) float64 { return all[int(q*float64(len(all)-1)+0.5)].Seconds() * 1e3 }
	return quantiles{p50: at(0.5), p99: at(0.99)}
}

// pace is an open loop: events at a rate, whatever becomes of those before.
type pace struct {
	rate         float64 // a second
	warm, length time.Duration
}

func (p pace) count() int { return max(int(p.rate*(p.warm+p.length).Seconds()), 2) }

// first is the first event after the warm-up.
func (p pace) first() int { return int(p.rate * p.warm.Seconds()) }

// due is when an event is to happen.
func (p pace) due(began time.Time, i int) time.Time {
	return began.Add(time.Duration(float64(i) / p.rate * float64(time.Second)))
}

// run calls event for each number, no earlier than it is due. Events may block: those behind are then late, and know it.
func (p pace) run(ctx context.Context, event func(i int, due time.Time)) error {
	began := time.Now()
	for i := range p.count() {
		due := p.due(began, i)
		if d := time.Until(due); d > 0 {
			if err := wait(ctx, d); err != nil {
				return err
			}
		}
		event(i, due)
	}
	return nil
}

// stream is a paced stream of numbered records.
type stream struct {
	pace
	due   []time.Time
	acked []time.Time // zero: not acked
}

// send sends the stream through one producer that does not linger, and waits for the acks.
func (p pace) send(ctx context.Context, brokers []string, topic string) (*stream, error) {
	cl, err := producer(brokers, topic, kgo.ProducerLinger(0))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	s := &stream{pace: p, due: make([]time.Time, p.count()), acked: make([]time.Time, p.count())}
	var failed atomic.Pointer[error]
	err = p.run(ctx, func(i int, due time.Time) {
		s.due[i] = due
		value := slices.Clone(noise())
		binary.BigEndian.PutUint64(value, uint64(i))
		cl.Produce(ctx, &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			s.acked[i] = time.Now()
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
	})
	if err == nil {
		err = cl.Flush(ctx)
	}
	if f := failed.Load(); f != nil {
		return nil, fmt.Errorf("produce: %w", *f)
	}
	return s, err
}

// ackLatency leaves the warm-up out.
func (s *stream) ackLatency() quantiles {
	var all []time.Duration
	for i := s.first(); i < len(s.due); i++ {
		all = append(all, s.acked[i].Sub(s.due[i]))
	}
	return quantilesOf(all)
}
