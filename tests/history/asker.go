package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/tests/history/check"
)

// ask asks one agent for all that it tells of partitions, and for what the groups have committed, over and over.
func (w *Workload) ask(ctx context.Context, rec *Recorder, process, pin string) {
	cl, err := w.client(pin)
	if err != nil {
		return
	}
	defer cl.Close()
	for ctx.Err() == nil {
		_ = w.askOnce(ctx, rec, cl, process, pin) // it is in the history
		time.Sleep(10 * time.Millisecond)
	}
}

func (w *Workload) askOnce(ctx context.Context, rec *Recorder, cl *kgo.Client, process, pin string) error {
	adm, errs := kadm.NewClient(cl), []error{}
	for _, q := range []struct {
		what string
		list func(context.Context, ...string) (kadm.ListedOffsets, error)
	}{{check.End, adm.ListEndOffsets}, {check.Stable, adm.ListCommittedOffsets}, {check.Start, adm.ListStartOffsets}} {
		op := rec.Invoke(check.Event{F: q.what, Process: process, Agent: pin})
		have, err := q.list(ctx, w.Topic)
		if err == nil {
			err = have.Error()
		}
		have.Each(func(o kadm.ListedOffset) { op.At = append(op.At, check.At{Partition: o.Partition, Offset: o.Offset}) })
		errs = append(errs, rec.outcome(op, err))
		for _, at := range op.At {
			w.told(at.Partition, at.Offset)
		}
	}
	// At the ends an agent has to ask for the head of the log if its view lags; in the middle it tells what its view holds.
	for _, part := range []int64{1, 2} {
		op := rec.Invoke(check.Event{F: check.Fetch, Process: process, Agent: pin})
		var err error
		op.Marks, err = w.marks(ctx, cl, part)
		errs = append(errs, rec.outcome(op, err))
	}
	for group := range groups {
		op := rec.Invoke(check.Event{F: check.Committed, Process: process, Agent: pin, Group: group})
		have, err := adm.FetchOffsets(ctx, w.group(group))
		if err == nil {
			err = have.Error()
		}
		have.Each(func(o kadm.OffsetResponse) { op.At = append(op.At, check.At{Partition: o.Partition, Offset: o.At}) })
		errs = append(errs, rec.outcome(op, err))
	}
	return errors.Join(errs...)
}

// outcome ends what has no effect.
func (r *Recorder) outcome(op check.Event, err error) error {
	if err != nil {
		op.Error, op.At, op.Marks = err.Error(), nil, nil
		r.End(op, check.Fail)
		return err
	}
	r.End(op, check.OK)
	return nil
}

// marks asks by one Fetch, at the highest ends that anybody was told, maybe by another agent, divided by part.
func (w *Workload) marks(ctx context.Context, cl *kgo.Client, part int64) ([]check.Mark, error) {
	req, topic := kmsg.NewPtrFetchRequest(), kmsg.NewFetchRequestTopic()
	topic.Topic = w.Topic
	topics, err := kadm.NewClient(cl).ListTopics(ctx, w.Topic)
	if err != nil {
		return nil, err
	}
	topic.TopicID = topics[w.Topic].ID
	asked := map[int32]int64{}
	for n := range w.Partitions {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = n, w.ends[n].Load()/part, 1
		asked[n] = p.FetchOffset
		topic.Partitions = append(topic.Partitions, p)
	}
	req.MaxBytes, req.Topics = 1, []kmsg.FetchRequestTopic{topic}
	resp, err := req.RequestWith(ctx, cl)
	switch {
	case err != nil:
		return nil, err
	case resp.ErrorCode != 0:
		return nil, kerr.ErrorForCode(resp.ErrorCode)
	case len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != int(w.Partitions):
		return nil, fmt.Errorf("an answer of %d topics", len(resp.Topics))
	}
	var out []check.Mark
	for _, p := range resp.Topics[0].Partitions {
		m := check.Mark{Partition: p.Partition, Asked: asked[p.Partition], End: p.HighWatermark, Stable: p.LastStableOffset, Start: p.LogStartOffset}
		switch err := kerr.ErrorForCode(p.ErrorCode); {
		case errors.Is(err, kerr.OffsetOutOfRange):
			m.Refused = true
		case err != nil:
			continue // it tells nothing
		}
		out = append(out, m)
	}
	return out, nil
}

// trim deletes the older half of the last partition, again and again: the log start rises, and readers are led to it.
func (w *Workload) trim(ctx context.Context, rec *Recorder, adm *kadm.Client) {
	last := w.Partitions - 1
	for ctx.Err() == nil {
		to := w.ends[last].Load() / 2
		op := rec.Invoke(check.Event{F: check.Delete, Process: "trim", At: []check.At{{Partition: last, Offset: to}}})
		have, err := adm.DeleteRecords(ctx, kadm.Offsets{w.Topic: {last: {Topic: w.Topic, Partition: last, At: to}}})
		if err == nil {
			err = have.Error()
		}
		if err != nil {
			op.Error = err.Error()
			rec.End(op, check.Info)
		} else {
			op.At[0].Offset = have[w.Topic][last].LowWatermark
			rec.End(op, check.OK)
		}
		time.Sleep(time.Second)
	}
}
