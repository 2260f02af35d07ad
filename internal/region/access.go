package region

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
)

// access is what a caller of the admin port wants.
type access int

const (
	health    access = iota // whether the process lives and serves: probes of load balancers have no certificates
	figures                 // metrics, health of the region
	operation               // links, failovers, profiles
	source                  // the log, read by links and by coordinators of the other region
	inside                  // the internal API: commits, sessions, registrations, Kafka requests
)

// granted says what each role may do.
var granted = map[tlsfiles.Role][]access{
	tlsfiles.Coordinator: {figures, operation, source, inside},
	tlsfiles.Agent:       {figures, source, inside},
	tlsfiles.Region:      {source},
	tlsfiles.Operator:    {figures, operation},
	tlsfiles.Monitor:     {figures},
}

// guard decides who may do what on an admin port.
//
// On a plain port without a token, which is on loopback or on a trusted network, everybody may do everything. On a plain
// port with a token operators must present it; processes cannot show who they are there. On a port with TLS every call
// but a probe needs a certificate of the authority, of a role that may do it, or, if it is an operator's, the token.
type guard struct {
	Security
	log *sparing
}

func newGuard(s Security, logger *slog.Logger, now func() time.Time) *guard {
	return &guard{Security: s, log: &sparing{logger: logger, now: now}}
}

// allow serves h to those that may have the access.
func (g *guard) allow(need access, h http.Handler) http.Handler {
	return g.allowBy(func(*http.Request) access { return need }, h)
}

// allowBy is allow where the access depends on the request.
func (g *guard) allowBy(need func(*http.Request) access, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refusal := g.judge(r, need(r))
		if refusal == nil {
			h.ServeHTTP(w, r)
			return
		}
		if skipped, ok := g.log.pass(); ok {
			g.log.logger.Warn("a call was refused", "api", r.URL.Path, "client", r.RemoteAddr, "error", refusal.Message(), "skipped", skipped)
		}
		if rpc := connect.NewErrorWriter(); rpc.IsSupported(r) {
			_ = rpc.Write(w, r, refusal)
			return
		}
		status := http.StatusUnauthorized
		if refusal.Code() == connect.CodePermissionDenied {
			status = http.StatusForbidden
		}
		http.Error(w, refusal.Message(), status)
	})
}

func (g *guard) judge(r *http.Request, need access) *connect.Error {
	byToken := need == operation || need == figures
	switch {
	case need == health, g.TLS == nil && g.Token == nil, g.TLS == nil && !byToken:
		return nil
	}
	var refusal error
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 { // verified by the handshake
		cert := r.TLS.PeerCertificates[0]
		roles, named := tlsfiles.RolesOf(cert)
		if !named || slices.ContainsFunc(roles, func(x tlsfiles.Role) bool { return slices.Contains(granted[x], need) }) {
			return nil
		}
		refusal = fmt.Errorf("the certificate %q has the roles %q, none of which may do this", cert.Subject.CommonName, roles)
	}
	presented, hasToken := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case byToken && hasToken && g.Token != nil && g.Token.Is(presented):
		return nil
	case byToken && hasToken:
		return connect.NewError(connect.CodeUnauthenticated, errors.New("the token is not the one of this region (admin-token-file)"))
	case refusal != nil:
		return connect.NewError(connect.CodePermissionDenied, refusal)
	case byToken:
		return connect.NewError(connect.CodeUnauthenticated, errors.New("this needs the operators' token, or a client certificate of the region's authority"))
	}
	return connect.NewError(connect.CodeUnauthenticated, errors.New("this needs a client certificate of the region's authority (tls-cert, tls-key)"))
}

// sparing lets a line a second through: what strangers do must not fill a disk.
type sparing struct {
	logger *slog.Logger
	now    func() time.Time

	mu      sync.Mutex
	last    time.Time
	skipped int
}

const sparingEvery = time.Second

// pass tells whether a line may be written now, and how many were not since the last one.
func (s *sparing) pass() (skipped int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if now.Sub(s.last) < sparingEvery {
		s.skipped++
		return 0, false
	}
	skipped, s.last, s.skipped = s.skipped, now, 0
	return skipped, true
}

// Write takes lines of net/http's own log: handshakes that failed. That somebody connected and left is not worth a line.
func (s *sparing) Write(line []byte) (int, error) {
	text := strings.TrimPrefix(strings.TrimSpace(string(line)), "http: ")
	if strings.HasSuffix(text, "EOF") {
		return len(line), nil
	}
	if skipped, ok := s.pass(); ok {
		s.logger.Warn("admin port", "error", text, "skipped", skipped)
	}
	return len(line), nil
}
