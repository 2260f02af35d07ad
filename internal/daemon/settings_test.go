package daemon

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/pkg/coordinator"
)

func env(args []string, vars map[string]string) (Env, *bytes.Buffer) {
	var errs bytes.Buffer
	return Env{Args: args, Getenv: func(k string) string { return vars[k] }, Out: &errs, Err: &errs, Now: time.Now, Version: "test"}, &errs
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// The samples are complete, and say what they seem to.
func TestSamples(t *testing.T) {
	var a agentOptions
	e, errs := env([]string{"--config", "../../deploy/agent.yaml"}, nil)
	if _, ok := e.load("agent", a.settings()); !ok {
		t.Fatal(errs)
	}
	if a.NodeID != 1 || a.KafkaAddr != "0.0.0.0:9092" || len(a.Coordinators) != 2 || a.Limits.Connections != 3000 || a.Appender.FlushInterval == 0 {
		t.Errorf("%+v", a)
	}
	if err := a.inside.validate(named{"coordinators", a.Coordinators}); err != nil || a.inside.files.Key == "" || a.inside.token == "" || a.inside.insecure {
		t.Errorf("%v, %+v", err, a.inside)
	}
	if err := a.Validate(); err != nil {
		t.Error(err)
	}
	if a.Prices == nil || a.Prices.Put != 0.0054 {
		t.Errorf("prices %+v", a.Prices)
	}
	if p, err := ReadPrices("../../deploy/prices.yaml"); err != nil || *p != *a.Prices {
		t.Errorf("deploy/prices.yaml is %+v, %v; the table of that name is %+v", p, err, a.Prices)
	}
	var c coordinatorOptions
	e, errs = env([]string{"--config", "../../deploy/coordinator.yaml"}, nil)
	if _, ok := e.load("coordinator", c.settings()); !ok {
		t.Fatal(errs)
	}
	if c.ID != "coordinator-1" || len(c.EtcdEndpoints) != 3 || c.Identity.Region != 1 || c.Identity.ClusterID[0] != 0x6b || len(c.peers) != 2 || c.Groups.InitialRebalanceDelay != 0 {
		t.Errorf("%+v", c)
	}
	if err := c.validate(); err != nil || c.inside.files.Key == "" || c.peerTLS.CA == "" || c.etcd.user == "" || c.etcd.passwordFile == "" || c.etcd.files.Key == "" || c.inside.token == "" || c.inside.insecure {
		t.Errorf("%v, %+v, %+v", err, c.inside, c.peerTLS)
	}
	// The sample says that its limits are the defaults.
	if want := (coordinator.Limits{
		Producers: coordinator.ProducersDefault, Topics: coordinator.TopicsDefault, Partitions: coordinator.PartitionsDefault,
		PartitionsPerTopic: coordinator.PartitionsPerTopicDefault,
		OffsetsPerGroup:    coordinator.OffsetsPerGroupDefault, OffsetBytes: coordinator.OffsetBytesDefault,
	}); c.Limits != want {
		t.Errorf("limits %+v, want %+v", c.Limits, want)
	}
}

// Flags win over variables, and those over the file.
func TestOrder(t *testing.T) {
	file := write(t, "zone: file\nlisten: 127.0.0.1:1\nnode-id: 3\ncoordinators: [http://c:1, http://d:2]\nbucket: file:///b\n")
	e, errs := env([]string{"--config", file, "--zone", "flag"}, map[string]string{"GNOMON_ZONE": "variable", "GNOMON_LISTEN": "127.0.0.1:2"})
	var a agentOptions
	if _, ok := e.load("agent", a.settings()); !ok {
		t.Fatal(errs)
	}
	if a.Zone != "flag" || a.KafkaAddr != "127.0.0.1:2" || a.NodeID != 3 || strings.Join(a.Coordinators, " ") != "http://c:1 http://d:2" {
		t.Errorf("%+v", a)
	}
}

// Each mistake is one sentence that names the place and the remedy, and exit code 2.
func TestMistakes(t *testing.T) {
	whole := "node-id: 3\ncoordinators: http://c:1\nbucket: file:///b\n"
	for name, c := range map[string]struct {
		text string
		args []string
		vars map[string]string
		want string
	}{
		"unknown":        {whole + "node: 3\n", nil, nil, `x.yaml line 4: unknown setting "node"; known are node-id, listen`},
		"twice":          {whole + "zone: x\nzone: y\n", nil, nil, "x.yaml line 5: zone is set twice"},
		"no mapping":     {"- node-id\n", nil, nil, "line 1: settings have the form name: value"},
		"nested":         {whole + "zone: {a: b}\n", nil, nil, "x.yaml line 4: zone: the value is neither plain nor a list"},
		"out of range":   {whole, []string{"--node-id", "-1"}, nil, `--node-id is "-1": use a number from 0 to 2147483647`},
		"variable":       {whole, nil, map[string]string{"GNOMON_LISTEN": "9092"}, `GNOMON_LISTEN is "9092": use host:port`},
		"URL":            {"coordinators: 10.0.0.5:9644\n", nil, nil, `x.yaml line 1: coordinators is "10.0.0.5:9644": use http://host:port, or https://host:port`},
		"missing":        {"node-id: 3\nbucket: file:///b\n", nil, nil, "coordinators is missing (URLs of the region's coordinators): set it in the configuration file, by --coordinators, or by GNOMON_COORDINATORS"},
		"unknown flag":   {whole, []string{"--nodeid", "1"}, nil, "flag provided but not defined: -nodeid; see agent --help"},
		"an argument":    {whole, []string{"run"}, nil, `agent takes no arguments, only flags: "run"`},
		"no such level":  {whole, []string{"--log-level", "loud"}, nil, "use debug, info, warn or error"},
		"log format":     {whole, []string{"--log-format", "xml"}, nil, `--log-format is "xml": use text or json`},
		"a password":     {whole, nil, map[string]string{"GNOMON_COORDINATORS": "http://me:secret@c:1/x"}, `GNOMON_COORDINATORS is "http://...@c:1/x": use http://host:port`},
		"trace endpoint": {whole, []string{"--trace-endpoint", "localhost:4317"}, nil, "use http://host:port or https://host:port"},
		"trace ratio":    {whole + "trace-ratio: 2\n", nil, nil, "use a number from 0 to 1"},
		"no YAML":        {"a: [", nil, nil, "x.yaml: yaml:"},
		"store prices":   {whole + "store-prices: gold\n", nil, nil, "use none, s3-us-east-1, s3-eu-central-1, or a YAML file: open gold"},
		"price table":    {whole + "store-prices: ../../deploy/agent.yaml\n", nil, nil, "field node-id not found"},
		"flush profile":  {whole + "flush-profile: fast\n", nil, nil, "use latency or cost"},
		"TLS, http":      {whole, []string{"--tls-cert", "x", "--tls-key", "x", "--tls-ca", "x"}, nil, "coordinators has http://c:1, but tls-ca is set: use https://"},
		"https, no TLS":  {"node-id: 3\ncoordinators: https://c:1\nbucket: file:///b\n", nil, nil, "no TLS is configured: set tls-ca"},
		"half of TLS":    {whole, []string{"--tls-cert", "x"}, nil, "belong together: tls-key is missing"},
		"no file at all": {"", []string{"--config", "/nowhere.yaml"}, nil, "configuration file: open /nowhere.yaml"},
	} {
		e, errs := env(append([]string{"--config", write(t, c.text)}, c.args...), c.vars)
		if code := RunAgent(context.Background(), e); code != exitUsage {
			t.Errorf("%s: exit code %d", name, code)
		}
		if got := errs.String(); !strings.HasPrefix(got, "agent: ") || !strings.Contains(got, c.want) || strings.Count(got, "\n") != 1 && name != "no YAML" && name != "price table" {
			t.Errorf("%s: %s", name, got)
		}
	}
	e, errs := env([]string{"--id", "c", "--cluster-id", "xyz"}, nil)
	if code := RunCoordinator(context.Background(), e); code != exitUsage || !strings.Contains(errs.String(), "use 32 hexadecimal digits") {
		t.Errorf("%d, %s", code, errs)
	}
}

func TestHelp(t *testing.T) {
	e, out := env([]string{"--help"}, nil)
	if code := RunCoordinator(context.Background(), e); code != 0 || !strings.Contains(out.String(), "GNOMON_REGION_NUMBER") {
		t.Errorf("%d, %s", code, out)
	}
}

// A value that is refused is shown without what its URL holds of a user.
func TestRefusalsKeepSecrets(t *testing.T) {
	for _, name := range []string{"etcd", "peers", "advertise-url"} {
		e, errs := env([]string{"--" + name, "http://me:secret@127.0.0.1:1/path"}, nil)
		if code := RunCoordinator(context.Background(), e); code != exitUsage || strings.Contains(errs.String(), "secret") || !strings.Contains(errs.String(), "127.0.0.1:1/path") {
			t.Errorf("%d, %s", code, errs)
		}
	}
}
