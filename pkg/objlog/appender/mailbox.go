package appender

import "sync"

// event is something that a goroutine of the appender, or the committer, reports to the loop.
type event func(l *loop)

// mailbox carries events to the loop. Sending never blocks: the committer answers from its own loop, which ours may be
// about to call. It is bounded by what sends: an event for each upload, commit and opening of a session.
type mailbox struct {
	mu     sync.Mutex
	events []event
	wake   chan struct{}
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

func (m *mailbox) send(e event) {
	m.mu.Lock()
	m.events = append(m.events, e)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default: // the loop has not looked yet since the last time
	}
}

// take returns what has come, in the order it came.
func (m *mailbox) take() []event {
	m.mu.Lock()
	defer m.mu.Unlock()
	events := m.events
	m.events = nil
	return events
}
