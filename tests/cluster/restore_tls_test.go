package cluster

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

// An etcd with TLS and users is lost under load, and with its data its users. Step by step as docs/RESTORE.md says: its users are made again, the
// metalog is restored by the region's user, the other region asked over TLS; fsck and quarantine work there too. All goes on, and the link's
// user may fence again.
func TestEtcdLostTLS(t *testing.T) {
	t.Parallel()
	cfg := harness.ClusterConfig{TLS: true, Agents: 1, Coordinators: 1}
	p := harness.NewClusterPair(t, cfg, cfg)
	c, b := p.A, p.B
	createTopic(t, c.Kafka())
	l := startLoad(t, c.Kafka())
	l.more(300)
	sound(t, c, append(c.EtcdFlags(), "--etcd", c.EtcdURL)...) // while all runs
	c.LoseEtcd()
	haltAll(t, c, "etcd is empty") // archives what it has first, so nothing is lost

	again := c.Coordinators[0]
	again.Launch()
	if code, log := again.Ends(20 * time.Second); code != 1 || !strings.Contains(log, "etcd is empty") || !strings.Contains(log, "gnomon etcd users") {
		t.Errorf("a coordinator finds an empty etcd without users: %d, %s", code, log)
	}
	peers := c.PeerFlags(b)
	if r := c.Restore(append(peers, "--dry-run")...); !strings.Contains(r.Out, "gnomon etcd users") {
		t.Errorf("nobody says that etcd has lost its users: %d, %s%s", r.Code, r.Out, r.Err)
	}
	c.MakeEtcdUsers()
	wrong := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(wrong, []byte("not-the-password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		args []string // behind the right ones
		want string
	}{
		{[]string{"--etcd-password-file", wrong}, "the password is wrong"},
		{[]string{"--etcd-user", ""}, "etcd does not let the user do this"},
		{[]string{"--etcd-tls-ca", b.Cert("ca")}, "unknown authority"},
		{[]string{"--peer-tls-ca", c.Cert("ca")}, "unknown authority"},
	} {
		began := time.Now()
		r := c.Restore(slices.Concat(peers, x.args, []string{"--yes"})...)
		if r.Code != 1 || !strings.Contains(r.Err, x.want) || strings.Count(r.Err, "\n") != 1 || strings.Contains(r.Err, "not-the-password") {
			t.Errorf("%q: after %v, %d, %s%s; want %q", x.args, time.Since(began), r.Code, r.Out, r.Err, x.want)
		}
	}
	rep := restored(t, c, c.Restore(append(peers, "--yes")...))
	if !rep.Restored || rep.Fenced || len(rep.Warnings) != 0 {
		t.Errorf("report %+v", rep)
	}
	for _, n := range c.Coordinators {
		n.Start()
	}
	c.WaitAgents(1)
	l.more(300)
	p.WaitCaughtUp()
	l.stop()
	l.ended.Wait()
	have, err := witness.ReadAll(testContext(t, 60*time.Second), c.Kafka(), topic)
	if err != nil {
		t.Fatal(err)
	}
	inLog, inQuarantine := account(t, l, have, held(t, c))
	t.Logf("%d acked records at their place, %d in quarantine", inLog, inQuarantine)
	l.reader.Close()
	sound(t, c, append(c.EtcdFlags(), "--etcd", c.EtcdURL)...)
	if r := c.TryAdmin(c.Leader(), "metastore", "quarantine", "drop", rep.Incarnation, "--bucket", c.Config.Bucket, "--yes"); r.Code != 0 {
		t.Errorf("drop: %s%s", r.Out, r.Err)
	}
	noSecrets(t, c, slices.Concat(c.Coordinators, c.Agents)...)

	c.Kill()
	if f, r := p.Failover(); f.Mode != "fenced" {
		t.Errorf("failover by the link's new user: %+v %s", f, r.Err)
	}
}
