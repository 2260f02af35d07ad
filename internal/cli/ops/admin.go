package ops

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
)

// adminDefault is region a of gnomon dev.
const adminDefault = "http://127.0.0.1:9644"

// adminTarget is the admin port that a command talks to, and what it shows there.
type adminTarget struct {
	env       *cli.Env
	url       string
	files     tlsfiles.Files
	tokenFile string
}

// adminFlags adds --admin and what belongs to it. Each stands in the environment too, under the names that agents and coordinators
// have for theirs.
func adminFlags(env *cli.Env, cmd *cobra.Command) *adminTarget {
	a := &adminTarget{env: env}
	f := cmd.PersistentFlags()
	add := func(into *string, flag, variable, standard, usage string) {
		if v := env.Getenv(variable); v != "" {
			standard = v
		}
		f.StringVar(into, flag, standard, usage+" ("+variable+")")
	}
	add(&a.url, "admin", "GNOMON_ADMIN", adminDefault, "admin URL of the region")
	add(&a.files.CA, "tls-ca", "GNOMON_TLS_CA", "", "PEM file of the region's authorities, for https; default: those of the system")
	add(&a.files.Cert, "tls-cert", "GNOMON_TLS_CERT", "", "PEM file of a client certificate")
	add(&a.files.Key, "tls-key", "GNOMON_TLS_KEY", "", "PEM file of its key")
	add(&a.tokenFile, "token-file", "GNOMON_TOKEN_FILE", "", "file with the operators' token; GNOMON_TOKEN is the token itself")
	return a
}

// client checks what was given and makes the HTTP client, which asks servers of these roles only.
func (a *adminTarget) client(servers tlsfiles.Servers) (*http.Client, error) {
	u, err := url.Parse(a.url)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, cli.Usage("--admin is %q: use http://host:port, or https://host:port", a.url)
	}
	token, err := a.token()
	if err != nil {
		return nil, err
	}
	if u.Scheme == "http" {
		if token != "" && !loopback(u.Hostname()) {
			return nil, cli.Usage("--admin is %q: a token goes over https only, or to loopback", a.url)
		}
		return &http.Client{Transport: bearer{token, http.DefaultTransport}}, nil
	}
	if err := a.files.Paired("--"); err != nil {
		return nil, cli.Usage("%w", err)
	}
	set, err := tlsfiles.Open(a.files, a.env.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, cli.Fail("use the certificates", err, "name others by --tls-ca, --tls-cert, --tls-key")
	}
	return &http.Client{Transport: bearer{token, &http.Transport{
		DialTLSContext: set.Dialer((&net.Dialer{}).DialContext, servers, "http/1.1"),
	}}}, nil
}

func (a *adminTarget) token() (string, error) {
	if a.tokenFile == "" {
		return strings.TrimSpace(a.env.Getenv("GNOMON_TOKEN")), nil
	}
	token, err := tlsfiles.ReadSecret(a.tokenFile)
	if err != nil {
		return "", cli.Fail("read the token", err, "name its file by --token-file")
	}
	return token, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// bearer shows a token with each request.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.token != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.next.RoundTrip(r)
}

// refused turns an error of TLS into a sentence with a remedy; nil when it is none.
func refused(what, url string, err error) error {
	text := err.Error()
	var role *tlsfiles.RoleError
	switch {
	case errors.As(err, &role):
		return cli.Fail(what, role, "")
	case strings.HasPrefix(url, "http:") && strings.Contains(text, "400 Bad Request"):
		return cli.Fail(what, errors.New("the port has TLS"), "use https:// in --admin, with --tls-ca")
	case strings.Contains(text, "server gave HTTP response to HTTPS client"), strings.Contains(text, "first record does not look like a TLS handshake"):
		return cli.Fail(what, err, "the port has no TLS: use http:// in --admin")
	case strings.Contains(text, "remote error: tls:"):
		return cli.Fail(what, fmt.Errorf("the region refuses the client certificate (%w)", err), "name one of the region's authority by --tls-cert and --tls-key")
	case strings.Contains(text, "tls: failed to verify certificate"):
		return cli.Fail(what, err, "name the region's authorities by --tls-ca, and the host as its certificate does in --admin")
	}
	return nil
}
