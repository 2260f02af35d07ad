package tlsfiles

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

// Files are paths of PEM files.
type Files struct {
	Cert string // certificate, and those between it and the authority
	Key  string // of Cert
	CA   string // authorities that are trusted, one or more
}

// None tells whether no file is named.
func (f Files) None() bool { return f == Files{} }

// Complete checks that a server has all it needs; prefix is that of the settings' names, such as "etcd-".
func (f Files) Complete(prefix string) error {
	for _, x := range []struct{ name, path string }{{"tls-cert", f.Cert}, {"tls-key", f.Key}, {"tls-ca", f.CA}} {
		if x.path == "" {
			return fmt.Errorf("%[1]stls-cert, %[1]stls-key and %[1]stls-ca belong together: %[1]s%[2]s is missing", prefix, x.name)
		}
	}
	return nil
}

// Paired checks that a client's certificate has its key.
func (f Files) Paired(prefix string) error {
	if (f.Cert == "") != (f.Key == "") {
		return fmt.Errorf("%[1]stls-cert and %[1]stls-key belong together: set both, or neither", prefix)
	}
	return nil
}

// content is what the files hold.
type content struct{ cert, key, ca []byte }

func (c content) equal(o content) bool {
	return bytes.Equal(c.cert, o.cert) && bytes.Equal(c.key, o.key) && bytes.Equal(c.ca, o.ca)
}

// fileMax bounds what is read of one file.
const fileMax = 1 << 20

func readFile(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > fileMax {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read: name the right file", path, info.Size(), fileMax)
	}
	return os.ReadFile(path)
}

func (f Files) read() (c content, err error) {
	if c.cert, err = readFile(f.Cert); err != nil {
		return c, fmt.Errorf("certificate: %w", err)
	}
	if c.key, err = readFile(f.Key); err != nil {
		return c, fmt.Errorf("key of the certificate: %w", err)
	}
	if c.ca, err = readFile(f.CA); err != nil {
		return c, fmt.Errorf("authorities: %w", err)
	}
	return c, nil
}

// material is what a connection needs.
type material struct {
	cert *tls.Certificate // nil: none is shown
	pool *x509.CertPool   // nil: those of the system
}

// parse checks what the files hold, and that it is of use now.
func (f Files) parse(c content, now time.Time) (*material, error) {
	m := &material{}
	if f.CA != "" {
		m.pool = x509.NewCertPool()
		if !m.pool.AppendCertsFromPEM(c.ca) {
			return nil, fmt.Errorf("%s holds no certificate of an authority in PEM form (-----BEGIN CERTIFICATE-----)", f.CA)
		}
	}
	if f.Cert == "" {
		return m, nil
	}
	if block, _ := pem.Decode(c.cert); block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", f.Cert)
	}
	cert, err := tls.X509KeyPair(c.cert, c.key)
	if err != nil {
		// Go's errors tell of the form of a key, never of its bytes.
		return nil, fmt.Errorf("certificate %s and key %s cannot be used together: %w", f.Cert, f.Key, err)
	}
	m.cert = &cert
	return m, inTime(f.Cert, cert.Leaf, now)
}

// inTime tells whether a certificate is valid now.
func inTime(path string, leaf *x509.Certificate, now time.Time) error {
	switch {
	case leaf == nil:
		return errors.New("the certificate was not parsed")
	case now.After(leaf.NotAfter):
		return fmt.Errorf("certificate %s expired at %s: renew it", path, leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("certificate %s is not valid before %s: check the clock (it shows %s), or the certificate",
			path, leaf.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}
