package differential

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// world draws the steps of one sequence. It knows the servers by what they have told both sides so far.
type world struct {
	*rand.Rand
	prefix string
	now    int64 // about; timestamps of records are around it
	values int   // records so far, so that each has another value
}

// step is what is done to each side: the same requests, with the ids of that side. It returns the answers in a fixed order.
type step func(s *side) []answer

// one is a step of one request.
func one(lane string, build func(s *side) kmsg.Request, learn func(s *side, resp kmsg.Response)) step {
	return func(s *side) []answer {
		a := s.ask(lane, build(s))
		if a.resp != nil && learn != nil {
			learn(s, a.resp)
		}
		return []answer{a}
	}
}

// plain is a step of one request that is the same for both.
func plain(req kmsg.Request) step {
	return one("main", func(*side) kmsg.Request { return req }, nil)
}

const unknownIDMark = "none" // how topic ids begin that nobody has

var sequenceName = regexp.MustCompile(`^d\d+-`)

func isOtherSequence(name, prefix string) bool {
	return sequenceName.MatchString(name) && !strings.HasPrefix(name, prefix)
}

// in tells that something with a chance of n in 100 happens.
func (w *world) in(percent int) bool { return w.IntN(100) < percent }

func pick[T any](w *world, of ...T) T { return of[w.IntN(len(of))] }

// version draws a version; the newest is as likely as all others together, as it has the most in it.
func (w *world) version(low, high int16) int16 {
	if w.in(40) {
		return high
	}
	return low + int16(w.IntN(int(high-low)+1))
}

const topicNames = 4

// topic draws the name of a topic that may be there.
func (w *world) topic() string {
	// The first ones are made at the beginning, so they are likely to be there.
	n := min(w.IntN(topicNames), w.IntN(topicNames))
	return fmt.Sprint(w.prefix, "t", n)
}

// topics draws the names of some topics. It doubles one now and then only: kfake deals with those in its own way, and the sequence ends.
func (w *world) topics() []string {
	var out []string
	doubled := w.in(20)
	draw := w.anyTopic
	if w.in(80) {
		draw = w.topic // kfake makes topics of any name, and the sequence ends
	}
	for range w.some() {
		if name := draw(); doubled || !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// anyTopic draws a topic's name, which nobody has, or nobody can have, now and then.
func (w *world) anyTopic() string {
	if !w.in(12) {
		return w.topic()
	}
	return pick(w, w.prefix+"nobody", w.prefix+"no/body", w.prefix+"é", "", ".", "..", w.prefix+strings.Repeat("x", 250))
}

// topicID gives the id of a topic, one that nobody has, or none.
func (w *world) topicID(name string) func(s *side) [16]byte {
	wrong := w.in(8)
	zero := w.in(20) && name == w.prefix+"t0" // a request has each name once, and should have each id once
	return func(s *side) [16]byte {
		id, known := s.topics[name]
		switch {
		case !wrong && known:
			return id
		case zero:
			return [16]byte{}
		}
		copy(id[:], unknownIDMark)
		binary.BigEndian.PutUint32(id[4:], crc32.ChecksumIEEE([]byte(name)))
		return id
	}
}

// partition draws a partition, which no topic has now and then.
func (w *world) partition() int32 {
	if w.in(10) {
		return pick[int32](w, -1, 7, 1<<30)
	}
	return pick[int32](w, 0, 0, 0, 1, 1, 2)
}

// leaderEpoch draws an epoch as a client may know it.
func (w *world) leaderEpoch() func(s *side) int32 {
	by := pick[int32](w, 0, 0, 0, 1) // kfake's is 0, so there is none below
	if w.in(60) {
		return func(*side) int32 { return -1 }
	}
	return func(s *side) int32 { return s.epoch + by }
}

// some draws a number of things, mostly one.
func (w *world) some() int { return pick(w, 1, 1, 1, 2, 3) }

// kind is a kind of step, and how often it comes.
type kind struct {
	weight int
	draw   func(w *world) step
}

// kinds is filled by the files that have the steps.
var kinds = func() []kind {
	var out []kind
	for _, of := range [][]kind{topicKinds, recordKinds, offsetKinds, groupKinds, configKinds} {
		out = append(out, of...)
	}
	return out
}()

// step draws a step.
func (w *world) step() step {
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	n := w.IntN(total)
	for _, k := range kinds {
		if n -= k.weight; n < 0 {
			return k.draw(w)
		}
	}
	panic("the weights do not add up")
}
