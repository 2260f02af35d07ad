package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
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
