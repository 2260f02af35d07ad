package harness

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/process"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 20 * time.Second
)

// Process is one running process.
type Process struct {
	t testing.TB
	p *process.Process

	mu       sync.Mutex
	expected bool // the test has asked for the end
}

// start runs this binary in a role, and returns once it has printed a line that begins with "ready".
func start(t testing.TB, name, role string, args ...string) *Process {
	t.Helper()
	p := launch(t, name, role, args...)
	p.WaitReady()
	return p
}

func launch(t testing.TB, name, role string, args ...string) *Process {
	t.Helper()
	p, err := process.Start(name, []string{roleVariable + "=" + role}, args...)
	if err != nil {
		t.Fatal(err)
	}
	h := &Process{t: t, p: p}
	t.Cleanup(h.Stop)
	return h
}

// WaitReady waits for the line that begins with "ready".
func (p *Process) WaitReady() {
	p.t.Helper()
	if err := p.p.WaitReady(startTimeout); err != nil {
		p.expect()
		_ = p.p.Kill()
		p.t.Fatal(err)
	}
}

func (p *Process) expect() (before bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, p.expected = p.expected, true
	return before
}

// Kill sends SIGKILL and waits for the end.
func (p *Process) Kill() {
	p.t.Helper()
	p.end(p.p.Kill)
}

// Stop sends SIGINT and waits for the end, which must be a clean one. A second call does nothing.
func (p *Process) Stop() {
	p.t.Helper()
	p.end(func() error { return p.p.Stop(stopTimeout) })
}

// Term is Stop by SIGTERM, as supervisors do it.
func (p *Process) Term() {
	p.t.Helper()
	p.end(func() error { return p.p.Finish(syscall.SIGTERM, stopTimeout) })
}

func (p *Process) end(how func() error) {
	p.t.Helper()
	if p.expect() {
		return
	}
	select {
	case <-p.p.Ended():
		p.t.Errorf("%s ended by itself: %v\n%s", p.p.Name, p.p.Err(), p.p.Log())
		return
	default:
	}
	if err := how(); err != nil {
		p.t.Error(err)
	}
}

// Signal sends a signal, such as SIGSTOP.
func (p *Process) Signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.p.Signal(sig); err != nil {
		p.t.Error(err)
	}
}

// Wait waits for a process that ends by itself, and returns its exit code.
func (p *Process) Wait(timeout time.Duration) int {
	p.t.Helper()
	p.expect()
	select {
	case <-p.p.Ended():
	case <-time.After(timeout):
		p.t.Errorf("%s did not end within %s\n%s", p.p.Name, timeout, p.p.Log())
		_ = p.p.Kill()
	}
	return p.p.ExitCode()
}

// PID is the process id.
func (p *Process) PID() int { return p.p.PID() }

// Log is the end of what the process has printed.
func (p *Process) Log() string { return p.p.Log() }
