package coordinator

import (
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator/groups"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Steps is what a term decides, without its loop, its appends and its clock: the simulation drives it step by step, and does with
// its answers what the loop does. All of it belongs to one goroutine.
type Steps struct{ l *leader }

// Waiting is an answer that waits for entry number Mark to be confirmed; see waiter.
type Waiting struct {
	Mark    uint64
	Release func(error)
}

// NewSteps begins a term. Of cfg only Now, Logger, Groups and the retentions are looked at.
func NewSteps(cfg Config, seq *Sequencer, fenced bool) *Steps {
	c := &Coordinator{cfg: cfg}
	c.fenced.Store(fenced)
	l := &leader{c: c, seq: seq, awake: cfg.Now()}
	l.restoreGroups(cfg.Now())
	return &Steps{l}
}

// Groups is the term's group machine; nil in a fenced region.
func (s *Steps) Groups() *groups.Manager { return s.l.groups }

// Forward answers as Coordinator.Forward does; answer is called at most once, when what it waits for is released.
func (s *Steps) Forward(client Client, req kmsg.Request, answer func(kmsg.Response, error)) {
	tx := &Tx{l: s.l, now: s.l.c.cfg.Now().UnixMilli()}
	tx.dispatch(client, req, answer)
}

// Emit decides an event as Tx.Emit does.
func (s *Steps) Emit(ev *metalogpb.Event, blobs ...[]byte) error {
	tx := &Tx{l: s.l, now: s.l.c.cfg.Now().UnixMilli()}
	return tx.Emit(ev, blobs...)
}

// Woke is what the loop does first whenever it wakes, Tick what it does each second, and TickGroups what it does at the group
// machine's deadlines.
func (s *Steps) Woke()       { s.l.rested() }
func (s *Steps) Tick()       { s.l.tick() }
func (s *Steps) TickGroups() { s.l.tickGroups() }

// Asked and Answered say that an append or a barrier began, and that it ended.
func (s *Steps) Asked(isAppend bool) {
	s.l.flight, s.l.asked = &flight{append: isAppend}, s.l.c.cfg.Now()
	if isAppend {
		s.l.last = s.l.asked
	}
}

// Answered: see Asked.
func (s *Steps) Answered() {
	s.l.flight = nil
	s.l.unstalled()
}

// Take hands over the answers that wait since the last call.
func (s *Steps) Take() []Waiting {
	var out []Waiting
	for _, w := range s.l.waiting {
		out = append(out, Waiting{w.mark, w.release})
	}
	s.l.waiting = nil
	return out
}

// End tells who waits for others that the term is over. What was handed over by Take is the caller's to release.
func (s *Steps) End() {
	if s.l.groups != nil {
		for _, reply := range s.l.groups.Abandon().Replies {
			reply()
		}
	}
	for _, w := range s.l.waiting {
		w.release(fmt.Errorf("the coordinator's term ended: %w", base.ErrNotLeader))
	}
	s.l.waiting = nil
}

// Slept forgets that the process did not run, which a correct one notices: a mistake for the simulation to find.
func (s *Steps) Slept() { s.l.awake = s.l.c.cfg.Now() }
