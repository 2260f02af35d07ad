package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/tests/history/check"
)

// reader is a client that reads all partitions from the start.
func (w *Workload) reader(rec *Recorder, process, pin string) (*kgo.Client, error) {
	from, at := map[int32]kgo.Offset{}, []check.At{}
	for p := range w.Partitions {
		from[p] = kgo.NewOffset().At(0) // if that was deleted, the client goes on at the log start
		at = append(at, check.At{Partition: p})
	}
	cl, err := w.client(pin, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{w.Topic: from}))
	if err == nil {
		rec.End(rec.Invoke(check.Event{F: check.Resume, Process: process, At: at}), check.OK)
	}
	return cl, err
}

// consume reads until ctx ends.
func (w *Workload) consume(ctx context.Context, rec *Recorder, process, pin string) {
	cl, err := w.reader(rec, process, pin)
	if err != nil {
		return
	}
	defer cl.Close()
	for ctx.Err() == nil {
		poll(ctx, rec, cl, check.Event{F: check.Poll, Process: process, Agent: pin})
	}
}

// readToEnd reads what is there now.
func (w *Workload) readToEnd(ctx context.Context, rec *Recorder, process, pin string) error {
	cl, err := w.reader(rec, process, pin)
	if err != nil {
		return err
	}
	defer cl.Close()
	op := rec.Invoke(check.Event{F: check.End, Process: process, Agent: pin})
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, w.Topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("list the ends through %s: %w", pin, err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		op.At = append(op.At, check.At{Partition: o.Partition, Offset: o.Offset})
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	rec.End(op, check.OK)
	for ctx.Err() == nil && len(left) > 0 {
		for _, r := range poll(ctx, rec, cl, check.Event{F: check.Poll, Process: process, Agent: pin}) {
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("%s: partitions %v could not be read to their ends through %s: %w", process, slices.Sorted(maps.Keys(left)), pin, ctx.Err())
	}
	return nil
}

func poll(ctx context.Context, rec *Recorder, cl *kgo.Client, e check.Event) []*kgo.Record {
	op := rec.Invoke(e)
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	records := cl.PollRecords(short, 1000).Records()
	for _, r := range records {
		op.Records = append(op.Records, check.Record{Partition: r.Partition, Offset: r.Offset, Value: decode(r.Value)})
	}
	rec.End(op, check.OK)
	return records
}

// group is its id for Kafka: groups of one run are nobody else's.
func (w *Workload) group(name string) string { return w.Topic + "-" + name }

// join has a member of a group, which leaves after a while and joins again, unless it stays.
func (w *Workload) join(ctx context.Context, rec *Recorder, group, process, pin string, stays bool) {
	for i := 0; ctx.Err() == nil; i++ {
		life, cancel := context.WithTimeout(ctx, membersStay)
		if stays {
			cancel()
			life, cancel = context.WithCancel(ctx)
		}
		w.member(life, rec, check.Event{Group: group, Process: fmt.Sprint(process, "-", i), Agent: pin})
		cancel()
	}
}

// commits counts how often a client has sent OffsetCommit.
type commits struct{ atomic.Int64 }

const offsetCommitKey = 8

func (c *commits) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	if key == offsetCommitKey {
		c.Add(1)
	}
}

func (c *commits) OnBrokerConnect(kgo.BrokerMetadata, time.Duration, net.Conn, error) {}

func (w *Workload) member(ctx context.Context, rec *Recorder, who check.Event) {
	note := func(f string, at []check.At) {
		e := who
		e.F, e.At = f, at
		rec.End(rec.Invoke(e), check.OK)
	}
	gone := func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
		var at []check.At
		for _, p := range lost[w.Topic] {
			at = append(at, check.At{Partition: p})
		}
		note(check.Revoke, at)
	}
	var writes commits
	cl, err := w.client(who.Agent,
		kgo.ConsumerGroup(w.group(who.Group)), kgo.ConsumeTopics(w.Topic), kgo.Balancers(groups[who.Group]), kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(6*time.Second), kgo.WithHooks(&writes),
		kgo.OnPartitionsRevoked(gone), kgo.OnPartitionsLost(gone),
		kgo.AdjustFetchOffsetsFn(func(_ context.Context, from map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
			var at []check.At
			for p, o := range from[w.Topic] {
				at = append(at, check.At{Partition: p, Offset: max(0, o.EpochOffset().Offset)}) // below 0: from the start
			}
			note(check.Resume, at)
			return from, nil
		}))
	if err != nil {
		return
	}
	defer cl.CloseAllowingRebalance()
	for ctx.Err() == nil {
		e := who
		e.F = check.Poll
		if records := poll(ctx, rec, cl, e); len(records) > 0 {
			commit(ctx, rec, cl, who, records, &writes)
		}
		cl.AllowRebalance()
	}
}

func commit(ctx context.Context, rec *Recorder, cl *kgo.Client, who check.Event, records []*kgo.Record, writes *commits) {
	next := map[int32]int64{}
	for _, r := range records {
		next[r.Partition] = r.Offset + 1
	}
	who.F = check.Commit
	for p, o := range next {
		who.At = append(who.At, check.At{Partition: p, Offset: o})
	}
	before := writes.Load()
	op := rec.Invoke(who)
	if err := cl.CommitRecords(ctx, records...); err != nil {
		op.Error = err.Error()
		rec.End(op, check.Info) // even a refusal may be the answer to a second attempt
		return
	}
	if n := writes.Load() - before; n != 1 {
		op.Error = fmt.Sprint("sent ", n, " times")
	}
	rec.End(op, check.OK)
}
