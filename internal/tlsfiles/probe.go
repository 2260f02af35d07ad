package tlsfiles

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"time"
)

// preface is what an HTTP/2 client says first: the connection preface, and empty SETTINGS.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"

// RefusedError says that a server is there, and the two do not accept each other's certificates.
type RefusedError struct{ Err error }

// Error gives the cause.
func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// Probe finds out whether a gRPC server of one of the roles answers at a URL, and, for https, whether it and the set accept each other: a
// *RefusedError if they do not. gRPC itself tries on until a deadline, which then hides why. With TLS 1.3 a server judges
// the client's certificate only after the handshake, so the first byte of its answer counts.
func Probe(ctx context.Context, rawURL string, set *Set, servers Servers) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		return fmt.Errorf("endpoint %q: %w", rawURL, err)
	}
	dial := (&net.Dialer{}).DialContext
	raw, err := dial(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	if u.Scheme != "https" || set == nil {
		return raw.Close()
	}
	given := func(context.Context, string, string) (net.Conn, error) { return raw, nil }
	c, err := set.Dialer(given, servers, "h2")(ctx, "tcp", u.Host)
	if err != nil {
		return &RefusedError{err}
	}
	defer func() { _ = c.Close() }()
	deadline := time.Now().Add(handshakeTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := c.SetDeadline(deadline); err != nil {
		return err
	}
	_, _ = c.Write([]byte(preface)) // what is wrong, reading says
	if _, err := c.Read(make([]byte, 1)); err != nil {
		return &RefusedError{fmt.Errorf("TLS with %s: %w", u.Host, err)}
	}
	return nil
}
