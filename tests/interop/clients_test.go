package interop

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

// program is a client under test: what the folder of its language makes of it takes "checks BROKERS PREFIX", "before BROKERS TOPIC
// GROUP" and "after BROKERS TOPIC GROUP".
type program struct {
	part, name string
	// install returns how to start it.
	install func(t *testing.T) command
}

func (p program) command(t *testing.T, c command, args ...string) command {
	t.Helper()
	c.args = append(slices.Clone(c.args), args...)
	c.timeout = 4 * time.Minute
	return c
}

var programs = []program{
	{"go", "franz-go", func(t *testing.T) command { return goProgram(t, "franz") }},
	{"go", "sarama", func(t *testing.T) command { return goProgram(t, "sarama") }},
	{"python", "kafka-python", func(t *testing.T) command { return pythonProgram(t, "kafka_python.py") }},
	{"python", "confluent-kafka", func(t *testing.T) command { return pythonProgram(t, "confluent.py") }},
	{"node", "kafka.js", nodeProgram},
	{"java", "Java client", func(t *testing.T) command { return javaProgram(t, "Checks") }},
}

// folder is one of this package's, absolute.
func folder(t *testing.T, name string) string {
	t.Helper()
	dir, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// tool finds a program on the machine.
func tool(t *testing.T, name, remedy string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not on this machine: %s", name, remedy)
	}
	return path
}

func goProgram(t *testing.T, client string) command {
	t.Helper()
	binary := filepath.Join(cache(t, "go"), "client")
	command{dir: folder(t, "go"), args: []string{"go", "build", "-o", binary, "."}, timeout: 5 * time.Minute}.must(t)
	return command{args: []string{binary, client}}
}

func pythonProgram(t *testing.T, script string) command {
	t.Helper()
	dir, venv := folder(t, "python"), filepath.Join(cache(t, "python"), "venv")
	python := filepath.Join(venv, "bin", "python")
	if _, err := os.Stat(python); err != nil {
		command{args: []string{tool(t, "python3", "apt-get install python3 python3-venv"), "-m", "venv", venv}, timeout: time.Minute}.must(t)
	}
	command{args: []string{python, "-m", "pip", "install", "--quiet", "--requirement", filepath.Join(dir, "requirements.txt")}, timeout: 5 * time.Minute}.must(t)
	return command{dir: dir, env: []string{"PYTHONDONTWRITEBYTECODE=1"}, args: []string{python, script}}
}

func nodeProgram(t *testing.T) command {
	t.Helper()
	dir, modules := folder(t, "node"), cache(t, "node")
	for _, name := range []string{"package.json", "package-lock.json"} {
		copyFile(t, filepath.Join(dir, name), filepath.Join(modules, name))
	}
	command{dir: modules, args: []string{tool(t, "npm", "apt-get install nodejs npm"), "ci", "--no-audit", "--no-fund"}, timeout: 5 * time.Minute}.must(t)
	return command{
		dir: dir, env: []string{"NODE_MODULES_OF=" + modules, "KAFKAJS_NO_PARTITIONER_WARNING=1"},
		args: []string{tool(t, "node", "apt-get install nodejs npm"), "kafkajs.js"},
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

func javaProgram(t *testing.T, class string) command {
	t.Helper()
	dir := cache(t, "java")
	if err := os.RemoveAll(filepath.Join(dir, "src")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "src"), os.DirFS(filepath.Join(folder(t, "java"), "src"))); err != nil {
		t.Fatal(err)
	}
	copyFile(t, filepath.Join(folder(t, "java"), "pom.xml"), filepath.Join(dir, "pom.xml"))
	mvn := tool(t, "mvn", "apt-get install maven default-jdk-headless")
	command{dir: dir, args: []string{mvn, "-q", "-B", "compile", "dependency:build-classpath", "-Dmdep.outputFile=target/classpath"}, timeout: 10 * time.Minute}.must(t)
	path, err := os.ReadFile(filepath.Join(dir, "target", "classpath"))
	if err != nil {
		t.Fatal(err)
	}
	return command{dir: dir, args: []string{
		tool(t, "java", "apt-get install default-jdk-headless"), "-Xmx512m", "-cp", "target/classes:" + strings.TrimSpace(string(path)), class,
	}}
}

// Each client against one agent, and against each of three: what it writes comes back, its groups and its admin client work.
func TestClients(t *testing.T) {
	installed := install(t)
	one := harness.NewCluster(t, harness.ClusterConfig{Agents: 1, Coordinators: 1})
	three := harness.NewCluster(t, harness.ClusterConfig{})
	for _, p := range programs {
		c, ok := installed[p.name]
		if !ok {
			continue
		}
		for i, addr := range append(one.Kafka(), three.Kafka()...) {
			where := "one agent"
			if i > 0 {
				where = fmt.Sprintf("agent %d of three", i)
			}
			t.Run(p.name+"/"+where, func(t *testing.T) {
				t.Parallel()
				prefix := fmt.Sprintf("%s-%d", strings.ReplaceAll(p.name, " ", "-"), i)
				out := p.command(t, c, "checks", addr, prefix).must(t)
				t.Logf("%d checks", strings.Count(out, "ok "))
			})
		}
	}
}

func install(t *testing.T) map[string]command {
	t.Helper()
	asked := strings.Split(os.Getenv(wantedVariable), ",")
	out := map[string]command{}
	for _, p := range programs {
		if slices.Contains(asked, p.part) || slices.Contains(asked, "all") {
			out[p.name] = p.install(t)
		}
	}
	if len(out) == 0 {
		part(t, "go,python,node,java")
	}
	return out
}

// A group of each client goes on at exactly the offset that it had committed, at the region that took over.
func TestClientsFailover(t *testing.T) {
	installed := install(t)
	x := harness.NewClusterPair(t, harness.ClusterConfig{Agents: 1, Coordinators: 1}, harness.ClusterConfig{Agents: 1, Coordinators: 1})
	cl, err := kgo.NewClient(kgo.SeedBrokers(x.A.Kafka()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	committed := map[string]map[string]int64{}
	topicOf := func(p program) string { return "failover-" + strings.ReplaceAll(p.name, " ", "-") }
	offsets := func(p program, args ...string) (out map[string]int64) {
		t.Helper()
		text := p.command(t, installed[p.name], args...).must(t)
		lines := strings.Split(strings.TrimSpace(text), "\n")
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &out); err != nil {
			t.Fatalf("%s: %v: %s", p.name, err, text)
		}
		return out
	}
	for _, p := range programs {
		if _, ok := installed[p.name]; !ok {
			continue
		}
		if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 3, -1, nil, topicOf(p)); err != nil {
			t.Fatal(err)
		}
		committed[p.name] = offsets(p, "before", x.A.Kafka()[0], topicOf(p), "g-"+topicOf(p))
		if sum := committed[p.name]["0"] + committed[p.name]["1"] + committed[p.name]["2"]; sum < 400 || sum > 900 {
			t.Errorf("%s committed %v", p.name, committed[p.name])
		}
	}
	x.A.Kill()
	x.Failover()
	for _, p := range programs {
		if _, ok := installed[p.name]; !ok {
			continue
		}
		got := offsets(p, "after", x.B.Kafka()[0], topicOf(p), "g-"+topicOf(p))
		want := map[string]int64{"0": 0, "1": 0, "2": 0}
		maps.Copy(want, committed[p.name]) // a partition that gave nothing yet has nothing committed
		if !maps.Equal(got, want) {
			t.Errorf("%s goes on at %v, it had committed %v", p.name, got, committed[p.name])
		}
		t.Logf("%s goes on at %v", p.name, got)
	}
}

// Kafka's own tools, as its scripts start them.
func TestKafkaTools(t *testing.T) {
	part(t, "java")
	c := javaProgram(t, "Tools")
	x := harness.NewCluster(t, harness.ClusterConfig{})
	c.args, c.timeout = append(c.args, strings.Join(x.Kafka(), ","), "interop"), 4*time.Minute
	t.Logf("%d tools", strings.Count(c.must(t), "ok "))
}
