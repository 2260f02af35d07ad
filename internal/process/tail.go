package process

import (
	"bytes"
	"strings"
	"sync"
)

const logKept = 64 << 10 // bytes

// tail keeps the end of a process's output.
type tail struct {
	ready chan struct{} // closed once a line began with "ready"

	mu   sync.Mutex
	kept []byte
	seen bool
}

func newTail() *tail { return &tail{ready: make(chan struct{})} }

func (o *tail) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept = append(o.kept, b...)
	if !o.seen && (bytes.HasPrefix(o.kept, []byte("ready")) || bytes.Contains(o.kept, []byte("\nready"))) {
		o.seen = true
		close(o.ready)
	}
	if over := len(o.kept) - logKept; over > 0 {
		o.kept = bytes.Clone(o.kept[over:])
	}
	return len(b), nil
}

func (o *tail) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.TrimSpace(string(o.kept))
}
