package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gnomon-stream/gnomon/internal/process"
)

// clusterAgents is how many a region has where nothing else is said.
const clusterAgents = 2

// clusterConfig of a region.
type clusterConfig struct {
	name   string // of its data, and of its bucket
	number int    // of the region, from 1
	agents int    // 0: clusterAgents
	id     string // of the cluster; empty: made of the number
	// coordinator and agent are further flags of each.
	coordinator, agent []string
	bare               bool // only the etcd is started
}

// cluster is a region of processes: etcd, one coordinator, agents; so that what each costs is seen apart.
type cluster struct {
	b     *bench
	cfg   clusterConfig
	at    *place
	url   string   // of the coordinator
	etcd  string   // URL
	kafka []string // addresses of the agents
	admin []string // URLs of the agents

	etcdProcess *process.Process
	coordinator *process.Process
	agents      []*process.Process
}

// startCluster starts one with its data at a place.
func (p *place) startCluster(cfg clusterConfig) (*cluster, error) {
	cfg.number = max(cfg.number, 1)
	if cfg.agents == 0 {
		cfg.agents = clusterAgents
	}
	if cfg.id == "" {
		cfg.id = strings.Repeat(fmt.Sprintf("%02x", 0x59+cfg.number), 16)
	}
	ports, err := p.b.freePorts(3 + 2*cfg.agents)
	if err != nil {
		return nil, err
	}
	loopback := func(i int) string { return "127.0.0.1:" + ports[i] }
	c := &cluster{b: p.b, at: p, cfg: cfg, etcd: "http://" + loopback(0), url: "http://" + loopback(2)}
	for i := range cfg.agents {
		c.kafka, c.admin = append(c.kafka, loopback(3+2*i)), append(c.admin, "http://"+loopback(4+2*i))
	}
	if err := os.MkdirAll(filepath.Join(p.dir, cfg.name), 0o755); err != nil {
		return nil, err
	}
	if c.etcdProcess, err = p.b.start("etcd", roleEtcd, filepath.Join(p.dir, cfg.name, "etcd"), ports[0], ports[1]); err != nil || cfg.bare {
		return c, err
	}
	if err := c.startCoordinator(); err != nil {
		return nil, err
	}
	return c, c.startAgents()
}

func (c *cluster) startCoordinator() error {
	var err error
	c.coordinator, err = c.b.start("coordinator", roleCoordinator, append([]string{
		"--id", "c", "--listen", strings.TrimPrefix(c.url, "http://"), "--etcd", c.etcd, "--bucket", c.at.url(c.cfg.name), "--cluster-id", c.cfg.id,
		"--kafka-cluster-id", "bench", "--region-number", strconv.Itoa(c.cfg.number), "--region-name", string(rune('a' + c.cfg.number - 1)), "--log-level", "error",
	}, c.cfg.coordinator...)...)
	return err
}

func (c *cluster) startAgents() error {
	c.agents = nil
	for i, addr := range c.kafka {
		p, err := c.b.start(fmt.Sprint("agent ", i+1), roleAgent, append([]string{
			"--node-id", strconv.Itoa((c.cfg.number-1)*1000 + i + 1), "--listen", addr, "--admin-listen", strings.TrimPrefix(c.admin[i], "http://"),
			"--coordinators", c.url, "--bucket", c.at.url(c.cfg.name), "--log-level", "error",
		}, c.cfg.agent...)...)
		if err != nil {
			return err
		}
		c.agents = append(c.agents, p)
	}
	return nil
}

// restartAgents gives the region agents with empty caches.
func (c *cluster) restartAgents() error {
	for _, p := range c.agents {
		if err := p.Stop(stopTimeout); err != nil {
			return err
		}
	}
	return c.startAgents()
}

func (c *cluster) processes() []*process.Process {
	var out []*process.Process
	for _, p := range append(slices.Clone(c.agents), c.coordinator, c.etcdProcess) {
		if p != nil {
			out = append(out, p)
		}
	}
	return out
}

// stop ends the cluster's processes, so that the next measurement has the machine for itself.
func (c *cluster) stop() {
	for _, p := range c.processes() {
		_ = p.Stop(stopTimeout) // an end that is not clean is told by close
	}
}

// kill ends them at once, as the loss of a region does.
func (c *cluster) kill() error {
	all := c.processes()
	for _, p := range all { // all are gone before the first is waited for
		_ = p.Signal(syscall.SIGKILL)
	}
	for _, p := range all {
		if err := p.Kill(); err != nil {
			return err
		}
		c.b.forget(p)
	}
	return nil
}

// system is the cluster as the load sees it.
func (c *cluster) system() system {
	var agents []program
	for _, p := range c.agents {
		agents = append(agents, p)
	}
	return system{kafka: c.kafka, programs: []programs{
		{name: "agents", all: agents}, {name: "coordinator", all: []program{c.coordinator}}, {name: "etcd", all: []program{c.etcdProcess}}, c.at.programs(),
	}}
}

// system is something that speaks Kafka's protocol.
type system struct {
	kafka    []string
	programs []programs
}

// Ports are taken below those that systems give to clients by default: a port whose process is started again must not
// become a client's meanwhile.
const lowestPort, highestPort = 10_000, 32_000

// freePorts finds n ports on which nobody listens, and that this run has not given before.
func (b *bench) freePorts(n int) ([]string, error) {
	var out []string
	for range 1_000 {
		port := strconv.Itoa(lowestPort + rand.IntN(highestPort-lowestPort))
		if b.ports[port] {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue // somebody has it
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
		b.ports[port] = true
		if out = append(out, port); len(out) == n {
			return out, nil
		}
	}
	return nil, fmt.Errorf("no %d free ports from %d to %d", n, lowestPort, highestPort)
}

// during measures what fn costs the processes: cores used, and their memory at its end.
func during(ctx context.Context, fn func(context.Context) error, all ...*process.Process) (cores float64, rss int64, err error) {
	before, err := costOf(all...)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := fn(ctx); err != nil {
		return 0, 0, err
	}
	after, err := costOf(all...)
	return (after.cpu - before.cpu).Seconds() / time.Since(began).Seconds(), after.rss, err
}
