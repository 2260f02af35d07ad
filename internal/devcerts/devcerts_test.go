package devcerts

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
)

func parse(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("%s holds no PEM", path)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// Every certificate is the authority's, for what it says; secrets are their owner's alone.
func TestSet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	set, err := Make(Options{Dir: dir, Hosts: []string{"coordinator-a-1", "10.0.0.5"}, Life: time.Hour, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parse(t, filepath.Join(dir, "ca.pem")))
	for _, k := range kinds {
		cert := parse(t, filepath.Join(dir, k.name+".pem"))
		if _, err := cert.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
			t.Errorf("%s as a client: %v", k.name, err)
		}
		for _, host := range []string{"localhost", "127.0.0.1", "coordinator-a-1", "10.0.0.5"} {
			_, err := cert.Verify(x509.VerifyOptions{Roots: pool, DNSName: host})
			if (err == nil) != k.server {
				t.Errorf("%s as a server at %s: %v", k.name, host, err)
			}
		}
		roles, named := tlsfiles.RolesOf(cert)
		if named != (k.role != "") || named && !slices.Equal(roles, []tlsfiles.Role{k.role}) {
			t.Errorf("%s has roles %q", k.name, roles)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(set.Files) {
		t.Errorf("%d files, %d were reported (%v)", len(entries), len(set.Files), err)
	}
	for _, f := range set.Files {
		info, err := os.Stat(filepath.Join(dir, f.Name))
		if err != nil {
			t.Fatal(err)
		}
		secret := strings.HasSuffix(f.Name, "-key.pem") || !strings.HasSuffix(f.Name, ".pem")
		if want := map[bool]os.FileMode{true: 0o600, false: 0o644}[secret]; info.Mode().Perm() != want || f.Secret != secret {
			t.Errorf("%s: mode %v, secret %v", f.Name, info.Mode(), f.Secret)
		}
	}
}

// What is there stays, unless it is to be replaced.
func TestNoOverwrite(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, Life: time.Hour, Now: time.Now}
	if _, err := Make(o); err != nil {
		t.Fatal(err)
	}
	first := parse(t, filepath.Join(dir, "ca.pem"))
	if _, err := Make(o); !errors.Is(err, ErrExists) {
		t.Errorf("a second set: %v", err)
	}
	if !parse(t, filepath.Join(dir, "ca.pem")).Equal(first) {
		t.Error("the authority was replaced")
	}
	o.Force = true
	if _, err := Make(o); err != nil {
		t.Fatal(err)
	}
	if parse(t, filepath.Join(dir, "ca.pem")).Equal(first) {
		t.Error("the authority was not replaced")
	}
	if _, err := Make(Options{Dir: filepath.Join(dir, "x"), Now: time.Now}); err == nil {
		t.Error("certificates without a life")
	}
}
