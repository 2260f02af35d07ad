package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Process is a child of this process.
type Process struct {
	Name   string
	cmd    *exec.Cmd
	output *tail
	ended  chan struct{}
	err    error // of the wait, once ended is closed
}

// Start runs this program again with args, and with env added to the environment.
func Start(name string, env []string, args ...string) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), env...)
	return StartCommand(name, cmd)
}

// StartCommand runs a program of others, whose output and attributes are set here.
func StartCommand(name string, cmd *exec.Cmd) (*Process, error) {
	p := &Process{Name: name, cmd: cmd, output: newTail(), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.SysProcAttr = attributes()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// WaitReady waits until the process has printed a line that begins with "ready".
func (p *Process) WaitReady(timeout time.Duration) error {
	select {
	case <-p.output.ready:
		return nil
	case <-p.ended:
		return fmt.Errorf("%s ended before it was ready: %w\n%s", p.Name, errors.Join(p.err, ErrEnded), p.Log())
	case <-time.After(timeout):
		return fmt.Errorf("%s was not ready after %s\n%s", p.Name, timeout, p.Log())
	}
}

// ErrEnded says that a process ended before it was asked to.
var ErrEnded = errors.New("the process ended")

// Signal sends a signal; one that has ended already is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s to %s: %w", sig, p.Name, err)
	}
	return nil
}

// Kill sends SIGKILL and waits for the end.
func (p *Process) Kill() error {
	err := p.Signal(syscall.SIGKILL)
	<-p.ended
	return err
}

// Stop sends SIGINT and waits for the end, which must be a clean one. After the timeout the process is made to print its
// goroutines, and killed.
func (p *Process) Stop(timeout time.Duration) error { return p.Finish(syscall.SIGINT, timeout) }

// Finish is Stop by another signal.
func (p *Process) Finish(sig syscall.Signal, timeout time.Duration) error {
	if err := p.Signal(sig); err != nil {
		return err
	}
	select {
	case <-p.ended:
		if p.err != nil {
			return fmt.Errorf("%s did not end cleanly: %w\n%s", p.Name, p.err, p.Log())
		}
		return nil
	case <-time.After(timeout):
	}
	_ = p.Signal(syscall.SIGQUIT) // its end is seen below
	select {
	case <-p.ended:
	case <-time.After(time.Second):
		_ = p.Kill()
	}
	return fmt.Errorf("%s did not end within %s of %s\n%s", p.Name, timeout, sig, p.Log())
}

// Ended is closed once the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Err is how it ended; nil before that, and after a clean end.
func (p *Process) Err() error {
	select {
	case <-p.ended:
		return p.err
	default:
		return nil
	}
}

// ExitCode is -1 before the end, and after a signal.
func (p *Process) ExitCode() int {
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	default:
		return -1
	}
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log is the end of what the process has printed.
func (p *Process) Log() string { return p.output.String() }
