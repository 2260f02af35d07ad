package harness

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/devcerts"
)

// ClusterConfig of a region made of processes. What is zero has a default.
type ClusterConfig struct {
	Name         string // of the region: "a"
	Number       int    // of the region: 1
	Agents       int    // 3; their node ids are 1, 2, 3 in region 1, and 1001 and so on in region 2
	Coordinators int    // 2
	// EtcdMembers above 0 makes an etcd of so many processes (Members); EtcdQuota bounds what each stores, bytes, 0 for 2 GiB.
	EtcdMembers int
	EtcdQuota   int64
	// Bucket is a URL; by default a directory, or, when GNOMON_TEST_S3 names a bucket (tests/s3/run.sh), a prefix of it.
	Bucket         string
	KafkaClusterID string
	// Coordinator and Agent are further flags for each.
	Coordinator, Agent []string
	// TLS gives the region an authority of its own, and all its processes certificates of it, its etcd too, with users.
	TLS bool
	// Each gives flags of one agent.
	Each func(*Node) []string
}

// Cluster is a region made of processes, each on ports of its own that stay the same when it is started again: an etcd,
// coordinators, agents.
//
//	c := harness.NewCluster(t, harness.ClusterConfig{})
//	c.Leader().Kill()
type Cluster struct {
	Config       ClusterConfig
	Etcd         *Process // nil when it has members
	Members      []*Node
	EtcdURL      string
	Coordinators []*Node
	Agents       []*Node

	t      testing.TB
	data   string
	id     string
	scheme string
}

// NewCluster starts a region and waits until every process is ready and every agent is in the list.
func NewCluster(t testing.TB, cfg ClusterConfig) *Cluster {
	t.Helper()
	c := newCluster(t, cfg)
	c.start(nil)
	return c
}

func newCluster(t testing.TB, cfg ClusterConfig) *Cluster {
	t.Helper()
	c := &Cluster{Config: cfg, t: t, data: filepath.Join(t.TempDir(), "c"), id: randomID()}
	if err := os.MkdirAll(filepath.Join(c.data, "bucket"), 0o755); err != nil {
		t.Fatal(err)
	}
	x := &c.Config
	x.Number = max(x.Number, 1)
	if x.Name == "" {
		x.Name = string(rune('a' + x.Number - 1))
	}
	if x.Agents == 0 {
		x.Agents = 3
	}
	if x.Coordinators == 0 {
		x.Coordinators = 2
	}
	if x.KafkaClusterID == "" {
		x.KafkaClusterID = randomID()[:22]
	}
	if x.Bucket == "" {
		x.Bucket = bucketURL(c.data)
	}
	c.scheme = "http://"
	if x.TLS {
		c.scheme = "https://"
		MakeCerts(t, c.Certs())
	}
	ports := freePorts(t, x.Coordinators+2*x.Agents)
	for i := range x.Coordinators {
		n := &Node{Name: fmt.Sprintf("coordinator-%s%d", x.Name, i+1), t: t, role: roleCoordinator, Admin: c.scheme + "127.0.0.1:" + ports[i]}
		c.Coordinators = append(c.Coordinators, n)
	}
	ports = ports[x.Coordinators:]
	for i := range x.Agents {
		id := (x.Number-1)*1000 + i + 1
		n := &Node{
			Name: fmt.Sprint("agent-", id), t: t, role: roleAgent, ID: int32(id),
			Kafka: "127.0.0.1:" + ports[2*i], Admin: c.scheme + "127.0.0.1:" + ports[2*i+1],
		}
		c.Agents = append(c.Agents, n)
	}
	return c
}

func randomID() string {
	id := make([]byte, 16)
	for i := range id {
		id[i] = byte(rand.Uint32())
	}
	return hex.EncodeToString(id)
}

// bucketURL is a prefix of the bucket of GNOMON_TEST_S3, or a directory.
func bucketURL(data string) string {
	location, query, ok := strings.Cut(os.Getenv("GNOMON_TEST_S3"), "?")
	if !ok {
		return "file://" + filepath.Join(data, "bucket")
	}
	return fmt.Sprintf("%s/cluster-%s?%s", strings.TrimSuffix(location, "/"), randomID()[:12], query)
}

// start starts all processes; peer is the other region, if there is one.
func (c *Cluster) start(peer *Cluster) {
	c.t.Helper()
	if c.Config.EtcdMembers > 0 {
		c.EtcdURL = c.startMembers()
	} else {
		c.startEtcd()
		c.MakeEtcdUsers()
	}
	x := c.Config
	for _, n := range c.Coordinators {
		n.args = append([]string{
			"--id", n.Name, "--listen", strings.TrimPrefix(n.Admin, c.scheme), "--etcd", c.EtcdURL, "--bucket", x.Bucket,
			"--cluster-id", c.id, "--kafka-cluster-id", x.KafkaClusterID, "--region-number", fmt.Sprint(x.Number), "--region-name", x.Name,
		}, slices.Concat(c.tlsFlags("coordinator"), c.EtcdFlags(), c.PeerFlags(peer), x.Coordinator)...)
		n.Launch()
	}
	for _, n := range c.Agents {
		n.args = append([]string{
			"--node-id", fmt.Sprint(n.ID), "--listen", n.Kafka, "--admin-listen", strings.TrimPrefix(n.Admin, c.scheme),
			"--coordinators", strings.Join(c.URLs(), ","), "--bucket", x.Bucket,
		}, slices.Concat(c.tlsFlags("agent"), x.Agent)...)
		if x.Each != nil {
			n.args = append(n.args, x.Each(n)...)
		}
		n.Launch()
	}
	for _, n := range slices.Concat(c.Coordinators, c.Agents) {
		n.WaitReady()
	}
	c.WaitAgents(len(c.Agents))
}

// Twin is a place for a second process with an agent's node id, on ports of its own; nothing is started.
func (c *Cluster) Twin(n *Node) *Node {
	c.t.Helper()
	ports := freePorts(c.t, 2)
	out := *n
	out.p, out.Name = nil, n.Name+" again"
	out.Kafka, out.Admin = "127.0.0.1:"+ports[0], c.scheme+"127.0.0.1:"+ports[1]
	out.args = append(slices.Clone(n.args), "--listen", out.Kafka, "--admin-listen", strings.TrimPrefix(out.Admin, c.scheme))
	return &out
}

// URLs are those of the coordinators.
func (c *Cluster) URLs() []string {
	var out []string
	for _, n := range c.Coordinators {
		out = append(out, n.Admin)
	}
	return out
}

// Kafka are the addresses of all agents.
func (c *Cluster) Kafka() []string {
	var out []string
	for _, n := range c.Agents {
		out = append(out, n.Kafka)
	}
	return out
}

// health is what `gnomon health --format json` prints, as far as it is needed.
type health struct {
	Leader string
	Agents int
}

func (c *Cluster) health() (h health, missing string) {
	for _, n := range c.Coordinators {
		if !n.Running() {
			continue
		}
		r := c.TryAdmin(n, "health")
		if err := json.Unmarshal([]byte(r.Out), &h); err != nil {
			missing = r.Out + r.Err
			continue
		}
		return h, ""
	}
	return h, "no coordinator answers: " + missing
}

// WaitAgents waits until n agents are in the list.
func (c *Cluster) WaitAgents(n int) {
	c.t.Helper()
	Eventually(c.t, 20*time.Second, fmt.Sprint(n, " agents in the list"), func() string {
		h, missing := c.health()
		if missing == "" && h.Agents != n {
			missing = fmt.Sprint("there are ", h.Agents)
		}
		return missing
	})
}

// Leader waits until a coordinator that runs leads, and returns it.
func (c *Cluster) Leader() *Node {
	c.t.Helper()
	var leader *Node
	Eventually(c.t, 20*time.Second, "a leader", func() string {
		h, missing := c.health()
		if missing != "" {
			return missing
		}
		for _, n := range c.Coordinators {
			if n.Name == h.Leader && n.Running() {
				leader = n
				return ""
			}
		}
		return fmt.Sprintf("%q leads", h.Leader)
	})
	return leader
}

// Standby is a coordinator that runs and does not lead.
func (c *Cluster) Standby() *Node {
	c.t.Helper()
	leader := c.Leader()
	for _, n := range c.Coordinators {
		if n != leader && n.Running() {
			return n
		}
	}
	c.t.Fatal("no standby runs")
	return nil
}

// TryAdmin runs gnomon with args against the admin API of the region's coordinator n.
func (c *Cluster) TryAdmin(n *Node, args ...string) Result {
	c.t.Helper()
	args = append(args, "--admin", n.Admin, "--format", "json")
	if c.Config.TLS {
		args = append(args, "--tls-ca", c.Cert("ca"), "--token-file", c.Secret(devcerts.AdminToken))
	}
	return Gnomon(c.t, args...)
}

// Admin runs gnomon with args against the leader, and wants JSON and exit code 0.
func (c *Cluster) Admin(into any, args ...string) Result {
	c.t.Helper()
	r := c.TryAdmin(c.Leader(), args...)
	if r.Code != 0 {
		c.t.Fatalf("gnomon %s: exit code %d\n%s%s", strings.Join(args, " "), r.Code, r.Out, r.Err)
	}
	c.Decode(r, into)
	return r
}

// Decode reads the JSON that a command has printed.
func (c *Cluster) Decode(r Result, into any) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(r.Out), into); err != nil {
		c.t.Fatalf("not the JSON that was expected: %v\n%s", err, r.Out)
	}
}
