package cluster

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/devcerts"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

// filesOf are those of a certificate of the region; "" for the authority alone.
func filesOf(c *harness.Cluster, name string) tlsfiles.Files {
	f := tlsfiles.Files{CA: c.Cert("ca")}
	if name != "" {
		f.Cert, f.Key = c.Cert(name), c.Key(name)
	}
	return f
}

// ask calls an admin port once and returns the status and the answer.
func ask(t *testing.T, files tlsfiles.Files, token, url string) (int, string) {
	t.Helper()
	set, err := tlsfiles.Open(files, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialTLSContext: set.Dialer((&net.Dialer{}).DialContext, tlsfiles.AnyServer)}
	defer transport.CloseIdleConnections()
	method := http.MethodGet
	if strings.Contains(url, "/gnomon.") {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(testContext(t, 10*time.Second), method, url, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func readToken(t *testing.T, c *harness.Cluster) string {
	t.Helper()
	token, err := tlsfiles.ReadSecret(c.Secret(devcerts.AdminToken))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// noSecrets checks that no process has printed a secret of the region.
func noSecrets(t *testing.T, c *harness.Cluster, nodes ...*harness.Node) {
	t.Helper()
	for _, name := range []string{devcerts.AdminToken, devcerts.EtcdPassword, devcerts.EtcdLinkPassword, devcerts.EtcdRootPassword} {
		secret, err := tlsfiles.ReadSecret(c.Secret(name))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes {
			if strings.Contains(n.Log(), secret) {
				t.Errorf("%s prints the %s", n.Name, name)
			}
		}
	}
}

// Who may do what at the admin ports, of a coordinator and of an agent.
func TestAdminPort(t *testing.T) {
	c := harness.NewCluster(t, harness.ClusterConfig{TLS: true, Agents: 1, Coordinators: 1, Coordinator: []string{"--log-level", "debug"}, Agent: []string{"--log-level", "debug"}})
	token := readToken(t, c)
	const links, log, commits = "/gnomon.admin.v1.ShadowService/List", "/gnomon.admin.v1.SourceService/Describe", "/gnomon.coordinator.v1.CoordinatorService/Identify"
	const release, health, other = "/gnomon.admin.v1.MetastoreService/ReleaseQuarantine", "/gnomon.admin.v1.ClusterService/Health", "/gnomon.admin.v1.ClusterService/Other"
	for _, x := range []struct {
		cert, token, path string
		want              int
	}{
		{"", "", "/readyz", 200}, {"", "", "/healthz", 200},
		{"", "", "/metrics", 401}, {"", token, "/metrics", 200}, {"monitor", "", "/metrics", 200}, {"region", "", "/metrics", 403},
		{"", "", "/debug/pprof/cmdline", 401}, {"monitor", "", "/debug/pprof/", 403}, {"operator", "", "/debug/pprof/", 200},
		{"", "", links, 401}, {"", token + "x", links, 401}, {"", token, links, 200}, {"operator", "", links, 200},
		{"agent", "", links, 403}, {"region", "", links, 403}, {"coordinator", "", links, 200},
		{"monitor", "", release, 403}, {"agent", "", release, 403}, {"operator", "", release, 404}, // there was no restore
		{"monitor", "", health, 200}, {"region", "", health, 403}, {"monitor", "", other, 403}, {"operator", "", other, 404},
		{"", "", log, 401}, {"", token, log, 401}, {"region", "", log, 200}, {"agent", "", log, 200}, {"operator", "", log, 403},
		{"", "", commits, 401}, {"", token, commits, 401}, {"region", "", commits, 403}, {"operator", "", commits, 403}, {"agent", "", commits, 200},
	} {
		for _, n := range slices.Concat(c.Coordinators, c.Agents) {
			if strings.Contains(x.path, "/gnomon.") && n == c.Agents[0] {
				continue
			}
			if status, body := ask(t, filesOf(c, x.cert), x.token, n.Admin+x.path); status != x.want {
				t.Errorf("%s with certificate %q, token %v at %s: %d, want %d: %s", x.path, x.cert, x.token != "", n.Name, status, x.want, body)
			}
		}
	}
	// The command line says what is missing.
	url := c.Coordinators[0].Admin
	for _, x := range []struct {
		args []string
		want string
	}{
		{[]string{"--tls-ca", c.Cert("ca")}, "--token-file"},
		{[]string{"--tls-ca", c.Cert("ca"), "--token-file", c.Cert("ca")}, "more than one line"},
		{[]string{"--tls-ca", c.Cert("ca"), "--token-file", c.Secret(devcerts.EtcdPassword)}, "the token is not the one of this region"},
		{nil, "signed by unknown authority"},
		{[]string{"--tls-ca", c.Cert("ca"), "--tls-cert", c.Cert("region"), "--tls-key", c.Key("region")}, "none of which may do this"},
		{[]string{"--tls-cert", c.Cert("region")}, "belong together"},
	} {
		r := harness.Gnomon(t, append([]string{"shadow", "list", "--admin", url}, x.args...)...)
		if r.Code == 0 || !strings.Contains(r.Err, x.want) || strings.Count(r.Err, "\n") != 1 {
			t.Errorf("%q: %d, %s", x.args, r.Code, r.Err)
		}
	}
	if r := harness.Gnomon(t, "shadow", "list", "--admin", strings.Replace(url, "https", "http", 1)); r.Code == 0 || !strings.Contains(r.Err, "the port has TLS") {
		t.Errorf("without TLS: %d, %s", r.Code, r.Err)
	}
	// Operators ask coordinators; of an agent, no more than whether it is ready.
	trust := []string{"--tls-ca", c.Cert("ca"), "--token-file", c.Secret(devcerts.AdminToken), "--admin"}
	for _, command := range [][]string{{"shadow", "list"}, {"health"}} {
		if r := harness.Gnomon(t, slices.Concat(command, trust, []string{c.Agents[0].Admin})...); r.Code != 1 || !strings.Contains(r.Err, `only ["gnomon-coordinator"] may answer`) || strings.Count(r.Err, "\n") != 1 {
			t.Errorf("%q to an agent: %d, %s", command, r.Code, r.Err)
		}
	}
	for _, n := range []*harness.Node{c.Agents[0], c.Coordinators[0]} {
		if r := harness.Gnomon(t, slices.Concat([]string{"health", "--process"}, trust, []string{n.Admin})...); r.Code != 0 {
			t.Errorf("health of the process %s: %d, %s", n.Name, r.Code, r.Err)
		}
	}
	if r := harness.Gnomon(t, "shadow", "list", "--admin", url, "--tls-ca", c.Cert("ca"), "--tls-cert", c.Cert("operator"), "--tls-key", c.Key("operator")); r.Code != 0 {
		t.Errorf("an operator's certificate: %d, %s", r.Code, r.Err)
	}
	noSecrets(t, c, slices.Concat(c.Coordinators, c.Agents)...)
}

// An agent of another authority gets nowhere, and both ends say why; one whose certificate is out of date does not start.
func TestStrangeAgent(t *testing.T) {
	t.Parallel()
	c := harness.NewCluster(t, harness.ClusterConfig{TLS: true, Agents: 1, Coordinators: 1})
	other := t.TempDir()
	harness.MakeCerts(t, other)
	stranger := c.Twin(c.Agents[0])
	stranger.Add("--node-id", "7", "--tls-cert", other+"/agent.pem", "--tls-key", other+"/agent-key.pem")
	stranger.Launch()
	harness.Eventually(t, 20*time.Second, "both ends say why", func() string {
		if log := stranger.Log(); !strings.Contains(log, "unknown certificate authority") {
			return "the agent: " + log
		}
		if log := c.Coordinators[0].Log(); !strings.Contains(log, "signed by unknown authority") {
			return "the coordinator: " + log
		}
		return ""
	})
	stranger.Kill()
	c.WaitAgents(1) // the other one is not concerned
	old := t.TempDir()
	if _, err := devcerts.Make(devcerts.Options{Dir: old, Life: time.Hour, Force: true, Now: func() time.Time { return time.Now().Add(-2 * time.Hour) }}); err != nil {
		t.Fatal(err)
	}
	late := c.Twin(c.Agents[0])
	late.Add("--tls-cert", old+"/agent.pem", "--tls-key", old+"/agent-key.pem")
	late.Launch()
	if code := late.Process().Wait(20 * time.Second); code != 1 || !strings.Contains(late.Log(), "agent.pem expired at") {
		t.Errorf("exit code %d: %s", code, late.Log())
	}
}

// Everything is renewed at once under load, the authority too: connections that stand go on, new ones are made with what
// is new, and no client sees an error. A leader that is paused is found out over TLS as without.
func TestRenewalUnderLoad(t *testing.T) {
	c := harness.NewCluster(t, harness.ClusterConfig{TLS: true, Agents: 2})
	createTopic(t, c.Kafka())
	l := startLoad(t, c.Kafka())
	l.more(300)
	harness.MakeCerts(t, c.Certs())
	time.Sleep(tlsfiles.CheckEvery)
	l.more(300)
	for _, n := range c.Coordinators {
		status, body := ask(t, filesOf(c, "operator"), "", n.Admin+"/metrics")
		if status != http.StatusOK || !strings.Contains(body, `gnomon_tls_certificate_expiry_seconds{use="inside"}`) {
			t.Errorf("%s: %d %s", n.Name, status, body)
		}
	}
	began := time.Now()
	old := c.Leader()
	old.Pause()
	l.more(500)
	t.Logf("longest time without an ack: %v", l.stall(began))
	old.Resume()
	for _, n := range c.Agents { // and with connections that are all new
		n.Term()
		n.Start()
	}
	c.WaitAgents(2)
	l.more(300)
	l.finish(c.Kafka())
}

// A peer that connects and says nothing, or speaks no TLS, holds nobody up.
func TestSilentPeers(t *testing.T) {
	c := harness.NewCluster(t, harness.ClusterConfig{TLS: true, Agents: 1, Coordinators: 1})
	addr := strings.TrimPrefix(c.Coordinators[0].Admin, "https://")
	for range 50 {
		silent, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = silent.Close() }()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	old := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}}
	if _, err := old.DialContext(ctx, "tcp", addr); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	began := time.Now()
	if status, body := ask(t, filesOf(c, "operator"), "", c.Coordinators[0].Admin+"/metrics"); status != http.StatusOK || time.Since(began) > 3*time.Second {
		t.Errorf("%d after %v: %s", status, time.Since(began), body)
	}
}

// Two regions wholly with TLS, each with an authority of its own, and with users at etcd: the link follows, b fences a by the user
// that a has given it, and nothing acked is lost. What a link must not name is refused before it exists.
func TestFailoverTLS(t *testing.T) {
	cfg := harness.ClusterConfig{TLS: true, Agents: 1}
	pair := harness.NewClusterPair(t, cfg, cfg)
	a, b := pair.A, pair.B
	createTopic(t, a.Kafka())
	path := witness.NewRedirect(a.Kafka(), b.Kafka())
	l := startLoad(t, a.Kafka(), path.Option())
	l.more(300)
	nodes := slices.Concat(a.Coordinators, a.Agents, b.Coordinators, b.Agents)
	noSecrets(t, a, nodes...)
	noSecrets(t, b, nodes...)
	b.Leader().Kill()
	runner := b.Leader() // the link goes on there
	l.more(300)

	// A failover that cannot fence because of what the link shows is no reason for a cut: a may be alive.
	link, region := a.Secret(devcerts.EtcdLinkPassword), a.Secret(devcerts.EtcdPassword)
	right, err := os.ReadFile(link)
	if err != nil {
		t.Fatal(err)
	}
	for what, wrong := range map[string]string{"a wrong password": "not-the-password\n", "no password": ""} {
		if err := os.WriteFile(link, []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		r := b.TryAdmin(runner, "shadow", "failover", harness.Link, "--yes")
		if r.Code == 0 || !strings.Contains(r.Err, "--accept-missing") || !strings.Contains(r.Err, "may be alive") || strings.Contains(r.Err, "not-the-password") {
			t.Errorf("%s: %d %s%s", what, r.Code, r.Out, r.Err)
		}
	}
	if err := os.WriteFile(link, right, 0o600); err != nil {
		t.Fatal(err)
	}
	dryRuns(t, pair, runner)
	l.more(100) // a was not fenced

	a.Kill()
	l.flip(b, runner, path)
	l.more(300)
	l.finish(b.Kafka())

	// A comes back, as its user, and knows. One that shows a wrong password ends with one sentence.
	for _, n := range slices.Concat(a.Coordinators, a.Agents) {
		n.Start()
	}
	harness.Eventually(t, 20*time.Second, "a knows that it is fenced", func() string {
		if r := a.TryAdmin(a.Coordinators[0], "health"); !strings.Contains(r.Out, `"role": "fenced"`) {
			return r.Out + r.Err
		}
		return ""
	})
	a.Coordinators[1].Term()
	if err := os.WriteFile(region, []byte("not-the-password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a.Coordinators[1].Launch()
	if code, log := a.Coordinators[1].Process().Wait(20*time.Second), a.Coordinators[1].Log(); code != 1 || !strings.Contains(log, "the password is wrong") || strings.Contains(log, "not-the-password") {
		t.Errorf("%d: %s", code, log)
	}
}
