package region

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/devcerts"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/adminpb/adminpbconnect"
	"github.com/gnomon-stream/gnomon/pkg/agent/remote"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/embedetcd"
	"github.com/gnomon-stream/gnomon/pkg/metastore/etcd"
)

// makeCerts makes a region's certificates, or renews them, its authority too.
func makeCerts(t *testing.T, dir string) {
	t.Helper()
	if _, err := devcerts.Make(devcerts.Options{Dir: dir, Life: time.Hour, Force: true, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
}

func setOf(t *testing.T, dir, name string, now func() time.Time) *tlsfiles.Set {
	t.Helper()
	f := tlsfiles.Files{CA: filepath.Join(dir, "ca.pem")}
	if name != "" {
		f.Cert, f.Key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem")
	}
	set, err := tlsfiles.Open(f, now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// otherRegion answers as a coordinator of the other region that has taken over.
type otherRegion struct {
	adminpbconnect.UnimplementedSourceServiceHandler
	of base.ClusterID
}

func (o otherRegion) Describe(context.Context, *connect.Request[adminpb.DescribeRequest]) (*connect.Response[adminpb.DescribeResponse], error) {
	return connect.NewResponse(&adminpb.DescribeResponse{TookOver: map[string]int32{o.of.String(): 10}}), nil
}

// The other region is asked with what it wants to see and by its own authority: with the region's own set it is out of reach, and says nothing. What
// an agent there says does not count.
func TestPeerTLS(t *testing.T) {
	own, theirs := t.TempDir(), t.TempDir()
	makeCerts(t, own)
	makeCerts(t, theirs)
	id := base.ClusterID{1}
	serve := func(name string) string {
		g := newGuard(Security{TLS: setOf(t, theirs, name, time.Now)}, slog.New(slog.DiscardHandler), time.Now)
		path, h := adminpbconnect.NewSourceServiceHandler(otherRegion{of: id})
		mux := http.NewServeMux()
		mux.Handle(path, g.allow(source, h))
		server := httptest.NewUnstartedServer(mux)
		server.TLS, server.EnableHTTP2 = g.TLS.Server(), true
		server.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(io.Discard, nil), slog.LevelError)
		server.StartTLS()
		t.Cleanup(server.Close)
		return server.URL
	}
	url, impostor := serve("coordinator"), serve("agent")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for name, x := range map[string]struct {
		set  *tlsfiles.Set
		want base.Epoch
		urls []string
	}{
		"theirs":              {setOf(t, theirs, "region", time.Now), 10, []string{url}},
		"our own":             {nil, 0, []string{url}},
		"a monitor's":         {setOf(t, theirs, "monitor", time.Now), 0, []string{url}},
		"none":                {setOf(t, theirs, "", time.Now), 0, []string{url}},
		"our authority":       {setOf(t, own, "region", time.Now), 0, []string{url}},
		"theirs, of an agent": {setOf(t, theirs, "region", time.Now), 0, []string{impostor}},
		"theirs, of both":     {setOf(t, theirs, "region", time.Now), 10, []string{impostor, url}},
	} {
		c := &Coordinator{http: remote.NewHTTP(setOf(t, own, "coordinator", time.Now)), cfg: CoordinatorConfig{
			PeerURLs: func() ([]string, error) { return x.urls, nil }, PeerTLS: x.set, Identity: coordinator.Identity{ClusterID: id},
		}}
		if got, err := c.peer().TookOver(ctx); got != x.want || (err == nil) != (x.want > 0) {
			t.Errorf("with the set %s: epoch %d, %v", name, got, err)
		}
	}
}

// What etcd is shown is what the files hold when a connection is made.
func TestEtcdRenewal(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	makeCerts(t, dir)
	cfg := EtcdAccess{TLS: setOf(t, dir, "coordinator", func() time.Time { return now })}.config(etcd.Config{})
	shown := func() string {
		t.Helper()
		cert, err := cfg.TLS("etcd.example").GetClientCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(cert.Leaf.SerialNumber.Bytes())
	}
	before := shown()
	makeCerts(t, dir)
	now = now.Add(tlsfiles.CheckEvery)
	if shown() == before {
		t.Error("the renewed certificate is not shown")
	}
	if name := cfg.TLS("etcd.example").ServerName; name != "etcd.example" {
		t.Errorf("the server's name that is verified is %q", name)
	}
}

// A coordinator that its etcd does not let in ends at once, with one sentence; one that finds none waits.
func TestOpenLogRefused(t *testing.T) {
	dir, id := t.TempDir(), base.ClusterID{1}
	makeCerts(t, dir)
	s, err := embedetcd.Start(embedetcd.Config{
		Dir: filepath.Join(dir, "data"), CertFile: filepath.Join(dir, "etcd.pem"), KeyFile: filepath.Join(dir, "etcd-key.pem"),
		CAFile: filepath.Join(dir, "ca.pem"), PasswordCost: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	set := setOf(t, dir, "coordinator", time.Now)
	users := EtcdUsers{RootPassword: "root-password", Region: "gnomon", RegionPassword: "region-password"}
	if _, err := InitEtcdUsers(ctx, []string{s.Endpoint()}, set, id, users); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	makeCerts(t, other)
	for name, x := range map[string]struct {
		access EtcdAccess
		want   string
	}{
		"its user":              {EtcdAccess{set, "gnomon", "region-password"}, ""},
		"no user":               {EtcdAccess{set, "", ""}, "etcd does not"},
		"a wrong password":      {EtcdAccess{set, "gnomon", "not-it"}, "the password is wrong"},
		"no certificate":        {EtcdAccess{setOf(t, dir, "", time.Now), "gnomon", "region-password"}, "certificate required"},
		"another's certificate": {EtcdAccess{setOf(t, other, "coordinator", time.Now), "gnomon", "region-password"}, "unknown authority"},
	} {
		c := &Coordinator{cfg: CoordinatorConfig{
			EtcdEndpoints: []string{s.Endpoint()}, Etcd: x.access, Identity: coordinator.Identity{ClusterID: id}, Logger: slog.New(slog.DiscardHandler),
		}}
		log, err := c.openLog(ctx)
		switch {
		case err == nil:
			if err = log.Close(); x.want != "" {
				t.Errorf("with %s: it was let in", name)
			}
		case errors.Is(err, metastore.ErrRefused) && strings.Contains(err.Error(), x.want) && !strings.ContainsAny(err.Error(), "\n") && !strings.Contains(err.Error(), "not-it"):
			err = nil
		}
		if err != nil || ctx.Err() != nil {
			t.Errorf("with %s: %v", name, err)
		}
	}
	short, stop := context.WithTimeout(ctx, 700*time.Millisecond)
	defer stop()
	c := &Coordinator{cfg: CoordinatorConfig{
		EtcdEndpoints: []string{"https://127.0.0.1:1"}, Etcd: EtcdAccess{set, "gnomon", "region-password"}, Logger: slog.New(slog.DiscardHandler),
	}}
	if _, err := c.openLog(short); !errors.Is(err, base.ErrUnavailable) || short.Err() == nil {
		t.Errorf("nobody there: %v", err)
	}
}
