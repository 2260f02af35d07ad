package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// shadowRate is 5 MB/s.
const shadowRate = 5_000_000 / recordBytes

// link measures a shadow: how far it is behind at a modest rate, and how fast it catches up.
func (p *place) link(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.b.warm()+2*p.b.o.seconds+10*settle)
	defer cancel()
	x, err := p.startPair(ctx, "link")
	if err != nil {
		return err
	}
	defer x.stop()
	if err := p.lag(ctx, x); err != nil {
		return err
	}
	return p.backlog(ctx, x)
}

// lag measures the time from a record's ack in region a until a reader in region b has it.
func (p *place) lag(ctx context.Context, x *pair) error {
	var readAt []time.Time
	s, least, err := p.paced(ctx, x.a, shadowRate, func(ctx context.Context, paced pace) (*stream, error) {
		var err error
		var s *stream
		s, readAt, err = paced.sendAndRead(ctx, x.a.kafka, x.b.kafka, topicName(16))
		return s, err
	})
	if err != nil {
		return err
	}
	lag, ack := s.lag(readAt), s.ackLatency()
	p.add("shadow at 5 MB/s, lag p50", lag.p50, "ms", limit{Name: least.name(), Value: least.p50}, limit{Name: "ack in region a", Value: ack.p50})
	p.add("shadow at 5 MB/s, lag p99", lag.p99, "ms", limit{Name: least.name(), Value: least.p99}, limit{Name: "ack in region a", Value: ack.p99})
	return nil
}

// lag is from a record's ack until it was read elsewhere.
func (s *stream) lag(readAt []time.Time) quantiles {
	var all []time.Duration
	for i := s.first(); i < len(readAt); i++ {
		all = append(all, max(readAt[i].Sub(s.acked[i]), 0))
	}
	return quantilesOf(all)
}

// sendAndRead sends a stream in one place and reads it in another. It returns when every record was read.
func (p pace) sendAndRead(ctx context.Context, to, from []string, topic string) (*stream, []time.Time, error) {
	cl, err := kgo.NewClient(
		kgo.SeedBrokers(from...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.MetadataMinAge(50*time.Millisecond), kgo.UnknownTopicRetries(-1),
	)
	if err != nil {
		return nil, nil, err
	}
	defer cl.Close()
	readAt := make([]time.Time, p.count())
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		for left := len(readAt); left > 0; {
			f := cl.PollFetches(gctx)
			if err := f.Err0(); err != nil {
				return fmt.Errorf("read at the shadow, %d records missing: %w", left, err)
			}
			now := time.Now()
			f.EachRecord(func(r *kgo.Record) {
				i := binary.BigEndian.Uint64(r.Value)
				if i < uint64(len(readAt)) && readAt[i].IsZero() {
					readAt[i] = now
					left--
				}
			})
		}
		return nil
	})
	var s *stream
	g.Go(func() error {
		var err error
		s, err = p.send(gctx, to, topic)
		return err
	})
	err = g.Wait()
	return s, readAt, err
}
