package etcd_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/devcerts"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/embedetcd"
	"github.com/gnomon-stream/gnomon/pkg/metastore/etcd"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// guarded is an etcd with TLS and users.
type guarded struct {
	t        *testing.T
	dir      string
	endpoint string
	cluster  base.ClusterID
}

const tokenTTL = 2 * time.Second

var users = etcd.Users{
	Root: etcd.User{Name: "root", Password: "root-password"}, Region: etcd.User{Name: "gnomon", Password: "region-password"},
	Link: etcd.User{Name: "gnomon-link", Password: "link-password"},
}

func startGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{t: t, dir: t.TempDir(), cluster: cluster()}
	if _, err := devcerts.Make(devcerts.Options{Dir: g.dir, Life: time.Hour, Force: true, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	s, err := embedetcd.Start(embedetcd.Config{
		Dir: filepath.Join(g.dir, "data"), CertFile: filepath.Join(g.dir, "etcd.pem"), KeyFile: filepath.Join(g.dir, "etcd-key.pem"),
		CAFile: filepath.Join(g.dir, "ca.pem"), TokenTTL: tokenTTL, PasswordCost: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	g.endpoint = s.Endpoint()
	for _, want := range []bool{false, true} { // again: all of it stands, and nothing fails
		already, err := etcd.InitUsers(t.Context(), g.config("coordinator"), users)
		if err != nil || already != want {
			t.Fatalf("users: there already: %v, %v", already, err)
		}
	}
	return g
}

// tls gives the configuration with the certificate of that name.
func (g *guarded) tls(cert string) func(string) *tls.Config {
	g.t.Helper()
	f := tlsfiles.Files{CA: filepath.Join(g.dir, "ca.pem")}
	if cert != "" {
		f.Cert, f.Key = filepath.Join(g.dir, cert+".pem"), filepath.Join(g.dir, cert+"-key.pem")
	}
	set, err := tlsfiles.Open(f, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		g.t.Fatal(err)
	}
	return func(name string) *tls.Config { return set.Client(name, tlsfiles.AnyServer) }
}

func (g *guarded) config(cert string) etcd.Config {
	return etcd.Config{
		Endpoints: []string{g.endpoint}, Cluster: g.cluster, LeaseTTL: 4 * time.Second, TLS: g.tls(cert), Logger: slog.New(slog.DiscardHandler),
	}
}

func (g *guarded) open(u etcd.User, cert string) (*etcd.Log, error) {
	cfg := g.config(cert)
	cfg.Username, cfg.Password = u.Name, u.Password
	l, err := etcd.Open(cfg)
	if err == nil {
		g.t.Cleanup(func() { _ = l.Close() })
	}
	return l, err
}

func (g *guarded) must(u etcd.User) *etcd.Log {
	g.t.Helper()
	l, err := g.open(u, "coordinator")
	if err != nil {
		g.t.Fatal(err)
	}
	return l
}

// The region's user does all that a coordinator does, and goes on when its tokens have lapsed: etcd forgets one that was not
// used for a while (5 minutes, here 2 s), and all of them when it starts again.
func TestRegionUser(t *testing.T) {
	g := startGuarded(t)
	whole, done := context.WithTimeout(t.Context(), 40*time.Second)
	defer done()
	l := g.must(users.Region)
	term, err := l.Campaign(whole, "c", "https://c:1")
	if err != nil {
		t.Fatal(err)
	}
	head := metastore.Head{}
	add := func() {
		t.Helper()
		value := []byte("entry")
		if err := term.Append(whole, metastore.Guard{Head: head}, value); err != nil {
			t.Fatal(err)
		}
		head = metastore.Head{Seq: head.Seq + 1, Hash: metastore.HashOf(value)}
	}
	followed := make(chan base.Seq, 10)
	ctx, cancel := context.WithCancel(whole)
	ended := make(chan error, 1)
	go func() {
		ended <- l.Follow(ctx, 1, func(e metastore.RawEntry) error { followed <- e.Seq; return nil })
	}()
	add()
	time.Sleep(3 * tokenTTL) // a lease is kept over it, and a watch
	add()
	if err := term.SetArchive(whole, &metalogpb.Pointer{Seq: 1}); err != nil {
		t.Error(err)
	}
	if err := term.Trim(whole, 1); err != nil {
		t.Error(err)
	}
	for want := base.Seq(1); want <= 2; want++ {
		select {
		case got := <-followed:
			if got != want {
				t.Errorf("followed %d, want %d", got, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("entry %d was not followed", want)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("follow ended with %v", err)
	}
	actx, stop := context.WithCancel(whole)
	stands := make(chan struct{})
	go func() {
		ended <- l.Register(actx, &metalogpb.Agent{NodeId: 1, Instance: []byte("x")}, true, func() { close(stands) })
	}()
	select {
	case <-stands:
	case err := <-ended:
		t.Fatal(err)
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the registration ended with %v", err)
	}
	if err := term.Resign(whole); err != nil {
		t.Error(err)
	}
}

// The link's user follows the log and fences, and is refused everything else.
func TestLinkUser(t *testing.T) {
	g := startGuarded(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // what is refused where it must not be, or hangs, is an error
	defer cancel()
	region := g.must(users.Region)
	term, err := region.Campaign(ctx, "c", "https://c:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := term.Append(ctx, metastore.Guard{}, []byte("entry")); err != nil {
		t.Fatal(err)
	}
	link := g.must(users.Link)
	entries, err := link.Read(ctx, 1, 1<<20)
	if err != nil || len(entries) != 1 {
		t.Fatalf("read: %d entries, %v", len(entries), err)
	}
	if err := link.MayFence(ctx); err != nil {
		t.Errorf("asked whether it may fence: %v", err)
	}
	pos, err := link.Position(ctx)
	if err != nil || pos.Fence != nil {
		t.Fatalf("the question has written a fence: %+v, %v", pos, err)
	}
	// What a coordinator does.
	rctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	if err := link.Register(rctx, &metalogpb.Agent{NodeId: 1}, true, func() {}); !errors.Is(err, metastore.ErrRefused) {
		t.Errorf("register: %v", err)
	}
	// Each key by itself, put and deleted.
	cfg := clientv3.Config{
		Endpoints: []string{g.endpoint}, TLS: g.tls("region")("127.0.0.1"), Username: users.Link.Name, Password: users.Link.Password,
		DialTimeout: 5 * time.Second, Context: ctx, Logger: zap.NewNop(),
	}
	raw, err := clientv3.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	prefix := "/gnomon/" + g.cluster.String() + "/"
	for _, key := range []string{"current", "head", "leader", "snapshot", "archive", "agents/1", pos.Incarnation + "/log/0000000000000002", "fence2", "fenc"} {
		if _, err := raw.Put(ctx, prefix+key, "x"); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("put %s: %v", key, err)
		}
		if _, err := raw.Delete(ctx, prefix+key); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("delete %s: %v", key, err)
		}
	}
	for name, try := range map[string]func() error{
		"a key of another cluster": func() error { _, err := raw.Get(ctx, "/gnomon/other/head"); return err },
		"all keys":                 func() error { _, err := raw.Delete(ctx, "/", clientv3.WithPrefix()); return err },
		"a user of its own":        func() error { _, err := raw.UserAdd(ctx, "x", "x"); return err },
		"another role":             func() error { _, err := raw.UserGrantRole(ctx, users.Link.Name, "root"); return err },
		"authentication off":       func() error { _, err := raw.AuthDisable(ctx); return err },
		"the leader's lease": func() error {
			leases, err := raw.Get(ctx, prefix+"leader")
			if err != nil {
				return nil //nolint:nilerr // it may read: this is no refusal
			}
			_, err = raw.Revoke(ctx, clientv3.LeaseID(leases.Kvs[0].Lease))
			return err
		},
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// And then what it is for.
	fence := &metalogpb.Fence{Epoch: 10, Role: "fenced", By: "test"}
	if err := link.WriteFence(ctx, fence); err != nil {
		t.Fatal(err)
	}
	err = term.Append(ctx, metastore.Guard{Head: metastore.Head{Seq: 1, Hash: metastore.HashOf([]byte("entry"))}}, []byte("late"))
	if !errors.Is(err, base.ErrFenced) {
		t.Errorf("an append after the fence: %v", err)
	}
}

// Whether a user may fence is asked without writing: one that may read alone is refused, by etcd's own check of what the transaction could
// do, and the fence that stands, or none, stays as it is. What etcd grants later counts at once.
func TestMayFence(t *testing.T) {
	g := startGuarded(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	root, err := clientv3.New(clientv3.Config{
		Endpoints: []string{g.endpoint}, TLS: g.tls("coordinator")("127.0.0.1"), Username: users.Root.Name, Password: users.Root.Password,
		DialTimeout: 5 * time.Second, Context: ctx, Logger: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	role, fence := "gnomon-"+g.cluster.String()+"-link", "/gnomon/"+g.cluster.String()+"/fence"
	link := g.must(users.Link)
	stands := func() int64 {
		t.Helper()
		resp, err := root.Get(ctx, fence)
		if err != nil {
			t.Fatal(err)
		}
		if len(resp.Kvs) == 0 {
			return 0
		}
		return resp.Kvs[0].ModRevision
	}
	for _, fenced := range []bool{false, true} {
		if _, err := root.RoleRevokePermission(ctx, role, fence, ""); err != nil {
			t.Fatal(err)
		}
		before := stands()
		if err := link.MayFence(ctx); !errors.Is(err, metastore.ErrRefused) {
			t.Errorf("a user that may read alone, fenced: %v: %v", fenced, err)
		}
		if _, err := link.Position(ctx); err != nil {
			t.Errorf("it may read: %v", err)
		}
		if err := link.WriteFence(ctx, &metalogpb.Fence{Epoch: 20}); !errors.Is(err, metastore.ErrRefused) {
			t.Errorf("it fences: %v", err)
		}
		if _, err := root.RoleGrantPermission(ctx, role, fence, "", clientv3.PermissionType(clientv3.PermReadWrite)); err != nil {
			t.Fatal(err)
		}
		if err := link.MayFence(ctx); err != nil {
			t.Errorf("one that may write, fenced: %v: %v", fenced, err)
		}
		if after := stands(); after != before {
			t.Errorf("the question has written: revision %d, before %d", after, before)
		}
		if err := link.WriteFence(ctx, &metalogpb.Fence{Epoch: 10}); err != nil {
			t.Fatal(err)
		}
	}
}

// A connection is made by what the files hold then, for the name of its endpoint, however long the client is there.
func TestCertificatesOfConnections(t *testing.T) {
	g := startGuarded(t)
	var mu sync.Mutex
	names, cert := map[string]bool{}, ""
	cfg := g.config("coordinator")
	cfg.Endpoints = []string{g.endpoint, strings.Replace(g.endpoint, "127.0.0.1", "localhost", 1)}
	right, none := g.tls("coordinator"), g.tls("")
	cfg.TLS = func(name string) *tls.Config {
		mu.Lock()
		defer mu.Unlock()
		names[name] = true
		if cert == "" {
			return none(name)
		}
		return right(name)
	}
	l, err := etcd.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if _, err := l.Position(t.Context()); !errors.Is(err, base.ErrUnavailable) {
		t.Fatalf("without a certificate: %v", err)
	}
	mu.Lock()
	cert = "renewed"
	mu.Unlock()
	until := time.Now().Add(20 * time.Second)
	for err = base.ErrUnavailable; errors.Is(err, base.ErrUnavailable) && time.Now().Before(until); {
		_, err = l.Position(t.Context())
	}
	if !errors.Is(err, metastore.ErrRefused) { // it has no user
		t.Errorf("with the renewed one: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	delete(names, "") // gRPC asks what kind of credentials they are
	if len(names) != 2 || !names["127.0.0.1"] || !names["localhost"] {
		t.Errorf("names that were to be verified: %v", names)
	}
}

// Who is not let in is told so in one sentence, soon; nothing hangs, and no password is in it.
func TestRefusals(t *testing.T) {
	g := startGuarded(t)
	for name, c := range map[string]struct {
		user etcd.User
		cert string
		want string
		is   error
	}{
		"a wrong password": {etcd.User{Name: "gnomon", Password: "not-it"}, "coordinator", "the password is wrong", metastore.ErrRefused},
		"an unknown user":  {etcd.User{Name: "nobody", Password: "not-it"}, "coordinator", "does not know the user", metastore.ErrRefused},
		"no user":          {etcd.User{}, "coordinator", "etcd does not", metastore.ErrRefused},
		"no certificate":   {users.Region, "", "https://127.0.0.1", base.ErrUnavailable},
	} {
		began := time.Now()
		l, err := g.open(c.user, c.cert)
		if err == nil {
			_, err = l.Position(t.Context())
		}
		if err == nil || !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "not-it") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: only after %v", name, took)
		}
	}
}
