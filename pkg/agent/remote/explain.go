package remote

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
)

// explained says why a connection could not be made. With TLS 1.3 a server refuses a client's certificate after the
// handshake, and net/http then reports at times no more than that HTTP/2 could not begin.
type explained struct {
	*http.Transport
	set *tlsfiles.Set
}

// hidden is net/http's error that hides another.
const hidden = "client conn could not be established"

// RoundTrip implements http.RoundTripper.
func (e explained) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := e.Transport.RoundTrip(r)
	if err == nil || r.URL.Scheme != "https" || !strings.Contains(err.Error(), hidden) {
		return resp, err
	}
	var refused *tlsfiles.RefusedError
	if errors.As(tlsfiles.Probe(r.Context(), r.URL.String(), e.set, tlsfiles.Coordinators), &refused) {
		err = fmt.Errorf("%w: %w", err, refused)
	}
	return nil, err
}
