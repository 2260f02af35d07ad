package etcd

import (
	"context"
	"crypto/tls"
	"net"

	"google.golang.org/grpc/credentials"
)

// fresh is TLS to etcd by what the files hold when a connection is made: a certificate or an authority that was renewed
// counts from the next connection on, which a fixed configuration would never see.
type fresh struct {
	config func(serverName string) *tls.Config
}

// ClientHandshake implements credentials.TransportCredentials. authority is the endpoint's host, with a port or without.
func (f fresh) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	host := authority
	if h, _, err := net.SplitHostPort(authority); err == nil {
		host = h
	}
	return credentials.NewTLS(f.config(host)).ClientHandshake(ctx, authority, raw)
}

// ServerHandshake implements credentials.TransportCredentials; nobody calls it at a client.
func (f fresh) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return credentials.NewTLS(f.config("")).ServerHandshake(raw)
}

// Info implements credentials.TransportCredentials.
func (f fresh) Info() credentials.ProtocolInfo { return credentials.NewTLS(f.config("")).Info() }

// Clone implements credentials.TransportCredentials.
func (f fresh) Clone() credentials.TransportCredentials { return f }

// OverrideServerName implements credentials.TransportCredentials. Names are those of the endpoints, always.
func (f fresh) OverrideServerName(string) error { return nil }
