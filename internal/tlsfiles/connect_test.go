package tlsfiles_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
)

// Versions of TLS before 1.2 are spoken at neither end.
func TestOldVersions(t *testing.T) {
	c := &clock{at: time.Now()}
	dir := t.TempDir()
	makeCerts(t, dir, c.now())
	ours := open(t, files(dir, "coordinator"), c, io.Discard)
	addr, _ := listen(t, ours)
	for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		cfg := ours.Client("127.0.0.1", tlsfiles.AnyServer)
		cfg.MinVersion, cfg.MaxVersion = version, version
		conn, err := (&tls.Dialer{Config: cfg}).DialContext(t.Context(), "tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != want {
			t.Errorf("a client of %s: %v", tls.VersionName(version), err)
		}
		cert, err := tls.LoadX509KeyPair(files(dir, "coordinator").Cert, files(dir, "coordinator").Key)
		if err != nil {
			t.Fatal(err)
		}
		old, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: version, MaxVersion: version})
		if err != nil {
			t.Fatal(err)
		}
		var serving sync.WaitGroup
		serving.Go(func() {
			if conn, err := old.Accept(); err == nil {
				_, _ = conn.Write([]byte{'x'})
				_ = conn.Close()
			}
		})
		if _, err := try(ours, old.Addr().String()); (err == nil) != want {
			t.Errorf("a server of %s: %v", tls.VersionName(version), err)
		}
		_ = old.Close()
		serving.Wait()
	}
}

// A server is the one that was dialed by the name that was dialed: another name of the same authority's is none.
func TestServerName(t *testing.T) {
	c := &clock{at: time.Now()}
	dir := t.TempDir()
	makeCerts(t, dir, c.now())
	addr, _ := listen(t, open(t, files(dir, "coordinator"), c, io.Discard))
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	client := open(t, files(dir, "agent"), c, io.Discard)
	for name, want := range map[string]bool{"localhost:1": true, "127.0.0.1:1": true, "127.0.0.2:1": false, "coordinator.example:1": false} {
		conn, err := client.Dialer(dial, tlsfiles.AnyServer)(t.Context(), "tcp", name)
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "failed to verify certificate") {
			t.Errorf("a server at %s: %v", name, err)
		}
	}
}

// A server that takes a connection and says nothing holds nobody up.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	c := &clock{at: time.Now()}
	dir := t.TempDir()
	makeCerts(t, dir, c.now())
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes connections
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, err := open(t, files(dir, "agent"), c, io.Discard).Dialer((&net.Dialer{}).DialContext, tlsfiles.AnyServer)(ctx, "tcp", silent.Addr().String())
	if err == nil {
		_ = conn.Close()
	}
	if err == nil || ctx.Err() != nil {
		t.Errorf("a silent server: %v, %v", err, ctx.Err())
	}
}
