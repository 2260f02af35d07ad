package tlsfiles_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
)

// issue makes the certificate of a server with these units, by the authority of a set.
func issue(t *testing.T, dir, name string, units ...string) tlsfiles.Files {
	t.Helper()
	ca := files(dir, "ca")
	authority, err := tls.LoadX509KeyPair(ca.Cert, ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name, OrganizationalUnit: units},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Minute), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, authority.Leaf, key.Public(), authority.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	f := files(dir, name)
	for path, block := range map[string]*pem.Block{f.Cert: {Type: "CERTIFICATE", Bytes: der}, f.Key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// handshake connects a client, which trusts only servers of some roles, to one, and returns whether the server has seen the client's
// certificate, and what the client says.
func handshake(t *testing.T, client, server *tlsfiles.Set, servers tlsfiles.Servers, version uint16) (shown bool, err error) {
	t.Helper()
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	seen := make(chan bool, 1)
	cfg := server.Server()
	whole := cfg.GetConfigForClient
	cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		c, err := whole(h)
		c.MaxVersion = version
		return c, err
	}
	go func() {
		c, err := raw.Accept()
		if err != nil {
			seen <- false
			return
		}
		s := tls.Server(c, cfg)
		_ = s.SetDeadline(time.Now().Add(5 * time.Second))
		_ = s.Handshake()
		_, _ = s.Write([]byte{'x'})
		seen <- len(s.ConnectionState().PeerCertificates) > 0
		_ = s.Close()
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c, err := client.Dialer((&net.Dialer{}).DialContext, servers)(ctx, "tcp", raw.Addr().String())
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, 1))
		_ = c.Close()
	}
	return <-seen, err
}

// A client trusts a sound certificate only for its roles, if it names any, and shows nothing of its own to others.
func TestServerRoles(t *testing.T) {
	c := &clock{at: time.Now()}
	dir := t.TempDir()
	makeCerts(t, dir, c.now())
	client := open(t, files(dir, "agent"), c, io.Discard)
	for _, x := range []struct {
		name    string
		server  tlsfiles.Files
		servers tlsfiles.Servers
		ok      bool
	}{
		{"a coordinator", files(dir, "coordinator"), tlsfiles.Coordinators, true},
		{"an agent as a coordinator", files(dir, "agent"), tlsfiles.Coordinators, false},
		{"a certificate without a role", files(dir, "etcd"), tlsfiles.Coordinators, true},
		{"units that are no roles", issue(t, dir, "plain", "engineering"), tlsfiles.Coordinators, true},
		{"both roles", issue(t, dir, "both", "gnomon-agent", "gnomon-coordinator"), tlsfiles.Coordinators, true},
		{"the other region, as a server", issue(t, dir, "other", "x", "gnomon-region"), tlsfiles.Coordinators, false},
		{"a role of another build", issue(t, dir, "admiral", "gnomon-admiral"), tlsfiles.Coordinators, false},
		{"an agent as a process", files(dir, "agent"), tlsfiles.Processes, true},
		{"an operator as a process", issue(t, dir, "person", "gnomon-operator"), tlsfiles.Processes, false},
		{"an agent as anybody", files(dir, "agent"), tlsfiles.AnyServer, true},
	} {
		server := open(t, x.server, c, io.Discard)
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			shown, err := handshake(t, client, server, x.servers, version)
			var role *tlsfiles.RoleError
			switch {
			case x.ok && (err != nil || !shown):
				t.Errorf("%s, %s: %v, certificate shown: %v", x.name, tls.VersionName(version), err, shown)
			case !x.ok && (!errors.As(err, &role) || shown):
				t.Errorf("%s, %s: %v, certificate shown: %v", x.name, tls.VersionName(version), err, shown)
			case !x.ok && (!strings.Contains(err.Error(), role.Subject) || strings.Contains(err.Error(), "\n")):
				t.Errorf("%s: %v", x.name, err)
			}
		}
	}
}

// Probe tells of an impostor as of any server that is there and cannot be trusted.
func TestProbeRole(t *testing.T) {
	c := &clock{at: time.Now()}
	dir := t.TempDir()
	makeCerts(t, dir, c.now())
	addr, _ := listen(t, open(t, files(dir, "agent"), c, io.Discard))
	client := open(t, files(dir, "coordinator"), c, io.Discard)
	for _, servers := range []tlsfiles.Servers{tlsfiles.AnyServer, tlsfiles.Processes, tlsfiles.Coordinators} {
		err := tlsfiles.Probe(t.Context(), "https://"+addr, client, servers)
		want := len(servers) != 1
		var refused *tlsfiles.RefusedError
		var role *tlsfiles.RoleError
		if (err == nil) != want || !want && (!errors.As(err, &refused) || !errors.As(err, &role)) {
			t.Errorf("%q: %v", servers, err)
		}
	}
}
