package state

import "github.com/gnomon-stream/gnomon/internal/base"

// ObjectClass says what an object below data/ is to a state.
type ObjectClass string

// Classes of objects.
const (
	Named       ObjectClass = "named"       // events name it: records lie in it, or did and nobody has collected it yet
	InFlight    ObjectClass = "in flight"   // it may yet be named: its session is open and its number above the floor
	Garbage     ObjectClass = "garbage"     // no event names it, and none ever will
	Quarantined ObjectClass = "quarantined" // it was above its session's floor when the log was restored: it may have been acked
	Newer       ObjectClass = "newer"       // of a session that was opened behind this state
	Unknown     ObjectClass = "unknown"     // of a session that no log ever opened
)

// Classify says what an object of this region is, and for a quarantined one, which restore did that. Only garbage may be deleted: a
// collector asks this and nothing else, so that what was quarantined stays until it is released. Applying goroutine only.
func (s *State) Classify(id base.ObjectID) (class ObjectClass, restore string) {
	if s.objects[id] != nil {
		return Named, ""
	}
	x := s.sessions[id.Session]
	switch {
	case x == nil:
		return s.classifyStranger(id.Session)
	case id.Number <= x.Floor:
		return Garbage, ""
	case x.Quarantine != "":
		return s.held(x.Quarantine), x.Quarantine
	case x.Fenced:
		return Garbage, ""
	}
	return InFlight, ""
}

// classifyStranger judges a session that the log does not know: the lost part of one may have opened it.
func (s *State) classifyStranger(session base.SessionID) (ObjectClass, string) {
	for _, r := range s.restores {
		if session < r.FirstSession {
			return s.held(r.ID), r.ID
		}
	}
	if session >= s.NextSession() {
		return Newer, ""
	}
	return Unknown, ""
}

func (s *State) held(restore string) ObjectClass {
	for _, r := range s.restores {
		if r.ID == restore && r.Released {
			return Garbage
		}
	}
	return Quarantined
}
