package compose

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	repository     = "../.."
	commandTimeout = 2 * time.Minute
	buildTimeout   = 10 * time.Minute
	upTimeout      = 15 * time.Minute // with three Go programs to build
	healthyTimeout = 3 * time.Minute
	lagTimeout     = time.Minute
)

// wantedVariable says that the test may start a Docker engine.
const wantedVariable = "GNOMON_COMPOSE"

// Region a, each process and each store of it.
var regionA = []string{
	"minio-a", "etcd-a-1", "etcd-a-2", "etcd-a-3", "coordinator-a-1", "coordinator-a-2", "agent-a-1", "agent-a-2",
}

// The file as it stands: up, produce, shadow, all of region a killed, flip, consume at b; then a comes back.
func TestCompose(t *testing.T) {
	if os.Getenv(wantedVariable) == "" {
		t.Skipf("needs root and starts a Docker engine: `make compose` runs it, or %s=1", wantedVariable)
	}
	e := startEngine(t)
	bin := t.TempDir()
	if _, err := e.try(buildTimeout, []string{"CGO_ENABLED=0"}, "go", "build", "-o", bin, "./cmd/gnomon"); err != nil {
		t.Fatal(err)
	}
	e.importMinIO(filepath.Join(tools(t), "bin"))
	e.importGo()
	s := &stack{engine: e, gnomon: filepath.Join(bin, "gnomon")}
	s.up()
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := s.compose(commandTimeout, "logs", "--no-color", "--tail", "20")
			t.Log(text)
		}
		if _, err := s.compose(commandTimeout, "down", "--volumes", "--timeout", "5"); err != nil {
			t.Error(err)
		}
	})
	s.guarded(t)
	s.shadowed(t)
	s.failover(t)
	s.back(t)
}

// tools is the folder of built programs that outlives the test.
func tools(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("GNOMON_TOOLS_DIR"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(home, ".cache", "gnomon")
}

// stack is the compose file, running.
type stack struct {
	*engine
	gnomon string
}

func (s *stack) compose(timeout time.Duration, args ...string) (string, error) {
	return s.try(timeout, []string{"COMPOSE_PROJECT_NAME=gnomon", "GO_IMAGE=" + goImage, "MINIO_IMAGE=" + minioImage}, append([]string{"docker-compose"}, args...)...)
}

// up starts all, by the one command that the file's head names, and waits until all is healthy and the jobs are done.
func (s *stack) up() {
	s.t.Helper()
	began := time.Now()
	if _, err := s.compose(upTimeout, "up", "-d", "--build"); err != nil {
		s.t.Fatal(err)
	}
	built := time.Since(began)
	eventually(s.t, healthyTimeout, "all is healthy", s.healthy)
	s.t.Logf("up after %.0f s, healthy after %.0f s", built.Seconds(), time.Since(began).Seconds())
}

// healthy returns what is not as it should be: jobs have ended well, all else runs, and is healthy where that is checked.
func (s *stack) healthy() error {
	ids, err := s.compose(commandTimeout, "ps", "--all", "--quiet")
	if err != nil {
		return err
	}
	list := strings.Fields(ids)
	if want := len(regionA)*2 + 7; len(list) != want { // and two each of certificates, users and buckets, and a link
		return fmt.Errorf("%d containers, want %d", len(list), want)
	}
	out, err := s.try(commandTimeout, nil, append([]string{"docker", "inspect", "--format",
		`{{index .Config.Labels "com.docker.compose.service"}} {{.State.Status}} {{.State.ExitCode}} {{if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}}`}, list...)...)
	if err != nil {
		return err
	}
	var bad []string
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		job := strings.HasPrefix(line, "certs-") || strings.HasPrefix(line, "etcd-users-") || strings.HasPrefix(line, "bucket-") || strings.HasPrefix(line, "link ")
		if job && !strings.Contains(line, " exited 0 ") || !job && !strings.Contains(line, " running 0 healthy") {
			bad = append(bad, line)
		}
	}
	if len(bad) > 0 {
		return errors.New(strings.Join(bad, ", "))
	}
	return nil
}

// running are the services that run.
func (s *stack) running() []string {
	s.t.Helper()
	out, err := s.try(commandTimeout, nil, "docker", "ps", "--format", `{{.Label "com.docker.compose.service"}}`)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Fields(out)
}

// host runs gnomon on the engine's host, with input.
func (s *stack) host(args ...string) string {
	s.t.Helper()
	out, err := s.try(commandTimeout, nil, s.on(append([]string{s.gnomon}, args...)...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// lines writes a file of n lines that begin with a word.
func (s *stack) lines(word string, n int) (file string, all []string) {
	s.t.Helper()
	for i := range n {
		all = append(all, fmt.Sprintf("%s-%04d", word, i))
	}
	file = filepath.Join(s.t.TempDir(), word)
	if err := os.WriteFile(file, []byte(strings.Join(all, "\n")+"\n"), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return file, all
}

const (
	topic = "orders"
	group = "billing"
	rows  = 2000
	read  = 500 // of these, before region a dies
)

// guarded tries the published admin ports as a stranger does.
func (s *stack) guarded(t *testing.T) {
	t.Helper()
	for url, want := range map[string]string{
		"https://localhost:9744": "signed by unknown authority", // who is there cannot be told
		"http://localhost:9644":  "the port has TLS",
	} {
		if _, err := s.try(commandTimeout, nil, s.on(s.gnomon, "shadow", "list", "--admin", url)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a stranger at %s: %v", url, err)
		}
	}
}

// shadowed writes at a through each agent, has a group read some of it, and waits until b has it all.
func (s *stack) shadowed(t *testing.T) {
	t.Helper()
	for _, addr := range []string{"localhost:9092", "localhost:9093", "localhost:9192", "localhost:9193"} {
		s.host("topic", "list", "--brokers", addr)
	}
	s.host("topic", "create", topic, "--partitions", "1", "--brokers", "localhost:9093")
	file, want := s.lines("row", rows)
	s.host("produce", topic, file, "--brokers", "localhost:9092")
	got := s.consume("localhost:9093", read)
	if !slices.Equal(got, want[:read]) {
		t.Fatalf("the group has read %d rows at a, from %q to %q", len(got), got[0], got[len(got)-1])
	}
	committed := time.Now()
	eventually(t, lagTimeout, "b has all that a has", func() error {
		out, err := s.compose(commandTimeout, "exec", "-T", "coordinator-b-1", "gnomon", "shadow", "status", "a-to-b", "--format", "json")
		if err != nil {
			return err
		}
		var status struct {
			AsOf  time.Time `json:"as_of"`
			Lag   struct{ Events *uint64 }
			Bytes map[string]int64 // resident, remote
		}
		if err := json.Unmarshal([]byte(out), &status); err != nil {
			return err
		}
		if status.AsOf.Before(committed) || status.Lag.Events == nil || *status.Lag.Events != 0 || status.Bytes["remote"] != 0 || status.Bytes["resident"] == 0 {
			return errors.New(out)
		}
		return nil
	})
}

// consume has the group read n rows and commit.
func (s *stack) consume(broker string, n int) []string {
	s.t.Helper()
	out := s.host("consume", topic, "--group", group, "--max", strconv.Itoa(n), "--timeout", "60s", "--brokers", broker)
	return strings.Split(strings.TrimSpace(out), "\n")
}

// failover kills all of region a and flips; the group goes on at b.
func (s *stack) failover(t *testing.T) {
	t.Helper()
	if _, err := s.compose(commandTimeout, append([]string{"kill"}, regionA...)...); err != nil {
		t.Fatal(err)
	}
	if alive := s.running(); slices.ContainsFunc(alive, func(name string) bool { return slices.Contains(regionA, name) }) || len(alive) != len(regionA) {
		t.Fatalf("region a was killed; these run: %v", alive)
	}
	out, err := s.compose(commandTimeout, "exec", "-T", "coordinator-b-1", "gnomon", "shadow", "failover", "a-to-b", "--yes", "--format", "json")
	if err != nil {
		t.Fatal(err)
	}
	var report struct{ Mode string }
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.Mode != "cut" { // nobody is there to be fenced
		t.Fatalf("%v: %s", err, out)
	}
	_, want := s.lines("row", rows)
	if got := s.consume("localhost:9192", rows-read); !slices.Equal(got, want[read:]) {
		t.Fatalf("at b the group goes on with %d rows, from %q to %q", len(got), got[0], got[len(got)-1])
	}
	file, after := s.lines("after", 10)
	s.host("produce", topic, file, "--brokers", "localhost:9193")
	if got := s.consume("localhost:9193", len(after)); !slices.Equal(got, after) {
		t.Fatalf("written at b, read at b: %q", got)
	}
}

// back starts region a again: it finds that it was replaced, and refuses writes. The jobs of the file change nothing.
func (s *stack) back(t *testing.T) {
	t.Helper()
	s.up()
	eventually(t, healthyTimeout, "region a knows that it was replaced", func() error {
		out, err := s.compose(commandTimeout, "exec", "-T", "coordinator-a-1", "gnomon", "health", "--format", "json")
		if err == nil && !strings.Contains(out, `"role":"fenced"`) && !strings.Contains(out, `"role": "fenced"`) {
			err = errors.New(out)
		}
		return err
	})
	file, _ := s.lines("lost", 1)
	if _, err := s.try(commandTimeout, nil, s.on(s.gnomon, "produce", topic, file, "--brokers", "localhost:9092")...); err == nil {
		t.Fatal("region a takes writes after the flip")
	}
}
