package harness

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 20 * time.Second
	logKept      = 64 << 10 // bytes of a process's output that a failure shows
)

// Process is one running process.
type Process struct {
	t      testing.TB
	name   string
	cmd    *exec.Cmd
	output *tail
	ended  chan struct{} // closed after the process was waited for
	err    error         // of the wait, after ended

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
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{t: t, name: name, cmd: exec.Command(self, args...), output: newTail(), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), roleVariable+"="+role)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	// The process dies with the test binary, even if that is killed.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.Stop)
	return p
}

// WaitReady waits for the line that begins with "ready".
func (p *Process) WaitReady() {
	p.t.Helper()
	select {
	case <-p.output.ready:
	case <-p.ended:
		p.expect()
		p.t.Fatalf("%s ended before it was ready: %v\n%s", p.name, p.err, p.output)
	case <-time.After(startTimeout):
		p.t.Fatalf("%s was not ready after %s\n%s", p.name, startTimeout, p.output)
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
	p.end(syscall.SIGKILL)
}

// Stop sends SIGINT and waits for the end, which must be a clean one. A second call does nothing.
func (p *Process) Stop() {
	p.t.Helper()
	p.end(syscall.SIGINT)
}

func (p *Process) end(sig syscall.Signal) {
	p.t.Helper()
	if p.expect() {
		return
	}
	select {
	case <-p.ended:
		p.t.Errorf("%s ended by itself: %v\n%s", p.name, p.err, p.output)
		return
	default:
	}
	p.Signal(sig)
	select {
	case <-p.ended:
		if sig == syscall.SIGINT && p.err != nil {
			p.t.Errorf("%s did not end cleanly: %v\n%s", p.name, p.err, p.output)
		}
	case <-time.After(stopTimeout):
		p.t.Errorf("%s did not end within %s of a signal\n%s", p.name, stopTimeout, p.output)
		p.Signal(syscall.SIGQUIT)
		select {
		case <-p.ended:
			p.t.Logf("its goroutines:\n%s", p.output)
		case <-time.After(time.Second):
		}
		p.Signal(syscall.SIGKILL)
		<-p.ended
	}
}

// Signal sends a signal, such as SIGSTOP.
func (p *Process) Signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("signal %s to %s: %v", sig, p.name, err)
	}
}

// Wait waits for a process that ends by itself, and returns its exit code.
func (p *Process) Wait(timeout time.Duration) int {
	p.t.Helper()
	p.expect()
	select {
	case <-p.ended:
	case <-time.After(timeout):
		p.t.Errorf("%s did not end within %s\n%s", p.name, timeout, p.output)
		p.Signal(syscall.SIGKILL)
		<-p.ended
	}
	return p.cmd.ProcessState.ExitCode()
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log is the end of what the process has printed.
func (p *Process) Log() string { return p.output.String() }

// tail keeps the end of a process's output.
type tail struct {
	ready chan struct{}

	mu   sync.Mutex
	kept []byte
	seen bool
}

var _ io.Writer = (*tail)(nil)

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
		o.kept = append([]byte(nil), o.kept[over:]...)
	}
	return len(b), nil
}

func (o *tail) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.TrimSpace(string(o.kept))
}
