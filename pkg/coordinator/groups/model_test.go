package groups

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// actor is a client that acts at random, with what it was last told.
type actor struct {
	id, instance string
	generation   int32
	leads        bool
	join, sync   *ask
}

// learn takes what came back.
func (a *actor) learn() {
	if j := a.join; j != nil && j.count > 0 {
		a.join = nil
		a.id = j.join.MemberID
		if j.code == 0 {
			a.generation, a.leads = j.join.Generation, j.join.LeaderID == a.id
		}
		if j.code != 0 && a.instance == "" && j.join.MemberID != "" && j.code == 25 {
			a.id = ""
		}
	}
	if s := a.sync; s != nil && s.count > 0 {
		a.sync = nil
	}
}

func (w *world) act(r *rand.Rand, a *actor, all []*actor) {
	a.learn()
	id := a.id
	if r.IntN(12) == 0 {
		id = "" // it restarts
	}
	sets := [][]string{{"range", "sticky"}, {"sticky", "range"}, {"range"}}
	switch r.IntN(8) {
	case 0, 1:
		a.join = w.join(int16(r.IntN(10)), id, a.instance, sets[r.IntN(len(sets))]...)
	case 2, 3, 4:
		var pairs []string
		if a.leads {
			for _, x := range all {
				pairs = append(pairs, x.id, "a:"+x.id)
			}
		}
		a.sync = w.sync(a.id, a.instance, a.generation, pairs...)
	case 5:
		if code := w.heartbeat(a.id, a.instance, a.generation); code == 27 && r.IntN(3) > 0 {
			a.join = w.join(9, a.id, a.instance, "range", "sticky")
		}
	case 6:
		w.m.CheckCommit(w.now, "g", a.id, instancePtr(a.instance), a.generation)
	case 7:
		if r.IntN(8) == 0 {
			w.leave(3, id, a.instance)
		}
	}
}

// check states the invariants of doc.go.
func (w *world) check(last int32) int32 {
	w.t.Helper()
	for _, a := range w.asked {
		// A member waits for one rebalance, or two when static members hold one up, and each takes a minute at most.
		if a.count > 1 || a.count == 0 && w.now.Sub(a.at) > 3*time.Minute {
			w.t.Fatalf("%s of %q asked at %v: %d answers at %v", a.what, a.member, a.at, a.count, w.now)
		}
	}
	waiting := w.asked[:0]
	for _, a := range w.asked {
		if a.count == 0 {
			waiting = append(waiting, a)
		}
	}
	w.asked = waiting
	g := w.m.groups["g"]
	if g == nil {
		if last > 0 {
			w.t.Fatal("a group with a generation was forgotten")
		}
		return last
	}
	if g.generation < last {
		w.t.Fatalf("generation %d after %d", g.generation, last)
	}
	w.checkMembers(g)
	w.checkBounds(g)
	if next := g.next(); !next.IsZero() && (g.slot == unscheduled || g.due.After(next)) {
		w.t.Fatalf("deadline %v is not scheduled", next)
	}
	return g.generation
}

// checkBounds: no more than the limits allow, all that is kept is counted, and no deadline is further away than what it ends may take.
func (w *world) checkBounds(g *group) {
	w.t.Helper()
	if n := len(g.members); n > w.m.cfg.MaxMembersPerGroup || n+len(g.pending) > 2*w.m.cfg.MaxMembersPerGroup {
		w.t.Fatalf("%d members and %d announced", n, len(g.pending))
	}
	total := 0
	for _, x := range w.m.groups {
		total += groupBytes + len(x.name) + x.bytes + x.assigned
		for id := range x.pending {
			total += pendingBytes + len(id)
		}
	}
	if total != w.m.bytes {
		w.t.Fatalf("%d bytes are kept, %d counted", total, w.m.bytes)
	}
	for _, at := range []time.Time{g.joinBy, g.syncBy} {
		if at.After(w.now.Add(time.Minute)) {
			w.t.Fatalf("a rebalance ends at %v, %v from now", at, at.Sub(w.now))
		}
	}
	for _, m := range g.members {
		if m.expires.After(w.now.Add(newMemberTimeout)) {
			w.t.Fatalf("member %q expires at %v, %v from now", m.id, m.expires, m.expires.Sub(w.now))
		}
	}
}

func (w *world) checkMembers(g *group) {
	w.t.Helper()
	instances, size, waits := map[string]bool{}, 0, 0
	for _, m := range g.members {
		size += m.size()
		if g.byID[m.id] != m || m.instance != "" && (g.instances[m.instance] != m || instances[m.instance]) {
			w.t.Fatalf("member %q is not indexed", m.id)
		}
		instances[m.instance] = true
		if m.join != nil && g.state != PreparingRebalance || m.sync != nil && g.state != CompletingRebalance {
			w.t.Fatalf("member %q waits in %s", m.id, g.state)
		}
		if m.expires.IsZero() && !m.waits() {
			w.t.Fatalf("member %q never expires", m.id)
		}
		if m.waits() {
			waits++
		}
	}
	if waits != len(w.asked) || size != g.bytes || len(g.byID) != len(g.members) {
		w.t.Fatalf("%d wait, %d asked; %d bytes, %d counted; %d members, %d ids", waits, len(w.asked), size, g.bytes, len(g.members), len(g.byID))
	}
	switch {
	case (g.state == Empty) != (len(g.members) == 0):
		w.t.Fatalf("%d members in %s", len(g.members), g.state)
	case g.state == PreparingRebalance && g.joinBy.IsZero(), g.state == CompletingRebalance && g.syncBy.IsZero():
		w.t.Fatalf("%s without end", g.state)
	case len(g.members) > 0 && g.byID[g.leader] == nil:
		w.t.Fatalf("leader %q is no member", g.leader)
	case len(g.members) > 0 && g.selectProtocol() == "":
		w.t.Fatal("no protocol is supported by all")
	}
}

func TestModel(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			cfg := Config{MaxMembersPerGroup: 4 + r.IntN(4)}
			if seed%3 == 0 {
				cfg.InitialRebalanceDelay = 3 * time.Second
			}
			w := newWorld(t, cfg)
			var actors []*actor
			for i := range 6 {
				a := &actor{}
				if i < 3 {
					a.instance = fmt.Sprint("i", i)
				}
				actors = append(actors, a)
			}
			var last int32
			stable, checked := 0, 0
			for range 600 {
				w.act(r, actors[r.IntN(len(actors))], actors)
				last = w.check(last)
				w.pass(time.Duration(r.IntN(2500)) * time.Millisecond)
				last = w.check(last)
				for _, ev := range w.events[checked:] {
					if c := ev.GetGroupChanged(); len(c.Members) > 0 {
						stable++
					}
				}
				checked = len(w.events)
				if r.IntN(150) == 0 {
					last = w.failover()
				}
			}
			if stable == 0 {
				t.Fatal("no generation became stable: the test tests nothing")
			}
		})
	}
}

// failover ends the term: everybody who waits is told, and a new Manager goes on from the log.
func (w *world) failover() int32 {
	w.run(w.m.Abandon())
	for _, a := range w.asked {
		if a.count != 1 {
			w.t.Fatalf("%s of %q has %d answers after the term", a.what, a.member, a.count)
		}
	}
	cfg := w.m.cfg
	w.m = New(cfg)
	w.m.Restore(w.now, w.durable())
	w.asked = nil
	if g := w.m.groups["g"]; g != nil {
		return g.generation
	}
	return 0
}

// upheaval is what happens to a group from outside of its members: it is deleted, noted as empty, or has another leader.
func (w *world) upheaval(op byte, last int32) int32 {
	switch op >> 4 & 3 {
	case 0:
		before := len(w.m.Describe("g").Members)
		code, fx := w.m.Delete("g")
		w.run(fx)
		if code == 0 && before > 0 {
			w.t.Fatalf("a group with %d members was deleted", before)
		}
		if code == 0 {
			return 0 // it begins again
		}
	case 1:
		w.run(w.m.NoteEmpty(w.now, "g"))
	default:
		return w.failover()
	}
	return last
}

// FuzzSubscription: what a member says of itself is read or refused, whatever it is.
func FuzzSubscription(f *testing.F) {
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Topics = []string{"a", "b"}
	for meta.Version = range int16(4) {
		f.Add(meta.AppendTo(nil))
	}
	f.Add([]byte{0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, metadata []byte) {
		topics, ok := subscription(metadata)
		var want kmsg.ConsumerMemberMetadata
		if err := want.ReadFrom(metadata); err != nil || !bytes.HasPrefix(metadata, want.AppendTo(nil)) {
			// The versions above 0 have more, which nobody here reads. And the decoder takes a negative count for none, where
			// Kafka refuses it.
			return
		}
		if !ok {
			t.Fatal("what decodes is refused")
		}
		for _, topic := range want.Topics {
			if !topics[topic] {
				t.Fatalf("topic %q is not found", topic)
			}
		}
	})
}

// FuzzManager drives a group by bytes: requests, time, a leader that slept or was changed, deletion. Nobody is answered twice,
// the invariants and bounds hold after each step, and nothing panics.
func FuzzManager(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7})
	f.Add([]byte("\x08\x00\x02\x21\x87\x00\x97\x00\xa7\x00\x08\x00\x86\x09\x06\xff\x87\x00"))
	f.Add([]byte("\x00\x10\x02\x11\x08\x20\x33\x77\x41\x59\x60\x07"))
	f.Fuzz(func(t *testing.T, script []byte) {
		w := newWorld(t, Config{MaxMembersPerGroup: 3})
		ids := []string{"", "c-1", "c-2", "c-3", "i-1", "i-2"}
		var last int32
		for i := 0; i+1 < len(script) && i < 400; i += 2 {
			op, arg := script[i], script[i+1]
			id, instance := ids[int(arg)%len(ids)], ""
			if op&8 != 0 {
				instance = "i"
			}
			generation := int32(arg >> 5)
			switch op & 7 {
			case 0, 1:
				w.join(int16(op>>4)%10, id, instance, []string{"range", "sticky"}[arg>>7:]...)
			case 2:
				w.sync(id, instance, generation, id, "x")
			case 3:
				w.heartbeat(id, instance, generation)
			case 4:
				w.leave(int16(op>>4)%6, id, instance)
			case 5:
				w.m.CheckCommit(w.now, "g", id, instancePtr(instance), generation)
			case 6:
				w.pass(time.Duration(arg) * time.Second)
				if op&0x80 != 0 {
					w.m.Resume(w.now, time.Duration(arg)*time.Minute)
				}
			case 7:
				if op&0x80 != 0 {
					last = w.upheaval(op, last)
					continue
				}
				req := kmsg.NewPtrJoinGroupRequest()
				req.Version = 3
				_ = req.ReadFrom(script[i:])
				w.m.Join(w.now, Client{ID: string(script[i:])}, req, func(*kmsg.JoinGroupResponse) {})
				if req.Group == "g" {
					return // who waits is not in the books
				}
				w.m.List(nil, nil, nil)
			}
			last = w.check(last)
		}
	})
}
