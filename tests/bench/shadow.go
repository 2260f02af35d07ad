package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/gnomon-stream/gnomon/internal/dev"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/adminpb/adminpbconnect"
)

// shadowRate is 5 MB/s.
const shadowRate = 5_000_000 / recordBytes

// shadowLag measures the time from a record's ack in region a until a reader in region b has it.
func (b *bench) shadowLag(ctx context.Context) error {
	a, err := b.startRegion("pair", "a")
	if err != nil {
		return err
	}
	shadow, err := b.startRegion("pair", "b")
	if err != nil {
		return err
	}
	if err := b.awaitLink(ctx, shadow); err != nil {
		return err
	}
	var readAt []time.Time
	s, least, err := b.paced(ctx, a, shadowRate, func(ctx context.Context, p pace) (*stream, error) {
		var err error
		var s *stream
		s, readAt, err = p.sendAndRead(ctx, a.at.Kafka, shadow.at.Kafka, topicName(16))
		return s, err
	})
	if err != nil {
		return err
	}
	var all []time.Duration
	for i := s.first(); i < len(readAt); i++ {
		all = append(all, max(readAt[i].Sub(s.acked[i]), 0))
	}
	lag, ack := quantilesOf(all), s.ackLatency()
	name := "shadow at 5 MB/s, lag"
	b.report.add(name+" p50", lag.p50, "ms", limit{Name: least.name(), Value: least.p50}, limit{Name: "ack in region a", Value: ack.p50})
	b.report.add(name+" p99", lag.p99, "ms", limit{Name: least.name(), Value: least.p99}, limit{Name: "ack in region a", Value: ack.p99})
	return nil
}

func (b *bench) awaitLink(ctx context.Context, at *region) error {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	client := adminpbconnect.NewShadowServiceClient(http.DefaultClient, at.at.Admin)
	for {
		resp, err := client.Status(ctx, connect.NewRequest(&adminpb.StatusRequest{Link: dev.LinkName}))
		if err == nil && resp.Msg.State == "ACTIVE" {
			return nil
		}
		if werr := wait(ctx, 20*time.Millisecond); werr != nil {
			return fmt.Errorf("link %s is not active: %w", dev.LinkName, errors.Join(err, werr))
		}
	}
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
	return s, readAt, g.Wait()
}
