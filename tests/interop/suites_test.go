package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/golden"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

// suite is the tests of a client, in its Go module.
type suite struct {
	name, module, version string
	args                  []string // of go test
	env                   []string
	prepare               func(t *testing.T, dir string) // changes the copy of the module
}

// source returns a copy of the module that may be changed.
func (s suite) source(t *testing.T) string {
	t.Helper()
	raw := command{dir: os.TempDir(), args: []string{"go", "mod", "download", "-json", s.module + "@" + s.version}, timeout: 5 * time.Minute}.must(t)
	var got struct{ Dir string }
	if err := json.Unmarshal([]byte(raw), &got); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	dir := filepath.Join(t.TempDir(), s.name)
	if err := os.CopyFS(dir, os.DirFS(got.Dir)); err != nil {
		t.Fatal(err)
	}
	if s.prepare != nil {
		s.prepare(t, dir)
	}
	return dir
}

// event is a line of go test -json.
type event struct{ Action, Test, Output string }

// run runs the tests, but for those that are excluded, and returns how each ended: pass, fail or skip.
func (s suite) run(t *testing.T) {
	t.Helper()
	excluded := exclusions(t)[s.name]
	c := command{dir: s.source(t), env: append([]string{"GOFLAGS=-mod=mod"}, s.env...), timeout: 10 * time.Minute}
	c.args = append([]string{"go", "test", "-count=1", "-json", "-timeout", "9m"}, s.args...)
	if len(excluded) > 0 {
		var names []string
		for _, name := range slices.Sorted(maps.Keys(excluded)) {
			names = append(names, "^"+name+"$")
		}
		c.args = append(c.args, "-skip", strings.Join(names, "|"))
	}
	out, err := c.run(t)
	ended, printed := map[string]string{}, map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader([]byte(out)))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Test == "" {
			continue
		}
		switch e.Action {
		case "pass", "fail", "skip":
			ended[e.Test] = e.Action
		case "output":
			printed[e.Test] += e.Output
		}
	}
	count := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(ended)) {
		count[ended[name]]++
		if ended[name] == "fail" {
			t.Errorf("%s: %s\n%s", s.name, name, tail(printed[name], 2<<10))
		}
	}
	if err != nil && count["fail"] == 0 || count["pass"] == 0 {
		t.Errorf("%s: %v\n%s", s.name, err, tail(out, 4<<10))
	}
	t.Logf("%s %s: %d tests passed, %d skipped themselves, %d are excluded", s.module, s.version, count["pass"], count["skip"], len(excluded))
}

const excludedFile = "excluded.txt"

// exclusions reads the tests that are left out, with the reason, by suite.
func exclusions(t *testing.T) map[string]map[string]string {
	t.Helper()
	raw, err := os.ReadFile(excludedFile)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]string{}
	for i, line := range strings.Split(string(raw), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		field := strings.SplitN(line, "|", 3)
		if len(field) != 3 || strings.TrimSpace(field[2]) == "" {
			t.Fatalf("%s, line %d: want suite | test | reason", excludedFile, i+1)
		}
		name := strings.TrimSpace(field[0])
		if out[name] == nil {
			out[name] = map[string]string{}
		}
		out[name][strings.TrimSpace(field[1])] = strings.TrimSpace(field[2])
	}
	return out
}

// docs/CLIENTS.md shows what is left out.
func TestExclusionsAreDocumented(t *testing.T) {
	var b strings.Builder
	b.WriteString("| suite | test | why it is left out |\n|---|---|---|\n")
	all := exclusions(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, test := range slices.Sorted(maps.Keys(all[name])) {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", name, test, all[name][test])
		}
	}
	golden.Section(t, "../../docs/CLIENTS.md", "excluded tests", b.String())
}

// franz-go's own integration tests of its client, through three agents.
func TestKgo(t *testing.T) {
	part(t, "kgo")
	c := harness.NewCluster(t, harness.ClusterConfig{})
	suite{
		name: "kgo", module: "github.com/twmb/franz-go", version: "v1.22.2", args: []string{"./pkg/kgo"},
		env: []string{"KGO_SEEDS=" + strings.Join(c.Kafka(), ","), "KGO_TEST_RF=1", "KGO_TEST_RECORDS=50000", "KGO_LOG_LEVEL=none"},
	}.run(t)
}

// kafkaGoPort is where the tests of kafka-go look for a broker.
const kafkaGoPort = "9092"

// needPorts fails a test that needs ports of its own, as others have fixed them, with the remedy.
func needPorts(t *testing.T, ports ...string) {
	t.Helper()
	for _, p := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:"+p)
		if err != nil {
			t.Fatalf("these tests need port %s on loopback, which others have fixed: stop what listens there: %v", p, err)
		}
		_ = l.Close() // free again
	}
}

// The tests of kafka-go, which talk to one broker.
func TestKafkaGo(t *testing.T) {
	part(t, "kafka-go")
	needPorts(t, kafkaGoPort)
	harness.NewCluster(t, harness.ClusterConfig{
		Agents: 1, Coordinators: 1, Agent: []string{"--listen", "127.0.0.1:" + kafkaGoPort, "--advertise", "localhost:" + kafkaGoPort},
	})
	suite{name: "kafka-go", module: "github.com/segmentio/kafka-go", version: "v0.4.51", args: []string{"."}, env: []string{"KAFKA_VERSION=4.0.0"}}.run(t)
}
