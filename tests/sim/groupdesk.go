package sim

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/coordinator/groups"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// What group members of a run ask for, and how long committed offsets are kept, milliseconds.
const (
	sessionMs   = 10_000
	rebalanceMs = 20_000
	retentionMs = 3_600_000
	// retainEveryMs is how often a leader looks for records that are too old or too many.
	retainEveryMs = 60_000
	stallMs       = 2000 // coordinator's stallMax
)

// desk is what the simulation keeps of a leader's time: K11 is judged by it.
type desk struct {
	awake  int64 // the last step
	worked int64 // for how long it was at work in this term, with a log that answered
	since  int64 // worked, when the flight began
	asked  int64
	ids    uint64           // given out by the mistake sameIDs
	heard  map[string]int64 // worked, when a member was last heard; members not in it: at the term's begin
	joined map[string]int64 // worked, when it last joined or synced
	asking []*int64         // worked, when each request came that may not be answered yet
}

// beginGroups begins the term's decisions: members and ids are those that the log says.
func (c *coord) beginGroups() {
	w := c.r.w
	cfg := coordinator.Config{
		Now: func() time.Time { return time.UnixMilli(w.now) }, Logger: slog.New(slog.DiscardHandler),
		RetentionEvery: retainEveryMs * time.Millisecond, OffsetsRetention: retentionMs * time.Millisecond,
		Groups: groups.Config{MaxMembersPerGroup: 8, NewMemberID: func(prefix string) string {
			w.memberIDs++
			return fmt.Sprintf("%s-%d", prefix, w.memberIDs)
		}},
	}
	if w.bug == earlyExpiry {
		cfg.OffsetsRetention = time.Second
	}
	c.steps = coordinator.NewSteps(cfg, c.seq, c.fenced)
	c.desk = desk{awake: w.now, heard: map[string]int64{}, joined: map[string]int64{}}
	if w.bug == forgetGroups && c.steps.Groups() != nil {
		c.steps.Groups().Restore(time.UnixMilli(w.now), nil)
	}
}

// forward has the leader answer a request.
func (tx *tx) forward(req kmsg.Request, answer func(kmsg.Response, error)) {
	tx.forwardFor("", req, answer)
}

// forwardFor has the leader answer a member's request, and notes that the leader has heard of it.
func (tx *tx) forwardFor(id string, req kmsg.Request, answer func(kmsg.Response, error)) {
	mute, c := tx.mute, tx.c
	steps, at := c.steps, c.desk.worked
	c.desk.asking = append(c.desk.asking, &at)
	if tx.mistaken(req, answer) {
		return
	}
	steps.Forward(coordinator.Client{ID: "c", Host: "h"}, req, func(resp kmsg.Response, err error) {
		if alive, joins := hears(resp); err == nil && alive && id != "" && c.steps == steps {
			c.desk.heard[id] = max(c.desk.heard[id], min(at, c.desk.worked))
			if joins {
				c.desk.joined[id] = c.desk.heard[id]
			}
		}
		if !mute {
			answer(resp, err)
		}
	})
	c.collect()
}

// State is the working state.
func (tx *tx) State() *state.State { return tx.c.seq.State() }

// collect takes the answers that wait for the log.
func (c *coord) collect() {
	for _, x := range c.steps.Take() {
		c.wait(waiter{x.Mark, x.Release})
	}
}

// wake is what a leader does before anything else.
func (c *coord) wake() {
	now := c.r.w.now
	if gap := now - c.desk.awake; gap <= stallMs {
		c.desk.worked += gap
	} else {
		c.desk.asked, c.desk.since = now, c.desk.worked // what the log has not answered by now counts once
	}
	c.desk.awake = now
	if c.r.w.bug == noticeNoSleep {
		c.steps.Slept()
	}
	c.steps.Woke()
}

func (c *coord) asked(isAppend bool) {
	c.desk.asked, c.desk.since = c.r.w.now, c.desk.worked
	c.steps.Asked(isAppend)
}

func (c *coord) answered() {
	if c.r.w.now-c.desk.asked > stallMs {
		c.desk.worked = c.desk.since // and who was heard meanwhile is given the time back, too
		for _, at := range []map[string]int64{c.desk.heard, c.desk.joined} {
			for id, x := range at {
				at[id] = min(x, c.desk.worked)
			}
		}
		for _, at := range c.desk.asking {
			*at = min(*at, c.desk.worked)
		}
	}
	c.steps.Answered()
}

// membersOf lists the members of all groups of the run.
func (c *coord) membersOf() map[string]string {
	out := map[string]string{}
	for _, g := range c.r.w.groups {
		for _, m := range c.steps.Groups().Describe(g.name).Members {
			out[m.MemberID] = g.name
		}
	}
	return out
}

// tickGroups does what the group machine's deadlines demand. K11: who is removed was silent for a whole session of the leader's
// working time, or for a whole rebalance.
func (c *coord) tickGroups() {
	m := c.steps.Groups()
	if m == nil {
		return
	}
	if at, ok := m.NextDeadline(); !ok || at.UnixMilli() > c.r.w.now {
		return
	}
	before := c.membersOf()
	c.steps.TickGroups()
	c.collect()
	after := c.membersOf()
	for _, id := range slices.Sorted(maps.Keys(before)) {
		if after[id] != "" {
			continue
		}
		silent, late := c.desk.worked-c.desk.heard[id], c.desk.worked-c.desk.joined[id]
		c.r.w.logf("%s removes member %s of %s, silent for %d ms", c, id, before[id], silent)
		if silent < sessionMs && late < rebalanceMs {
			c.r.w.fail("K11: %s removes member %s of %s, which was heard %d ms of its working time ago", c, id, before[id], silent)
		}
	}
}

// hears tells whether an answer means that the request counted as a sign of life, as in Kafka, and as a part in a rebalance.
func hears(resp kmsg.Response) (alive, joins bool) {
	switch r := resp.(type) {
	case *kmsg.JoinGroupResponse:
		return r.ErrorCode == 0, r.ErrorCode == 0
	case *kmsg.SyncGroupResponse:
		return r.ErrorCode == 0, r.ErrorCode == 0
	case *kmsg.HeartbeatResponse:
		return r.ErrorCode == 0 || r.ErrorCode == kerr.RebalanceInProgress.Code, false
	case *kmsg.OffsetCommitResponse:
		return r.Topics[0].Partitions[0].ErrorCode == 0, false
	}
	return false, false
}
