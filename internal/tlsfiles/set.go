package tlsfiles

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"
)

// CheckEvery is how long a change of a file may go unnoticed.
const CheckEvery = 2 * time.Second

// handshakeTimeout bounds one handshake of a client: a peer that hangs must not hold a request up.
const handshakeTimeout = 3 * time.Second

// Set is a certificate, its key and the authorities that are trusted, as the files hold them.
type Set struct {
	files   Files
	now     func() time.Time
	logger  *slog.Logger
	current atomic.Pointer[material]

	reading atomic.Bool  // one caller reads
	checked atomic.Int64 // when the files were read last, Unix nanoseconds
	// Of the caller that reads, and of Open: what was read last, and whether it was of use.
	seen  content
	taken bool
}

// Open reads the files. Its error says which file it is, and what to do.
func Open(files Files, now func() time.Time, logger *slog.Logger) (*Set, error) {
	if err := files.Paired(""); err != nil {
		return nil, err
	}
	s := &Set{files: files, now: now, logger: logger}
	at := now()
	c, err := files.read()
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	m, err := files.parse(c, at)
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	s.seen, s.taken = c, true
	s.current.Store(m)
	s.checked.Store(at.UnixNano())
	return s, nil
}

// get returns what a connection made now is to use.
func (s *Set) get() *material {
	now := s.now()
	if now.UnixNano()-s.checked.Load() >= int64(CheckEvery) && s.reading.CompareAndSwap(false, true) {
		s.check(now)
		s.checked.Store(now.UnixNano())
		s.reading.Store(false)
	}
	return s.current.Load()
}

// check takes what the files hold now, if it has changed and is of use. What was of no use is looked at again: a certificate
// may only have been early.
func (s *Set) check(now time.Time) {
	c, err := s.files.read()
	same := c.equal(s.seen)
	if err == nil && same && s.taken {
		return
	}
	var m *material
	if err == nil {
		m, err = s.files.parse(c, now)
	}
	known := same && !s.taken
	s.seen, s.taken = c, err == nil
	switch {
	case err == nil:
		s.current.Store(m)
		s.logger.Info("renewed TLS files are in use", "certificate", s.files.Cert, "expires", expiry(m))
	case !known:
		s.logger.Warn("renewed TLS files are not taken: what was read before stays in use", "error", err)
	}
}

func expiry(m *material) time.Time {
	if m.cert == nil {
		return time.Time{}
	}
	return m.cert.Leaf.NotAfter
}

// NotAfter is when the certificate in use expires; zero when there is none.
func (s *Set) NotAfter() time.Time { return expiry(s.get()) }

// Server is the configuration of a port: each certificate that a client shows is verified; whether it has to show one
// is for the handler to say, which knows what is asked.
func (s *Set) Server() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS12,
		SessionTicketsDisabled: true,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			m := s.get()
			return &tls.Config{
				MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true, Time: s.now, NextProtos: []string{"h2", "http/1.1"},
				Certificates: []tls.Certificate{*m.cert}, ClientCAs: m.pool, ClientAuth: tls.VerifyClientCertIfGiven,
			}, nil
		},
	}
}

// Client is the configuration of one connection to a server of that name, and of one of the roles.
func (s *Set) Client(serverName string, servers Servers, protocols ...string) *tls.Config {
	m := s.get()
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, Time: s.now, ServerName: serverName, RootCAs: m.pool, NextProtos: protocols}
	cfg.VerifyConnection = func(c tls.ConnectionState) error { return servers.check(c.PeerCertificates[0]) } // whose chain and name are verified
	if m.cert != nil {
		// Shown whatever authorities the server names: one that it does not trust is then an error that says so.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return m.cert, nil }
	}
	return cfg
}

// Dialer makes the DialTLSContext of an HTTP transport to such servers out of its DialContext.
func (s *Set) Dialer(dial func(ctx context.Context, network, addr string) (net.Conn, error), servers Servers, protocols ...string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		raw, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
		defer cancel()
		c := tls.Client(raw, s.Client(host, servers, protocols...))
		if err := c.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, fmt.Errorf("TLS with %s: %w", addr, err)
		}
		return c, nil
	}
}
