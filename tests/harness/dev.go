package harness

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/region"
)

// Dev is a data directory of gnomon dev, and the processes on it.
type Dev struct {
	Data string
	t    testing.TB
}

// NewDev makes an empty data directory. It is short, as sockets' paths may be.
func NewDev(t testing.TB) *Dev {
	t.Helper()
	return &Dev{Data: filepath.Join(t.TempDir(), "d"), t: t}
}

func (d *Dev) args(args []string) []string {
	return append([]string{"dev", "--data", d.Data, "--ephemeral-ports"}, args...)
}

// Start runs `gnomon dev --ephemeral-ports` with args and waits until it is ready.
func (d *Dev) Start(args ...string) *Process {
	d.t.Helper()
	return start(d.t, fmt.Sprint("gnomon dev ", args), roleCommand, d.args(args)...)
}

// Launch is Start without the wait, for a start that is to fail or that another process waits for.
func (d *Dev) Launch(args ...string) *Process {
	d.t.Helper()
	return launch(d.t, fmt.Sprint("gnomon dev ", args), roleCommand, d.args(args)...)
}

// StartPair runs region a and region b as two processes, and returns them once both are ready and the link exists.
func (d *Dev) StartPair(args ...string) (a, b *Process) {
	d.t.Helper()
	a = d.Start(append([]string{"--region", "a"}, args...)...)
	b = d.Start(append([]string{"--region", "b"}, args...)...)
	d.WaitLink("ACTIVE")
	return a, b
}

// Endpoints of region a or b, from its file.
func (d *Dev) Endpoints(name string) region.Endpoints {
	d.t.Helper()
	raw, err := os.ReadFile(filepath.Join(d.Data, name, "endpoints.json"))
	if err != nil {
		d.t.Fatal(err)
	}
	var e region.Endpoints
	if err := json.Unmarshal(raw, &e); err != nil {
		d.t.Fatal(err)
	}
	return e
}

// StartEtcd runs an etcd of its own process, for --etcd-a and --etcd-b. Its URL stays the same when it is started again.
func (d *Dev) StartEtcd(name string) (*Process, string) {
	d.t.Helper()
	return startEtcd(d.t, name, filepath.Join(d.Data, name, "etcd-apart"))
}

func startEtcd(t testing.TB, name, dir string, tls ...string) (*Process, string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "ports.json")
	var ports []string
	if raw, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(raw, &ports); err != nil {
			t.Fatal(err)
		}
	} else {
		ports = freePorts(t, 2)
		raw, _ := json.Marshal(ports) // two texts can be encoded
		if err := os.WriteFile(file, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, "etcd of "+name, roleEtcd, slices.Concat([]string{filepath.Join(dir, "data")}, ports, tls)...)
	scheme := "http"
	if len(tls) > 0 {
		scheme = "https"
	}
	return p, scheme + "://127.0.0.1:" + ports[0]
}

// Ports that are kept over restarts lie below those that the system gives to outgoing connections (from 32768 on): one of
// these could have the port while its process is down.
const (
	lowestPort  = 12_000
	highestPort = 32_000
)

// given are the ports that this process has handed out: nobody may listen on them yet, or just now.
var given sync.Map

// FreePort is a port on loopback that nobody listens on at this moment.
func FreePort(t testing.TB) string {
	t.Helper()
	return freePorts(t, 1)[0]
}

// freePorts finds n ports on which nobody listens, and that were not given before.
func freePorts(t testing.TB, n int) []string {
	t.Helper()
	var held []net.Listener
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	var ports []string
	for range 1000 {
		port := strconv.Itoa(lowestPort + rand.IntN(highestPort-lowestPort))
		if _, before := given.LoadOrStore(port, true); before {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		held = append(held, l) // so that they differ
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatal("no free ports")
	return nil
}
