package harness

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/devcerts"
)

// MakeCerts makes a set of certificates for a region on loopback, or renews the one that is there.
func MakeCerts(t testing.TB, dir string) {
	t.Helper()
	if _, err := devcerts.Make(devcerts.Options{Dir: dir, Life: time.Hour, Force: true, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
}

// Certs is the folder of the region's certificates.
func (c *Cluster) Certs() string { return filepath.Join(c.data, "certs") }

// Cert is the path of a certificate, Key that of its key, Secret that of a token or password.
func (c *Cluster) Cert(name string) string { return filepath.Join(c.Certs(), name+".pem") }

// Key is the path of a certificate's key.
func (c *Cluster) Key(name string) string { return filepath.Join(c.Certs(), name+"-key.pem") }

// Secret is the path of a file with a token or password.
func (c *Cluster) Secret(name string) string { return filepath.Join(c.Certs(), name) }

// tlsFlags are those of a process with the certificate of that name.
func (c *Cluster) tlsFlags(name string) []string {
	if !c.Config.TLS {
		return nil
	}
	return []string{"--tls-cert", c.Cert(name), "--tls-key", c.Key(name), "--tls-ca", c.Cert("ca"), "--admin-token-file", c.Secret(devcerts.AdminToken)}
}

// peerFlags say where the other region is, and what it wants to see.
func (c *Cluster) peerFlags(peer *Cluster) []string {
	if peer == nil {
		return nil
	}
	flags := []string{"--peers", strings.Join(peer.URLs(), ",")}
	if peer.Config.TLS {
		flags = append(flags, "--peer-tls-cert", peer.Cert("region"), "--peer-tls-key", peer.Key("region"), "--peer-tls-ca", peer.Cert("ca"))
	}
	return flags
}

// linkCredentials are the lines of a link.yaml that name what this region, as a source, wants to see.
func (c *Cluster) linkCredentials() string {
	if !c.Config.TLS {
		return ""
	}
	return fmt.Sprintf("  coordinator_ca_file: %s\n  coordinator_cert_file: %s\n  coordinator_key_file: %s\n", c.Cert("ca"), c.Cert("region"), c.Key("region"))
}
