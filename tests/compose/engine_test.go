package compose

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const (
	engineStart = 60 * time.Second
	engineStop  = 60 * time.Second
)

// engine is a Docker engine in a network namespace of its own.
type engine struct {
	t      *testing.T
	socket string
	pid    int
}

// startEngine starts dockerd over an empty folder, and returns once it answers.
func startEngine(t *testing.T) *engine {
	t.Helper()
	dir, err := os.MkdirTemp("", "gnomon-compose-") // short: sockets have names of at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{t: t, socket: filepath.Join(dir, "sock")}
	log, err := os.Create(filepath.Join(dir, "dockerd.log"))
	if err != nil {
		t.Fatal(err)
	}
	// The namespace's loopback is down at first. Mounts are private, so that none outlives the engine.
	script := fmt.Sprintf(`ip link set lo up && exec dockerd --data-root %[1]s/data --exec-root %[1]s/exec --pidfile %[1]s/pid -H unix://%[1]s/sock`, dir)
	c := exec.Command("unshare", "--net", "--mount", "sh", "-c", script)
	c.Stdout, c.Stderr = log, log
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	e.pid = c.Process.Pid // unshare and sh become dockerd
	ended := make(chan struct{})
	go func() {
		_ = c.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(engineStop, func() { _ = c.Process.Kill() })
		<-ended
		timer.Stop()
		_ = log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the end of dockerd's log:\n%s", text[max(0, len(text)-4<<10):])
		}
		_ = os.RemoveAll(dir)
	})
	eventually(t, engineStart, "the Docker engine answers", func() error {
		select {
		case <-ended:
			text, _ := os.ReadFile(log.Name())
			t.Skipf("docker-compose.yml is not run: this machine does not let dockerd run: %s", tail(string(text)))
		default:
		}
		_, err := e.try(10*time.Second, nil, "docker", "version")
		return err
	})
	return e
}

// env makes docker and docker-compose speak to this engine.
func (e *engine) env() []string {
	return []string{"DOCKER_HOST=unix://" + e.socket, "DOCKER_BUILDKIT=0", "COMPOSE_DOCKER_CLI_BUILD=0", "DOCKER_CLI_HINTS=false"}
}

// try runs a command on the machine and returns its standard output.
func (e *engine) try(timeout time.Duration, env []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Env = append(append(os.Environ(), e.env()...), env...)
	c.Dir = repository
	c.WaitDelay = time.Second
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		text := errs.String()
		return out.String(), fmt.Errorf("%s: %w\n%s%s", args, err, tail(out.String()), tail(text))
	}
	return out.String(), nil
}

// on is how a command is run in the network of the engine's host: where the ports are published.
func (e *engine) on(args ...string) []string {
	return append([]string{"nsenter", "--net=/proc/" + strconv.Itoa(e.pid) + "/ns/net"}, args...)
}

func tail(s string) string { return s[max(0, len(s)-4<<10):] }

// eventually repeats what until it has no error.
func eventually(t *testing.T, within time.Duration, name string, what func() error) {
	t.Helper()
	end := time.Now().Add(within)
	for {
		err := what()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s: %v", name, within, err)
		}
		time.Sleep(500 * time.Millisecond)
	}
}
