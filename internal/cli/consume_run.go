package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// pollMax bounds the records of one poll, and so what a crash may write again.
const pollMax = 1000

// closeTimeout bounds the last commit, and the leaving of the group.
const closeTimeout = 5 * time.Second

// errIdle ends a run after --timeout.
var errIdle = errors.New("no record came in time")

func (e *Env) consume(ctx context.Context, f consumeFlags, topics []string) error {
	opts, err := f.options(topics)
	if err != nil {
		return err
	}
	what := "consume " + strings.Join(topics, ", ")
	// The topics are looked at before a group is joined: a member without topics disturbs the others for nothing.
	if err := e.administer(ctx, func(ctx context.Context, admin *kadm.Client) error {
		_, err := requireTopics(ctx, admin, what, topics...)
		return err
	}); err != nil {
		return err
	}
	client, err := e.connect(ctx, opts...)
	if err != nil {
		return err
	}
	r := &reading{env: e, flags: f, client: client, out: bufio.NewWriter(e.Out)}
	err = r.run(ctx)
	if closed := r.close(ctx); err == nil && closed != nil {
		err = failKafka("commit the offsets of group "+f.group, closed)
	}
	switch {
	case errors.Is(err, errIdle):
		return f.idle(what, r.written)
	case errors.Is(err, context.Canceled):
		return nil // Ctrl-C is how an endless read ends
	}
	return err
}

// idle judges the end of a run by --timeout.
func (f consumeFlags) idle(what string, written int64) error {
	if f.max == 0 || written >= f.max {
		return nil
	}
	return Fail(what, fmt.Errorf("%s of %s came, and then none for %s", thousands(written), thousands(f.max), f.timeout),
		"wait longer by --timeout, or ask for fewer by --max")
}

// reading is one run of consume.
type reading struct {
	env     *Env
	flags   consumeFlags
	client  *kgo.Client
	out     *bufio.Writer
	written int64
}

// run writes records until there are enough of them, none comes for long, or ctx ends.
func (r *reading) run(ctx context.Context) error {
	for r.flags.max == 0 || r.written < r.flags.max {
		limit := pollMax
		if r.flags.max > 0 {
			limit = int(min(int64(pollMax), r.flags.max-r.written))
		}
		fetches, err := r.poll(ctx, limit)
		if err != nil {
			return err
		}
		if err := r.problems(fetches); err != nil {
			return err
		}
		for _, record := range fetches.Records() {
			if err := r.write(record); err != nil {
				return err
			}
		}
		// A group's marks are set only once the records are out of our hands.
		if err := r.out.Flush(); err != nil {
			return Fail("write records", err, "")
		}
		if r.flags.group != "" {
			r.client.MarkCommitRecords(fetches.Records()...)
			r.client.AllowRebalance()
		}
	}
	return nil
}

// poll waits for records; errIdle after --timeout.
func (r *reading) poll(ctx context.Context, limit int) (kgo.Fetches, error) {
	wait := ctx
	if r.flags.timeout > 0 {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeoutCause(ctx, r.flags.timeout, errIdle)
		defer cancel()
	}
	fetches := r.client.PollRecords(wait, limit)
	switch {
	case fetches.NumRecords() > 0:
		return fetches, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case wait.Err() != nil:
		return nil, context.Cause(wait)
	}
	return fetches, nil
}

// problems tells of what happened to the topics meanwhile. A cut of the log is told and survived: after a failover the
// client goes on at the cut, and what it had read beyond it is no longer part of the topic.
func (r *reading) problems(fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		var cut *kgo.ErrDataLoss
		switch {
		case errors.As(e.Err, &cut):
			r.env.note(fmt.Sprintf("note: the log of %s, partition %d, was cut: read up to offset %d, and go on at %d (a failover does this)",
				cut.Topic, cut.Partition, cut.ConsumedTo, cut.ResetTo))
		case errors.Is(e.Err, context.Canceled), errors.Is(e.Err, context.DeadlineExceeded):
		default:
			return failKafka(fmt.Sprintf("consume %s, partition %d", e.Topic, e.Partition), e.Err)
		}
	}
	return nil
}

// close commits what was written, leaves the group, and closes the client. It does so after a Ctrl-C too.
func (r *reading) close(ctx context.Context) error {
	defer r.client.Close()
	if r.flags.group == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	r.client.AllowRebalance()
	err := r.client.CommitMarkedOffsets(ctx)
	return errors.Join(err, r.client.LeaveGroupContext(ctx))
}
