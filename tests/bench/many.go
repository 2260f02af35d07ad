package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"
)

const sectionMany = "Many partitions, members, connections"

// partitions measures many partitions with one record a second each, as many small sources make them: acks, the way to a consumer, and
// what coordinator and agents need for it.
func (p *place) partitions(ctx context.Context, n int) error {
	n = p.b.scaled(n)
	c, err := p.startCluster(clusterConfig{name: fmt.Sprint("partitions-", n)})
	if err != nil {
		return err
	}
	defer c.stop()
	ctx, cancel := context.WithTimeout(ctx, p.b.warm()+p.b.o.seconds+4*settle)
	defer cancel()
	if err := createTopic(ctx, c.kafka, "many", n); err != nil {
		return err
	}
	var acks, ways quantiles
	from, err := c.usage(ctx)
	if err != nil {
		return err
	}
	load := func(ctx context.Context) error {
		acks, ways, err = p.b.trickle(ctx, c, n)
		return err
	}
	var agents, coordinator float64
	var agentsRSS, coordinatorRSS int64
	agents, agentsRSS, err = during(ctx, func(ctx context.Context) error {
		var err error
		coordinator, coordinatorRSS, err = during(ctx, load, c.coordinator)
		return err
	}, c.agents...)
	if err != nil {
		return err
	}
	to, err := c.usage(ctx)
	if err != nil {
		return err
	}
	least, err := p.least(ctx, from, to, p.b.warm()+p.b.o.seconds)
	if err != nil {
		return err
	}
	name := counted(n, "partition") + " at 1/s"
	p.b.report.add(sectionMany, name+", ack p50", acks.p50, "ms", limit{Name: least.name(), Value: least.p50})
	p.b.report.add(sectionMany, name+", ack p99", acks.p99, "ms", limit{Name: least.name(), Value: least.p99})
	p.b.report.add(sectionMany, name+", to a consumer p50", ways.p50, "ms")
	p.b.report.add(sectionMany, name+", to a consumer p99", ways.p99, "ms")
	p.b.report.add(sectionMany, name+", CPU of the agents", agents, "cores")
	p.b.report.add(sectionMany, name+", CPU of the coordinator", coordinator, "cores")
	p.b.report.add(sectionMany, name+", memory of the agents", float64(agentsRSS)/mb, "MB")
	p.b.report.add(sectionMany, name+", memory of the coordinator", float64(coordinatorRSS)/mb, "MB")
	return nil
}

// trickle sends a record a second to each of n partitions, while a consumer reads all of them.
func (b *bench) trickle(ctx context.Context, c *cluster, n int) (acks, ways quantiles, err error) {
	p := pace{rate: float64(n), warm: b.warm(), length: b.o.seconds}
	arrived := make([]time.Duration, p.count())
	var came, tried atomic.Int64
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.kafka...), kgo.ConsumeTopics("many"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return acks, ways, err
	}
	defer cl.Close()
	reading, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for reading.Err() == nil {
			now := time.Now
			cl.PollFetches(reading).EachRecord(func(r *kgo.Record) {
				i := binary.BigEndian.Uint64(r.Value)
				if i == trial {
					tried.Add(1)
					return
				}
				due := time.Unix(0, int64(binary.BigEndian.Uint64(r.Value[8:])))
				arrived[i] = now().Sub(due)
				came.Add(1)
			})
		}
	}()
	// The consumer has found all partitions before the stream begins: what that takes is no lag.
	var s *stream
	if err = tryAll(ctx, c.kafka, n); err == nil {
		err = reach(ctx, &tried, n)
	}
	if err == nil {
		s, err = p.scatter(ctx, c.kafka, n)
	}
	if err == nil {
		err = reach(ctx, &came, p.count())
	}
	stop()
	<-ended
	if err != nil {
		return acks, ways, err
	}
	return s.ackLatency(), quantilesOf(arrived[p.first():]), nil
}

// trial marks a record that is not of the stream.
const trial = ^uint64(0)

// tryAll sends one such record to each partition.
func tryAll(ctx context.Context, brokers []string, partitions int) error {
	cl, err := producer(brokers, "many", kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer cl.Close()
	var failed kgo.FirstErrPromise
	for i := range partitions {
		cl.Produce(ctx, &kgo.Record{Partition: int32(i), Value: binary.BigEndian.AppendUint64(nil, trial)}, failed.Promise())
	}
	return failed.Err()
}

// reach waits until so many records have reached the consumer.
func reach(ctx context.Context, came *atomic.Int64, want int) error {
	for end := time.Now().Add(settle); int(came.Load()) < want; {
		if time.Now().After(end) {
			return fmt.Errorf("%d of %d records reached the consumer", came.Load(), want)
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// scatter sends the stream's records to one partition after the other.
func (p pace) scatter(ctx context.Context, brokers []string, partitions int) (*stream, error) {
	cl, err := producer(brokers, "many", kgo.ProducerLinger(0), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	s := &stream{pace: p, due: make([]time.Time, p.count()), acked: make([]time.Time, p.count())}
	var failed atomic.Pointer[error]
	err = p.run(ctx, func(i int, due time.Time) {
		s.due[i] = due
		value := slices.Clone(noise()[:128])
		binary.BigEndian.PutUint64(value, uint64(i))
		binary.BigEndian.PutUint64(value[8:], uint64(due.UnixNano()))
		cl.Produce(ctx, &kgo.Record{Partition: int32(i % partitions), Value: value}, func(_ *kgo.Record, err error) {
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

// connections measures what connections cost that do nothing.
func (p *place) connections(ctx context.Context, n int) error {
	n = p.b.scaled(n)
	c, err := p.startCluster(clusterConfig{name: "connections", agent: []string{
		"--max-connections", "6000", "--max-connections-per-address", "6000", "--memory-bytes", fmt.Sprint(2 << 30),
	}})
	if err != nil {
		return err
	}
	defer c.stop()
	var open []net.Conn
	defer func() {
		for _, nc := range open {
			_ = nc.Close()
		}
	}()
	before, err := costOf(c.agents[0])
	if err != nil {
		return err
	}
	began := time.Now()
	for range n {
		m, err := dialMember(ctx, c.kafka[0])
		if err != nil {
			return err
		}
		open = append(open, m.nc)
		if _, err := m.ask(ctx, kmsg.NewPtrApiVersionsRequest(), 0); err != nil {
			return err
		}
	}
	took := time.Since(began)
	after, err := costOf(c.agents[0])
	if err != nil {
		return err
	}
	p.b.report.add(sectionMany, counted(n, "idle connection")+", memory each", float64(after.rss-before.rss)/float64(n)/1e3, "kB")
	p.b.report.add(sectionMany, counted(n, "idle connection")+", opened", float64(n)/took.Seconds(), "/s")
	return nil
}

// member is a raw connection that speaks the group protocol: a thousand clients would cost more than what is measured.
type member struct {
	nc         net.Conn
	id         string
	generation int32
}

func dialMember(ctx context.Context, addr string) (*member, error) {
	nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &member{nc: nc}, nil
}

var formatter = kmsg.NewRequestFormatter(kmsg.FormatterClientID("bench"))

func (m *member) ask(ctx context.Context, req kmsg.Request, version int16) (kmsg.Response, error) {
	deadline, _ := ctx.Deadline()
	if err := m.nc.SetDeadline(deadline); err != nil {
		return nil, err
	}
	req.SetVersion(version)
	if _, err := m.nc.Write(formatter.AppendRequest(nil, req, 1)); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(m.nc, size[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(m.nc, body); err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	resp.SetVersion(version)
	return resp, resp.ReadFrom(body[4:])
}

// joinVersion and syncVersion are of before members were announced: one round a join.
const joinVersion, syncVersion = 3, 2

// join joins the group and takes an assignment; it gives how many members the generation has, as far as the leader is told.
func (m *member) join(ctx context.Context) (leader bool, members int, err error) {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.ProtocolType, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = "bench", m.id, "consumer", 60_000, 60_000
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 0}}}
	got, err := m.ask(ctx, req, joinVersion)
	if err != nil {
		return false, 0, err
	}
	joined := got.(*kmsg.JoinGroupResponse)
	if joined.ErrorCode != 0 {
		return false, 0, fmt.Errorf("join: code %d", joined.ErrorCode)
	}
	m.id, m.generation = joined.MemberID, joined.Generation
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group, sync.MemberID, sync.Generation = "bench", m.id, joined.Generation
	for _, x := range joined.Members {
		sync.GroupAssignment = append(sync.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: x.MemberID, MemberAssignment: []byte{0, 1, 0, 0, 0, 0}})
	}
	got, err = m.ask(ctx, sync, syncVersion)
	if err != nil {
		return false, 0, err
	}
	if code := got.(*kmsg.SyncGroupResponse).ErrorCode; code != 0 {
		return false, 0, errRejoin
	}
	return joined.LeaderID == m.id, len(joined.Members), nil
}

// takePart joins, and joins again whenever the group rebalances, until the leader has seen all members.
func (m *member) takePart(ctx context.Context, all int, complete <-chan struct{}, done func()) error {
	for {
		leader, size, err := m.join(ctx)
		switch {
		case errors.Is(err, errRejoin):
			continue
		case err != nil:
			return err
		case leader && size == all:
			done()
		}
		for rebalance := false; !rebalance; {
			select {
			case <-complete:
				return nil
			case <-time.After(50 * time.Millisecond):
			}
			beat := kmsg.NewPtrHeartbeatRequest()
			beat.Group, beat.MemberID, beat.Generation = "bench", m.id, m.generation
			got, err := m.ask(ctx, beat, 2)
			if err != nil {
				return err
			}
			rebalance = got.(*kmsg.HeartbeatResponse).ErrorCode != 0
		}
	}
}

var errRejoin = errors.New("the group rebalances")

// group measures how long a group of many members takes to be stable: when all come at once, and when one more comes.
func (p *place) group(ctx context.Context, n int) error {
	n = p.b.scaled(n)
	c, err := p.startCluster(clusterConfig{name: "group", agent: []string{"--max-connections-per-address", "3000"}})
	if err != nil {
		return err
	}
	defer c.stop()
	ctx, cancel := context.WithTimeout(ctx, 3*settle)
	defer cancel()
	members := make([]*member, n)
	for i := range members {
		if members[i], err = dialMember(ctx, c.kafka[i%len(c.kafka)]); err != nil {
			return err
		}
		defer func() { _ = members[i].nc.Close() }()
	}
	stable := func() (time.Duration, error) {
		began := time.Now()
		complete := make(chan struct{})
		var once sync.Once
		g, gctx := errgroup.WithContext(ctx)
		for _, m := range members {
			g.Go(func() error {
				return m.takePart(gctx, len(members), complete, func() { once.Do(func() { close(complete) }) })
			})
		}
		err := g.Wait()
		return time.Since(began), err
	}
	all, err := stable()
	if err != nil {
		return err
	}
	again, err := stable()
	if err != nil {
		return err
	}
	p.b.report.add(sectionMany, fmt.Sprintf("group of %s, all come at once: stable after", counted(n, "member")), all.Seconds()*1e3, "ms")
	p.b.report.add(sectionMany, fmt.Sprintf("group of %s, all join again: stable after", counted(n, "member")), again.Seconds()*1e3, "ms")
	began := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	for _, m := range members {
		g.Go(func() error {
			req := kmsg.NewPtrLeaveGroupRequest()
			req.Group, req.MemberID = "bench", m.id
			_, err := m.ask(gctx, req, 2)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	p.b.report.add(sectionMany, fmt.Sprintf("group of %s, all leave: empty after", counted(n, "member")), time.Since(began).Seconds()*1e3, "ms")
	return nil
}
