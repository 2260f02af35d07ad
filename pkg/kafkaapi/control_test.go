package kafkaapi

import "slices"

// locked runs fn while nobody else looks at the backend: how tests change its behaviour under way.
func (m *memory) locked(fn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn()
}

// creations counts the topics that came by Forward.
func (m *memory) creations() (n int) {
	m.locked(func() { n = m.created })
	return n
}

// forwardedKeys are the keys of all requests that came by Forward.
func (m *memory) forwardedKeys() (keys []int16) {
	m.locked(func() { keys = slices.Clone(m.forwards) })
	return keys
}
