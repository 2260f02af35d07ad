package main

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/tests/history/check"
)

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

// member stays until ctx ends, and commits what it is given.
func (w *Workload) member(ctx context.Context, rec *Recorder, who check.Event) {
	var writes commits
	cl, err := w.newMember(rec, who, func([]check.At) {}, kgo.WithHooks(&writes))
	if err != nil {
		return
	}
	defer leave(cl)
	for ctx.Err() == nil {
		e := who
		e.F = check.Poll
		if records := poll(ctx, rec, cl, e); len(records) > 0 {
			commit(ctx, rec, cl, who, records, &writes)
		}
		cl.AllowRebalance()
	}
}

// leave says good-bye, if somebody is there to hear it.
func leave(cl *kgo.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), leavingGrace)
	defer cancel()
	cl.AllowRebalance()
	_ = cl.LeaveGroupContext(ctx) // else the group finds out
	cl.Close()
}

// newMember is a client that notes what it is given and what is taken from it; resumed is called with where it begins.
func (w *Workload) newMember(rec *Recorder, who check.Event, resumed func([]check.At), opts ...kgo.Opt) (*kgo.Client, error) {
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
	return w.client(who.Agent, append([]kgo.Opt{
		kgo.ConsumerGroup(w.group(who.Group)), kgo.ConsumeTopics(w.Topic), kgo.Balancers(groups[who.Group]), kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(6 * time.Second),
		kgo.OnPartitionsRevoked(gone), kgo.OnPartitionsLost(gone),
		kgo.AdjustFetchOffsetsFn(func(_ context.Context, from map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
			var at []check.At
			for p, o := range from[w.Topic] {
				at = append(at, check.At{Partition: p, Offset: max(0, o.EpochOffset().Offset)}) // below 0: from the start
			}
			note(check.Resume, at)
			resumed(at)
			return from, nil
		}),
	}, opts...)...)
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
