package region

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/devcerts"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
)

const secret = "0123456789abcdef"

func securityOf(t *testing.T) Security {
	t.Helper()
	dir := t.TempDir()
	if _, err := devcerts.Make(devcerts.Options{Dir: dir, Life: time.Hour, Force: true, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "token")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	token, err := tlsfiles.OpenToken(path, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	set, err := tlsfiles.Open(tlsfiles.Files{
		Cert: filepath.Join(dir, "coordinator.pem"), Key: filepath.Join(dir, "coordinator-key.pem"), CA: filepath.Join(dir, "ca.pem"),
	}, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return Security{TLS: set, Token: token}
}

// Who may do what; none of the refusals repeats a token.
func TestAccess(t *testing.T) {
	whole := securityOf(t)
	plain, tokenOnly := Security{}, Security{Token: whole.Token}
	all := "health figures operation source inside"
	for _, c := range []struct {
		name  string
		sec   Security
		units []string // of a certificate; nil: none is shown
		token string
		may   string
	}{
		{"plain port", plain, nil, "", all},
		{"plain port with a token, none shown", tokenOnly, nil, "", "health source inside"},
		{"plain port with a token, a wrong one", tokenOnly, nil, "x" + secret, "health source inside"},
		{"plain port with a token", tokenOnly, nil, secret, all},
		{"nothing shown", whole, nil, "", "health"},
		{"a wrong token", whole, nil, secret[1:], "health"},
		{"an operator's token", whole, nil, secret, "health figures operation"},
		{"a certificate without a role", whole, []string{"engineering"}, "", all},
		{"a coordinator", whole, []string{"gnomon-coordinator"}, "", all},
		{"an agent", whole, []string{"gnomon-agent"}, "", "health figures source inside"},
		{"the other region", whole, []string{"gnomon-region"}, "", "health source"},
		{"an operator", whole, []string{"gnomon-operator"}, "", "health figures operation"},
		{"Prometheus", whole, []string{"gnomon-monitor"}, "", "health figures"},
		{"Prometheus with an operator's token", whole, []string{"gnomon-monitor"}, secret, "health figures operation"},
		{"a role of another build", whole, []string{"gnomon-admiral"}, "", "health"},
	} {
		g := newGuard(c.sec, slog.New(slog.DiscardHandler), time.Now)
		for need, name := range map[access]string{health: "health", figures: "figures", operation: "operation", source: "source", inside: "inside"} {
			r := httptest.NewRequest(http.MethodGet, "/x", http.NoBody)
			if c.units != nil {
				r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{OrganizationalUnit: c.units}}}}
			}
			if c.token != "" {
				r.Header.Set("Authorization", "Bearer "+c.token)
			}
			w := httptest.NewRecorder()
			g.allow(need, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })).ServeHTTP(w, r)
			if got, want := w.Code == http.StatusNoContent, strings.Contains(c.may, name); got != want || !want && w.Code != 401 && w.Code != 403 {
				t.Errorf("%s: %s: %d, want it allowed: %v", c.name, name, w.Code, want)
			}
			if strings.Contains(w.Body.String(), secret[1:]) {
				t.Errorf("%s: the answer repeats the token: %s", c.name, w.Body)
			}
		}
	}
}

// A port that strangers can reach is opened with TLS and a token only, or if somebody says that the network is trusted.
func TestBeyondLoopback(t *testing.T) {
	whole := securityOf(t)
	for _, c := range []struct {
		addr string
		sec  Security
		ok   bool
	}{
		{"127.0.0.1:0", Security{}, true},
		{"localhost:0", Security{}, true},
		{"0.0.0.0:0", Security{}, false},
		{":0", Security{}, false},
		{"0.0.0.0:0", Security{TLS: whole.TLS}, false},
		{"0.0.0.0:0", Security{Token: whole.Token}, false},
		{"0.0.0.0:0", whole, true},
		{"0.0.0.0:0", Security{TrustedNetwork: true}, true},
	} {
		var log strings.Builder
		l, err := listenAdmin(c.addr, c.sec, slog.New(slog.NewTextHandler(&log, nil)))
		if (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "admin-token-file") || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%+v: %v", c, err)
		}
		if c.sec.TrustedNetwork != strings.Contains(log.String(), "admin-insecure") {
			t.Errorf("%+v: %s", c, log.String())
		}
		if l != nil {
			_ = l.Close()
		}
	}
}

// What strangers do is logged, but not without end.
func TestSparingLog(t *testing.T) {
	var log strings.Builder
	now := time.Now()
	s := &sparing{logger: slog.New(slog.NewTextHandler(&log, nil)), now: func() time.Time { return now }}
	for range 1000 {
		_, _ = s.Write([]byte("http: TLS handshake error from 10.0.0.1:5: tls: first record does not look like a TLS handshake\n"))
	}
	_, _ = s.Write([]byte("http: TLS handshake error from 10.0.0.1:5: EOF\n"))
	now = now.Add(sparingEvery)
	_, _ = s.Write([]byte("http: again\n"))
	if got := log.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "skipped=999") {
		t.Error(got)
	}
}
