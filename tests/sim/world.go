package sim

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// Plan is how the operator of a run loses region A.
type Plan int

// The plans.
const (
	NoFailover  Plan = iota
	Fenced           // A's processes die; its etcd and bucket are in reach
	FencedAlive      // as Fenced, but A's processes live on
	CutAlive         // B cannot reach A, which lives on and acks
	CutDead          // A is gone, with etcd and bucket
	plans            // how many there are
)

func (p Plan) String() string {
	return [...]string{"no failover", "fenced", "fenced, A lives on", "cut, A lives on", "cut, A is dead"}[p]
}

// bug is a mistake that a run is made with, to see that the checker finds it.
type bug int

const (
	noBug          bug = iota
	earlyAnswers       // answers are given before the log has confirmed them
	noPoison           // what comes behind a refused batch is taken
	noFence            // the leader appends whatever the fence says
	emptyCopies        // the link names objects that it has not copied
	emptyFills         // the same of what it fills in behind a snapshot
	anyCommit          // offsets are taken from whoever commits them
	forgetGroups       // a new leader knows no members
	noticeNoSleep      // a leader that was stopped does not notice
	earlyExpiry        // offsets expire while their group has members
	sameIDs            // each term hands out producer ids from the same number on
	moreDeleted        // whoever asks to delete records has all of them deleted
	lostSettings       // a change of settings is answered and not entered
	keptGroups         // a deletion of a group is answered and not entered
	shortRestore       // a restore leaves the last archived object out
	sameEpoch          // a restore goes on under the epoch and the ids of before
	goneQuarantine     // a collector takes quarantined objects for garbage
	oldIncarnation     // a second restore is of the log from before the first one
	believedEtcd       // B's coordinators believe an etcd that lost what the archive has
	shadowFaulted      // a link takes its own region's restore for its source's
	lagging            // a leader whose replica lags believes an etcd that has lost what it has confirmed
	overwritten        // the store puts an archived object over one that is there
	bugs               // how many there are
)

func (b bug) String() string {
	return [...]string{"none", "early answers", "no poison", "no fence", "empty copies", "empty fills", "any commit", "forgotten groups", "sleep unnoticed", "early expiry", "same producer ids", "more deleted", "lost settings", "kept groups", "short restore", "restore under the same epoch", "quarantine collected",
		"restore of an old incarnation", "etcd of the shadow believed", "link faulted by its own restore", "confirmed entries forgotten", "archive overwritten"}[b]
}

// fences tells whether A's etcd is in reach.
func (p Plan) fences() bool { return p == Fenced || p == FencedAlive }

// World is one run.
type World struct {
	bug    bug
	rng    *rand.Rand
	now    int64 // Unix milliseconds
	steps  int
	faulty bool // faults, pauses and crashes happen
	plan   Plan
	cut    bool // B and A cannot reach each other

	a, b      *Region
	actors    []actor
	producers []*producer
	groups    []*group
	memberIDs int
	link      *linkRunner
	operator  *operator
	// snapshotEvery is how many entries lie between two snapshots.
	snapshotEvery base.Seq
	admin         *admin
	lossy         bool // some region loses its etcd
	check         *checker

	problem error // the first broken promise
	trace   []string
	sum     interface {
		io.Writer
		Sum64() uint64
	}
}

// actor does one thing a step.
type actor interface {
	step()
	// pausedUntil is the time before which it does nothing.
	sleeper() *pause
	String() string
}

// pause is what every actor has: a time until which it stands still, with all that it holds.
type pause struct{ until int64 }

func (p *pause) sleeper() *pause { return p }

// NewWorld makes the world of a seed.
func NewWorld(seed uint64) *World {
	w := &World{rng: rand.New(rand.NewPCG(seed, 0x676e6f6d6f6e)), now: 1_700_000_000_000, faulty: true, sum: fnv.New64a()}
	w.plan = Plan(w.rng.IntN(int(plans)))
	w.check = newChecker(w)
	w.a, w.b = newRegion(w, "a", 1), newRegion(w, "b", 2)
	w.operator = &operator{w: w, failAt: 1500 + w.rng.IntN(3000), late: w.rng.IntN(3) == 0}
	w.snapshotEvery = base.Seq(10 + w.rng.IntN(40))
	w.link = &linkRunner{w: w}
	w.admin = &admin{w: w, known: map[known]int32{}}
	for i := range 2 {
		w.groups = append(w.groups, newGroup(w, fmt.Sprintf("g%d", i)))
	}
	for _, r := range []*Region{w.a, w.b} {
		for _, c := range r.coordinators {
			w.actors = append(w.actors, c, c, c)
		}
	}
	w.actors = append(w.actors, w.operator, w.link, w.link, w.admin, &reader{w: w})
	for _, r := range []*Region{w.a, w.b} {
		if r.loss = newLoss(r, seed); r.loss != nil {
			w.actors = append(w.actors, r.loss, r.loss)
			w.lossy = true
		}
	}
	for _, g := range w.groups {
		w.actors = append(w.actors, g)
		for _, m := range g.members {
			w.actors = append(w.actors, m, m)
		}
	}
	return w
}

// logf adds a line to the trace, which is kept for a failure and summed for the comparison of two runs.
func (w *World) logf(format string, args ...any) {
	line := fmt.Sprintf("%6d %s", w.steps, fmt.Sprintf(format, args...))
	_, _ = fmt.Fprintln(w.sum, line) // a hash takes everything
	if w.trace = append(w.trace, line); len(w.trace) > traceLines {
		w.trace = w.trace[len(w.trace)-traceLines/2:]
	}
}

const traceLines = 4000

// fail notes the first broken promise.
func (w *World) fail(format string, args ...any) {
	if w.problem == nil {
		w.problem = fmt.Errorf(format, args...)
		w.logf("PROBLEM: %v", w.problem)
	}
}

// chance is true with a probability of 1 in n while there are faults, and false after.
func (w *World) chance(n int) bool { return w.faulty && w.rng.IntN(n) == 0 }

// step lets one actor do one thing.
func (w *World) step() {
	w.steps++
	w.now += int64(w.rng.IntN(20))
	list := w.actors[:len(w.actors):len(w.actors)]
	for _, r := range []*Region{w.a, w.b} {
		for _, a := range r.agents {
			list = append(list, a, a)
		}
	}
	for _, p := range w.producers {
		list = append(list, p)
	}
	x := list[w.rng.IntN(len(list))]
	p := x.sleeper()
	switch {
	case p.until > w.now && w.faulty:
		return
	case w.chance(400):
		p.until = w.now + []int64{50, 200, 1000, 4000, 4 * 3_600_000}[w.rng.IntN(5)]
		w.logf("%s is paused for %d ms", x, p.until-w.now)
		if c, leads := x.(*coord); leads && c.term != nil && p.until-w.now > leaseMs {
			c.r.server.ExpireLeader() // if it still led
		}
		return
	case w.chance(1500):
		w.now += 3_600_000 * int64(1+w.rng.IntN(5)) // nobody does anything for hours
		w.logf("hours pass")
	case w.chance(8000):
		w.dayOff()
	}
	x.step()
	w.check.observe()
}

// dayOff is a day on which nothing runs: producers are forgotten after it, and offsets that nobody has used.
func (w *World) dayOff() {
	if w.a.loss.resting() != nil || w.b.loss.resting() != nil {
		return
	}
	w.logf("all is switched off for a day")
	for _, r := range []*Region{w.a, w.b} {
		for _, c := range r.coordinators {
			c.crash()
		}
		for len(r.agents) > 0 {
			r.agents[0].kill()
		}
		r.server.ExpireLeader()
	}
	for _, p := range w.producers {
		p.crash()
	}
	w.now += 26 * 3_600_000
}

const (
	stepsFaulty = 6000
	stepsMax    = 60_000
	leaseMs     = 3000
)

// Run runs the world to its end: a time of faults, then none until everybody has finished. It returns the first problem.
func (w *World) Run() error {
	for w.steps < stepsFaulty && w.problem == nil {
		w.step()
	}
	w.faulty, w.cut = false, false
	w.logf("no more faults")
	w.a.landLate()
	w.b.landLate()
	for !w.finished() && w.problem == nil {
		if w.steps > stepsMax {
			w.fail("K9: after %d steps: %s", w.steps, w.unfinished())
		}
		w.step()
	}
	for range 3 {
		w.changeLeader()
	}
	if w.problem == nil {
		w.check.final()
	}
	return w.problem
}

// changeLeader has another leader elected while nothing else is wrong: groups go on in the generation that they are in (K10).
func (w *World) changeLeader() {
	r := w.operator.primary()
	r.server.ExpireLeader()
	var before []int32
	for _, g := range w.groups {
		before = append(before, g.members[0].generation)
		for _, m := range g.members {
			m.well = 0
		}
	}
	w.logf("another leader for region %s", r.name)
	for !w.finished() && w.problem == nil {
		if w.steps > stepsMax {
			w.fail("K9: after %d steps: %s", w.steps, w.unfinished())
		}
		w.step()
	}
	for i, g := range w.groups {
		if w.problem == nil && g.members[0].generation != before[i] {
			w.fail("K10: another leader: %s went from generation %d to %d", g, before[i], g.members[0].generation)
		}
	}
}

func (w *World) finished() bool { return w.unfinished() == "" }

// unfinished says who has not finished; "" for nobody.
func (w *World) unfinished() string {
	if !w.operator.done() {
		return "the operator has work left: " + w.operator.String()
	}
	for _, r := range []*Region{w.a, w.b} {
		if r.loss.open() {
			return "the metalog of region " + r.name + " is not restored"
		}
	}
	for _, p := range w.producers {
		if !p.done() {
			return fmt.Sprintf("%s has %d batches open, %d to come", p, len(p.window), p.left)
		}
	}
	for _, g := range w.groups {
		if why := g.unsettled(); why != "" {
			return why
		}
	}
	if w.plan == NoFailover {
		if at := w.b.link(); at != nil && at.Info().Fault != "" {
			return ""
		}
		if at := w.b.link(); at == nil || at.Image().Head().Seq+3 < w.a.head.Seq || !w.b.filled() {
			return "the link has not caught up"
		}
		return ""
	}
	if w.b.flip() == nil {
		return "no flip"
	}
	if !w.a.isFenced() {
		return "region a has not found out that b took over"
	}
	return ""
}
