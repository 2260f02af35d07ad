package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/gnomon-stream/gnomon/tests/history/check"
)

// takeover is what `gnomon shadow failover LINK --yes --format json` prints, as far as it is needed.
type takeover struct {
	DryRun     bool `json:"dry_run"`
	Mode       string
	Partitions []struct {
		Topic     string
		Partition int32
		EndOffset int64 `json:"end_offset"`
	}
}

// resume makes the workload of a history, to go on with it in another region.
func resume(path string) (*Workload, error) {
	var err error
	for e := range load(&err, path) {
		if e.F != check.Topic {
			break
		}
		return &Workload{Topic: e.Topic, Partitions: int32(len(e.At))}, nil
	}
	if err == nil {
		err = errors.New("does not begin with what it is about: it is of an older version")
	}
	return nil, fmt.Errorf("%s: %w", path, err)
}

// marker is the event between the regions. Without a report nothing may be lost.
func (w *Workload) marker(report string) (check.Event, error) {
	out := check.Event{F: check.Failover}
	if report == "" {
		return out, nil
	}
	raw, err := os.ReadFile(report)
	if err != nil {
		return out, err
	}
	var t takeover
	if err := json.Unmarshal(raw, &t); err != nil {
		return out, fmt.Errorf("%s is not what `gnomon shadow failover --format json` prints: %w", report, err)
	}
	out.Mode = t.Mode
	for _, p := range t.Partitions {
		if p.Topic == w.Topic {
			out.At = append(out.At, check.At{Partition: p.Partition, Offset: p.EndOffset})
		}
	}
	switch {
	case t.DryRun:
		return out, fmt.Errorf("%s is the report of a dry run", report)
	case len(out.At) != int(w.Partitions):
		return out, fmt.Errorf("%s names %d of %d partitions of topic %s: does the link's filter choose it?", report, len(out.At), w.Partitions, w.Topic)
	}
	return out, nil
}

// After asks the region that took over for everything, through each of its agents, and has each group go on there. It commits nothing, so
// that it can be run again; it must be the first that does so, as another member would commit.
func (w *Workload) After(ctx context.Context, rec *Recorder, marker check.Event) error {
	w.about()
	rec.End(rec.Invoke(marker), check.OK)
	for i, pin := range w.Brokers {
		if err := w.answers(ctx, rec, fmt.Sprint("asker-", i), pin); err != nil {
			return err
		}
	}
	if err := w.readAll(ctx, rec); err != nil {
		return err
	}
	for group := range groups {
		for i, pin := range w.Brokers {
			who := check.Event{Group: group, Process: fmt.Sprint(group, "-after-", i), Agent: pin}
			if err := w.goesOn(ctx, rec, who); err != nil {
				return err
			}
		}
	}
	return rec.Err()
}

// answers asks one agent until it has answered everything.
func (w *Workload) answers(ctx context.Context, rec *Recorder, process, pin string) error {
	ctx, cancel := context.WithTimeout(ctx, w.Final)
	defer cancel()
	cl, err := w.client(pin)
	if err != nil {
		return err
	}
	defer cl.Close()
	for {
		err := w.askOnce(ctx, rec, cl, process, pin)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", pin, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// goesOn has a member of a group that joins, and stays until it knows where each partition goes on, and has its next record if there is one.
func (w *Workload) goesOn(ctx context.Context, rec *Recorder, who check.Event) error {
	ctx, cancel := context.WithTimeout(ctx, w.Final)
	defer cancel()
	var mu sync.Mutex
	missing := map[int32]bool{}
	for p := range w.Partitions {
		missing[p] = true
	}
	cl, err := w.newMember(rec, who, func(at []check.At) {
		mu.Lock()
		defer mu.Unlock()
		for _, a := range at {
			if a.Offset >= w.ends[a.Partition].Load() {
				delete(missing, a.Partition)
			}
		}
	})
	if err != nil {
		return err
	}
	defer leave(cl)
	for {
		e := who
		e.F = check.Poll
		records := poll(ctx, rec, cl, e)
		mu.Lock()
		for _, r := range records {
			delete(missing, r.Partition)
		}
		left := len(missing)
		mu.Unlock()
		cl.AllowRebalance()
		switch {
		case left == 0:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%s does not go on in %d partitions: %w", who.Process, left, ctx.Err())
		}
	}
}
