// Package embedetcd runs a single-member etcd in the process: for `gnomon dev` and for tests. It is the same etcd as
// anywhere else, with real fsync.
package embedetcd

import (
	"fmt"
	"net"
	"net/url"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
)

// Config of a server.
type Config struct {
	Dir string
	// ClientPort and PeerPort on 127.0.0.1; 0 takes a free one.
	ClientPort, PeerPort int
	// CertFile, KeyFile and CAFile make the client port TLS, for clients with a certificate of the authority; all or none.
	CertFile, KeyFile, CAFile string
	// TokenTTL is how long a token of a user is good for without being used; 0 means etcd's 5 minutes.
	TokenTTL time.Duration
	// PasswordCost is bcrypt's cost of passwords; 0 means etcd's 10. 4 is the least, for tests: under the race detector 10 takes seconds.
	PasswordCost uint
	// LogFile takes etcd's own log; empty discards it.
	LogFile string
}

// Server is a running etcd.
type Server struct {
	etcd     *embed.Etcd
	endpoint string
}

// Start starts etcd and waits until it serves. A port that is taken is one clear sentence.
func Start(cfg Config) (*Server, error) {
	client, err := listenURL("etcd client", cfg.ClientPort)
	if err != nil {
		return nil, err
	}
	peer, err := listenURL("etcd peer", cfg.PeerPort)
	if err != nil {
		return nil, err
	}
	c := embed.NewConfig()
	c.Name, c.Dir = "gnomon", cfg.Dir
	if cfg.CertFile != "" {
		client.Scheme = "https"
		c.ClientTLSInfo = transport.TLSInfo{CertFile: cfg.CertFile, KeyFile: cfg.KeyFile, TrustedCAFile: cfg.CAFile, ClientCertAuth: true}
	}
	if cfg.TokenTTL > 0 {
		c.AuthTokenTTL = uint(cfg.TokenTTL / time.Second)
	}
	if cfg.PasswordCost > 0 {
		c.BcryptCost = cfg.PasswordCost
	}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.TickMs, c.ElectionMs = 20, 200 // a single member: nothing to wait for
	c.QuotaBackendBytes = 2 << 30
	c.MaxRequestBytes = 4 << 20
	c.LogLevel = "error"
	c.LogOutputs = []string{"/dev/null"}
	if cfg.LogFile != "" {
		c.LogOutputs, c.LogLevel = []string{cfg.LogFile}, "warn"
	}
	e, err := embed.StartEtcd(c)
	if err != nil {
		return nil, fmt.Errorf("start etcd in %s: %w", cfg.Dir, err)
	}
	select {
	case <-e.Server.ReadyNotify():
	case err := <-e.Err():
		e.Close()
		return nil, fmt.Errorf("start etcd in %s: %w", cfg.Dir, err)
	case <-time.After(time.Minute):
		e.Close()
		return nil, fmt.Errorf("etcd in %s was not ready within a minute", cfg.Dir)
	}
	return &Server{etcd: e, endpoint: client.String()}, nil
}

// Endpoint is the client URL.
func (s *Server) Endpoint() string { return s.endpoint }

// Close stops etcd and waits for it.
func (s *Server) Close() { s.etcd.Close() }

// listenURL finds a free port, or checks that the given one is.
func listenURL(what string, port int) (*url.URL, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("%s port %d cannot be opened: stop what listens there, or choose another port: %w", what, port, err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	return &url.URL{Scheme: "http", Host: addr}, nil
}
