package harness

import (
	"fmt"
	"os"
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

// PeerFlags say where the other region is, and what it wants to see.
func (c *Cluster) PeerFlags(peer *Cluster) []string {
	if peer == nil {
		return nil
	}
	flags := []string{"--peers", strings.Join(peer.URLs(), ",")}
	if peer.Config.TLS {
		flags = append(flags, "--peer-tls-cert", peer.Cert("region"), "--peer-tls-key", peer.Key("region"), "--peer-tls-ca", peer.Cert("ca"))
	}
	return flags
}

// Users of a region's etcd.
const (
	EtcdUser     = "gnomon"
	EtcdLinkUser = "gnomon-link"
)

// startEtcd starts the region's etcd, with the data that it has.
func (c *Cluster) startEtcd() {
	c.t.Helper()
	dir := filepath.Join(c.data, "etcd")
	if !c.Config.TLS {
		c.Etcd, c.EtcdURL = startEtcd(c.t, c.Config.Name, dir)
		return
	}
	c.Etcd, c.EtcdURL = startEtcd(c.t, c.Config.Name, dir, c.Cert("etcd"), c.Key("etcd"), c.Cert("ca"))
}

// MakeEtcdUsers makes the users of the region's etcd where it is to have any.
func (c *Cluster) MakeEtcdUsers() {
	c.t.Helper()
	if !c.Config.TLS {
		return
	}
	args := append([]string{
		"etcd", "users", "--etcd", c.EtcdURL, "--cluster-id", c.id, "--root-password-file", c.Secret(devcerts.EtcdRootPassword),
		"--link-user", EtcdLinkUser, "--link-password-file", c.Secret(devcerts.EtcdLinkPassword),
	}, c.EtcdFlags()...)
	if r := Gnomon(c.t, args...); r.Code != 0 {
		c.t.Fatalf("users of etcd: %s%s", r.Out, r.Err)
	}
}

// EtcdFlags are what a coordinator shows its etcd.
func (c *Cluster) EtcdFlags() []string {
	if !c.Config.TLS {
		return nil
	}
	return []string{
		"--etcd-tls-ca", c.Cert("ca"), "--etcd-tls-cert", c.Cert("coordinator"), "--etcd-tls-key", c.Key("coordinator"),
		"--etcd-user", EtcdUser, "--etcd-password-file", c.Secret(devcerts.EtcdPassword),
	}
}

// linkCredentials are the lines of a link.yaml that name what this region, as a source, wants to see.
func (c *Cluster) linkCredentials() string {
	if !c.Config.TLS {
		return ""
	}
	user := filepath.Join(c.data, "link-user")
	if err := os.WriteFile(user, []byte(EtcdLinkUser+"\n"), 0o600); err != nil {
		c.t.Fatal(err)
	}
	lines := fmt.Sprintf("  etcd_username_file: %s\n  etcd_password_file: %s\n", user, c.Secret(devcerts.EtcdLinkPassword))
	for _, of := range []string{"coordinator", "etcd"} {
		lines += fmt.Sprintf("  %[1]s_ca_file: %[2]s\n  %[1]s_cert_file: %[3]s\n  %[1]s_key_file: %[4]s\n", of, c.Cert("ca"), c.Cert("region"), c.Key("region"))
	}
	return lines
}
