package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/process"
	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
)

// Options of a demo.
type Options struct {
	Data        string // directory for both regions; empty means a temporary one that is removed
	Rate        int    // records a second; 0 means 4,000
	Environment []string
	Say         func(format string, args ...any) // progress, a line each
	Now         func() time.Time
}

const (
	topic      = "flights"
	group      = "flight-board"
	partitions = 12
	rateUsual  = 4000
	limit      = 3 * time.Minute // for all of it
	// quietFor is how long no ack may have come before the failover begins, so that later ones are surely b's.
	quietFor = 200 * time.Millisecond
)

// Run runs the demo. The report's OK, not the error, tells whether promises were kept; an error means that there is none.
func Run(ctx context.Context, o Options) (*Report, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if o.Rate == 0 {
		o.Rate = rateUsual
	}
	if o.Data == "" {
		dir, err := os.MkdirTemp("", "gnomon-demo-")
		if err != nil {
			return nil, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		o.Data = dir
	}
	rows, err := records(topic)
	if err != nil {
		return nil, err
	}
	o.Say("starting regions a and b, each a process with its own etcd and bucket, in %s", o.Data)
	p, err := startPair(ctx, o)
	if err != nil {
		return nil, err
	}
	r, err := o.play(ctx, p, rows)
	return r, errors.Join(err, p.stop())
}

// scene is one run, once both regions are up.
type scene struct {
	o      Options
	p      *pair
	rows   []*kgo.Record
	path   *witness.Redirect
	stream *stream
	reader *witness.Reader

	atA            []*kgo.Record // acked by region a
	command        time.Time     // when the failover was ordered
	flipped        time.Time     // when it was done
	failoverReport *adminpb.FailoverReport
	boundary       witness.Boundary
}

func (o Options) play(ctx context.Context, p *pair, rows []*kgo.Record) (*Report, error) {
	s := &scene{o: o, p: p, rows: rows, path: witness.NewRedirect(p.atA.Kafka, p.atB.Kafka)}
	o.Say("region a: pid %d, kafka %s; region b: pid %d, kafka %s; link a-to-b is active", p.a.PID(), p.atA.Kafka[0], p.b.PID(), p.atB.Kafka[0])
	if err := createTopic(ctx, p.atA.Kafka, topic, partitions); err != nil {
		return nil, err
	}
	var err error
	if s.reader, err = witness.StartReader(p.atA.Kafka, topic, group, o.Now, s.path.Option()); err != nil {
		return nil, err
	}
	defer s.reader.Close()
	sending, stop := context.WithCancel(ctx)
	if s.stream, err = startStream(sending, p.atA.Kafka, s.path, rows, o.Rate, o.Now); err != nil {
		stop()
		return nil, err
	}
	defer func() {
		stop()
		<-s.stream.done
		s.stream.client.Close()
	}()
	o.Say("streaming %d flights at %d a second into topic %s (%d partitions), group %s reads", len(rows), o.Rate, topic, partitions, group)
	for _, act := range []func(context.Context) error{s.untilHalf, s.kill, s.failover, s.untilEnd} {
		if err := act(ctx); err != nil {
			return nil, err
		}
	}
	return s.judge(ctx)
}

// untilHalf waits until half of the records are acked, and tells how it goes.
func (s *scene) untilHalf(ctx context.Context) error {
	return s.watch(ctx, func() bool { return s.stream.ledger.Acked() >= len(s.rows)/2 })
}

// watch waits for a condition, and says each second where the stream and the group are.
func (s *scene) watch(ctx context.Context, done func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	said := s.o.Now()
	for !done() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the stream stood still at %d acked records: %w", s.stream.ledger.Acked(), ctx.Err())
		case <-s.p.b.Ended():
			return fmt.Errorf("region b ended: %w\n%s", errors.Join(s.p.b.Err(), process.ErrEnded), s.p.b.Log())
		case <-tick.C:
		}
		if now := s.o.Now(); now.Sub(said) >= time.Second {
			said = now
			progress, _ := s.reader.Progress()
			s.o.Say("  %d acked, %d delivered", s.stream.ledger.Acked(), progress.Delivered)
		}
	}
	return nil
}

func (s *scene) kill(ctx context.Context) error {
	s.o.Say("SIGKILL of region a: agents, coordinator and etcd")
	if err := s.p.a.Kill(); err != nil {
		return err
	}
	return s.watch(ctx, func() bool { return s.stream.quiet() > quietFor })
}

func (s *scene) failover(ctx context.Context) error {
	s.atA = s.stream.flip()
	s.o.Say("gnomon shadow failover a-to-b --yes")
	s.command = s.o.Now()
	report, err := s.p.failover(ctx)
	if err != nil {
		return err
	}
	s.flipped = s.o.Now()
	s.failoverReport, s.boundary = report, witness.Boundary{}
	for _, b := range report.Partitions {
		if b.Topic == topic {
			s.boundary[b.Partition] = b.EndOffset
		}
	}
	if err := s.reader.Flip(ctx, s.p.atB.Kafka, s.boundary); err != nil {
		return err
	}
	s.path.Flip()
	s.o.Say("region b is the primary: %s, epoch %d; the same clients go on there", report.Mode, report.Epoch)
	return nil
}

// untilEnd waits until all is sent and read.
func (s *scene) untilEnd(ctx context.Context) error {
	if err := s.watch(ctx, func() bool {
		select {
		case <-s.stream.done:
			return true
		default:
			return false
		}
	}); err != nil {
		return err
	}
	ends, err := witness.Ends(ctx, s.p.atB.Kafka, topic)
	if err != nil {
		return err
	}
	return s.watch(ctx, func() bool { return s.reader.Behind(ends) == "" })
}

// judge compares what clients were promised with what region b has.
func (s *scene) judge(ctx context.Context) (*Report, error) {
	have, err := witness.ReadAll(ctx, s.p.atB.Kafka, topic)
	if err != nil {
		return nil, err
	}
	lost, found := s.stream.ledger.Check(have, s.boundary)
	progress, group := s.reader.Progress()
	r := &Report{
		AckedAtA: len(s.atA), Mode: s.failoverReport.Mode, Boundary: s.boundary, AckedAtB: s.stream.ledger.Acked() - len(s.atA),
		Delivered: progress.Delivered, DeliveredAgain: progress.Again, DeliveredBelowCommitted: progress.Below, Skipped: progress.Skipped,
		Problems: append(append([]string{}, found.First...), group.First...),
		RTO: RTO{
			Command: s.flipped.Sub(s.command).Seconds(), FirstAck: s.stream.firstAfterFlip().Sub(s.command).Seconds(),
			FirstRecord: progress.FirstAfterFlip.Sub(s.command).Seconds(),
		},
	}
	var first, last time.Time
	for _, ack := range s.atA {
		at := s.stream.times(ack)
		if at.After(last) {
			last = at
		}
		if !s.boundary.Lost(ack, have) {
			r.PresentAtB++
			continue
		}
		r.RPO.Records++
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	if r.RPO.Records > 0 {
		r.RPO.Seconds = last.Sub(first).Seconds()
	}
	if lost != r.RPO.Records {
		r.Problems = append(r.Problems, fmt.Sprintf("%d records are missing, %d of them beyond the boundary", lost, r.RPO.Records))
	}
	if err := s.stream.ledger.Err(); err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
	r.OK = len(r.Problems) == 0 && progress.Skipped == 0 && progress.Below == 0 && s.stream.ledger.Acked() == len(s.rows)
	return r, nil
}
