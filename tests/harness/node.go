package harness

import (
	"slices"
	"syscall"
	"testing"
)

// Node is a place in a cluster: an agent or a coordinator with its ports, and the process that has it now, if any.
type Node struct {
	Name  string
	ID    int32  // an agent's node id
	Kafka string // an agent's host:port
	Admin string // URL

	t      testing.TB
	role   string
	args   []string
	p      *Process
	paused bool
}

// Start starts the process, or starts it again, and waits until it is ready.
func (n *Node) Start() {
	n.t.Helper()
	n.Launch()
	n.WaitReady()
}

// Add gives the process further flags, from its next start on; they win over those before.
func (n *Node) Add(flags ...string) { n.args = append(slices.Clone(n.args), flags...) }

// Launch is Start without the wait.
func (n *Node) Launch() {
	n.t.Helper()
	if n.Running() {
		n.t.Fatalf("%s runs already", n.Name)
	}
	n.p = launch(n.t, n.Name, n.role, n.args...)
}

// WaitReady waits until the process serves.
func (n *Node) WaitReady() {
	n.t.Helper()
	n.p.WaitReady()
}

// Running tells whether there is a process, and it is not paused.
func (n *Node) Running() bool { return n.p != nil && !n.paused }

// Kill sends SIGKILL and waits for the end.
func (n *Node) Kill() {
	n.t.Helper()
	n.p.Kill()
	n.p, n.paused = nil, false
}

// Term sends SIGTERM and waits for the end, which must be a clean one.
func (n *Node) Term() {
	n.t.Helper()
	n.p.Term()
	n.p = nil
}

// Pause sends SIGSTOP. The process goes on by Resume, or when the test ends.
func (n *Node) Pause() {
	n.t.Helper()
	n.p.Signal(syscall.SIGSTOP)
	n.paused = true
	n.t.Cleanup(n.Resume) // before the one that stops the process
}

// Resume sends SIGCONT.
func (n *Node) Resume() {
	n.t.Helper()
	if n.p != nil && n.paused {
		n.p.Signal(syscall.SIGCONT)
	}
	n.paused = false
}

// Process is the process that has the place now; nil when there is none.
func (n *Node) Process() *Process { return n.p }

// Log is the end of what the process has printed.
func (n *Node) Log() string {
	if n.p == nil {
		return ""
	}
	return n.p.Log()
}
