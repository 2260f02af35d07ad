package cluster

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/gnomon-stream/gnomon/internal/devcerts"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

// dryRuns asks b what a failover would do while a lives: as the link's user, as one that may not write the fence, and as one again that may. Nothing
// is written: a goes on.
func dryRuns(t *testing.T, pair *harness.ClusterPair, runner *harness.Node) {
	t.Helper()
	ctx := testContext(t, 30*time.Second)
	set, err := tlsfiles.Open(filesOf(pair.A, "coordinator"), time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	password, err := tlsfiles.ReadSecret(pair.A.Secret(devcerts.EtcdRootPassword))
	if err != nil {
		t.Fatal(err)
	}
	root, err := clientv3.New(clientv3.Config{
		Endpoints: []string{pair.A.EtcdURL}, TLS: set.Client("127.0.0.1", tlsfiles.AnyServer), Username: "root", Password: password, Context: ctx, Logger: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	user, err := root.UserGet(ctx, harness.EtcdLinkUser)
	if err != nil {
		t.Fatal(err)
	}
	role, err := root.RoleGet(ctx, user.Roles[0])
	if err != nil {
		t.Fatal(err)
	}
	var fence string
	for _, p := range role.Perm {
		if key := string(p.Key); strings.HasSuffix(key, "/fence") {
			fence = key
		}
	}
	for _, x := range []struct {
		fence, mode string
		before      func() error
	}{
		{"allowed", "fenced", func() error { return nil }},
		{"refused", "cut", func() error { _, err := root.RoleRevokePermission(ctx, user.Roles[0], fence, ""); return err }},
		{"allowed", "fenced", func() error {
			_, err := root.RoleGrantPermission(ctx, user.Roles[0], fence, "", clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		}},
	} {
		if err := x.before(); err != nil {
			t.Fatal(err)
		}
		var f harness.Failover
		pair.B.Admin(&f, "shadow", "failover", harness.Link, "--dry-run")
		if !f.DryRun || f.Fence != x.fence || f.Mode != x.mode {
			t.Errorf("dry run: %+v, want %+v", f, x)
		}
		if x.fence == "allowed" {
			continue
		}
		if r := pair.B.TryAdmin(runner, "shadow", "failover", harness.Link, "--yes"); r.Code != 1 || !strings.Contains(r.Err, "may be alive") {
			t.Errorf("the failover itself: %d %s%s", r.Code, r.Out, r.Err)
		}
	}
	if resp, err := root.Get(ctx, fence); err != nil || len(resp.Kvs) != 0 {
		t.Errorf("a fence was written: %v, %v", resp, err)
	}
}
