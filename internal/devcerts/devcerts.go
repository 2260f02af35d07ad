package devcerts

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
)

// Options of a set.
type Options struct {
	Dir   string        // is made
	Hosts []string      // names and addresses of servers, besides those of this machine's loopback
	Life  time.Duration // of the certificates
	Force bool          // replace what is in Dir
	Now   func() time.Time
}

// File is one file of a set.
type File struct {
	Name    string `json:"name"`
	Purpose string `json:"purpose"`
	Secret  bool   `json:"secret"`
}

// Set is what was made.
type Set struct {
	Dir     string    `json:"dir"`
	Hosts   []string  `json:"hosts"`
	Expires time.Time `json:"expires,omitzero"`
	Files   []File    `json:"files"`
}

// ErrExists says that the folder holds something already.
var ErrExists = errors.New("it holds files already")

// Names of files: the authority's without its ending, and secrets that are no keys.
const (
	CA               = "ca"
	AdminToken       = "admin-token"
	EtcdRootPassword = "etcd-root-password"
	EtcdPassword     = "etcd-password"
	EtcdLinkPassword = "etcd-link-password"
)

const (
	certExt, keyExt        = ".pem", "-key.pem"
	secretBytes            = 24
	serialBits             = 127
	backdate               = time.Hour // for clocks that differ
	secretMode, publicMode = 0o600, 0o644
	directoryMode          = 0o755
	organization           = "Gnomon test certificates"
)

// kind is one certificate of a set.
type kind struct {
	name    string
	purpose string
	role    tlsfiles.Role // "": none
	server  bool
}

var kinds = []kind{
	{"coordinator", "coordinators: their port, and what they ask", tlsfiles.Coordinator, true},
	{"agent", "agents: their admin port, and what they ask", tlsfiles.Agent, true},
	{"etcd", "members of etcd, for clients and for each other", "", true},
	{"region", "the other region: its links and its coordinators may read the log here", tlsfiles.Region, false},
	{"operator", "operators: gnomon --tls-cert, --tls-key", tlsfiles.Operator, false},
	{"monitor", "Prometheus: metrics alone", tlsfiles.Monitor, false},
}

var secrets = []File{
	{AdminToken, "token of operators (admin-token-file, --token-file)", true},
	{EtcdRootPassword, "password of etcd's user root", true},
	{EtcdPassword, "password of the region's etcd user", true},
	{EtcdLinkPassword, "password of the etcd user for the other region", true},
}

// Make writes a set.
func Make(o Options) (*Set, error) {
	if err := check(o); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, directoryMode); err != nil {
		return nil, fmt.Errorf("make the folder %s: %w", o.Dir, err)
	}
	tmp, err := os.MkdirTemp(o.Dir, ".new-") // the folder itself may be a mount, and nothing beside it writable
	if err != nil {
		return nil, fmt.Errorf("make a folder in %s: %w", o.Dir, err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	m := &maker{o: o, dir: tmp, set: &Set{Dir: o.Dir, Hosts: append([]string{"localhost", "127.0.0.1", "::1"}, o.Hosts...)}}
	if err := m.all(); err != nil {
		return nil, err
	}
	return m.set, m.publish()
}

func check(o Options) error {
	if o.Life <= 0 {
		return fmt.Errorf("certificates cannot live for %s: use a time such as 720h", o.Life)
	}
	entries, err := os.ReadDir(o.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look into %s: %w", o.Dir, err)
	case len(entries) > 0 && !o.Force:
		return fmt.Errorf("%s: %w", o.Dir, ErrExists)
	}
	return nil
}

// maker writes one set.
type maker struct {
	o   Options
	dir string // where the files are written first
	set *Set

	ca    *x509.Certificate
	caKey *ecdsa.PrivateKey
}

func (m *maker) all() error {
	if err := m.authority(); err != nil {
		return fmt.Errorf("make the authority: %w", err)
	}
	for _, k := range kinds {
		if err := m.issue(k); err != nil {
			return fmt.Errorf("make the certificate %s: %w", k.name, err)
		}
	}
	for _, f := range secrets {
		secret := make([]byte, secretBytes)
		_, _ = rand.Read(secret) // never fails
		if err := m.write(f, []byte(hex.EncodeToString(secret)+"\n")); err != nil {
			return err
		}
	}
	return nil
}

func (m *maker) template(name string) *x509.Certificate {
	now := m.o.Now()
	m.set.Expires = now.Add(m.o.Life).UTC().Truncate(time.Second)
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits)) // never fails
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "gnomon-" + name, Organization: []string{organization}},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(m.o.Life), BasicConstraintsValid: true,
	}
}

func (m *maker) authority() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := m.template(CA)
	t.IsCA, t.MaxPathLenZero, t.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return err
	}
	if m.ca, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	m.caKey = key
	return m.pair(CA, "authority: tls-ca, --tls-ca", der, key)
}

func (m *maker) issue(k kind) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := m.template(k.name)
	if k.role != "" {
		t.Subject.OrganizationalUnit = []string{string(k.role)}
	}
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if k.server {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		for _, h := range m.set.Hosts {
			if ip := net.ParseIP(h); ip != nil {
				t.IPAddresses = append(t.IPAddresses, ip)
			} else {
				t.DNSNames = append(t.DNSNames, h)
			}
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, m.ca, key.Public(), m.caKey)
	if err != nil {
		return err
	}
	return m.pair(k.name, k.purpose, der, key)
}

// pair writes a certificate and its key.
func (m *maker) pair(name, purpose string, der []byte, key *ecdsa.PrivateKey) error {
	if err := m.write(File{Name: name + certExt, Purpose: purpose}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})); err != nil {
		return err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return m.write(File{name + keyExt, "key of " + name + certExt, true}, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

func (m *maker) write(f File, text []byte) error {
	mode := fs.FileMode(publicMode)
	if f.Secret {
		mode = secretMode
	}
	if err := os.WriteFile(filepath.Join(m.dir, f.Name), text, mode); err != nil {
		return fmt.Errorf("write %s: %w", f.Name, err)
	}
	m.set.Files = append(m.set.Files, f)
	return nil
}

// publish moves the files to where they were asked for. Files of an older set are replaced one by one, each at once: a
// process that reads in between finds a key that does not match, and stays with what it has (tlsfiles, F2).
func (m *maker) publish() error {
	for _, f := range m.set.Files {
		if err := os.Rename(filepath.Join(m.dir, f.Name), filepath.Join(m.o.Dir, f.Name)); err != nil {
			return fmt.Errorf("write %s: %w", f.Name, err)
		}
	}
	return nil
}
