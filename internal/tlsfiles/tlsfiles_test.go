package tlsfiles_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/devcerts"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func logTo(b io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

const life = time.Hour

func makeCerts(t *testing.T, dir string, at time.Time) {
	t.Helper()
	if _, err := devcerts.Make(devcerts.Options{Dir: dir, Life: life, Force: true, Now: func() time.Time { return at }}); err != nil {
		t.Fatal(err)
	}
}

func files(dir, name string) tlsfiles.Files {
	return tlsfiles.Files{Cert: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+"-key.pem"), CA: filepath.Join(dir, "ca.pem")}
}

func open(t *testing.T, f tlsfiles.Files, c *clock, logs io.Writer) *tlsfiles.Set {
	t.Helper()
	s, err := tlsfiles.Open(f, c.now, logTo(logs))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// listen serves TLS, answers one byte to each that has a sound certificate or none, and keeps the errors.
func listen(t *testing.T, s *tlsfiles.Set) (addr string, refused func() string) {
	t.Helper()
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := tls.NewListener(raw, s.Server())
	errs := &buffer{}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := c.Write([]byte{'x'}); err != nil {
				_, _ = errs.Write([]byte(err.Error() + "\n"))
			}
			_ = c.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); serving.Wait() })
	return raw.Addr().String(), errs.String
}

// try connects once and returns the server's certificate.
func try(s *tlsfiles.Set, addr string) (*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := s.Dialer((&net.Dialer{}).DialContext, tlsfiles.AnyServer)(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	_, err = io.ReadFull(c, make([]byte, 1)) // with TLS 1.3 the server's refusal comes here
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0], err
}

// What does not fit is refused at both ends, by errors that say why.
func TestRefused(t *testing.T) {
	c := &clock{at: time.Now()}
	ours, other, old := t.TempDir(), t.TempDir(), t.TempDir()
	makeCerts(t, ours, c.now())
	makeCerts(t, other, c.now())
	addr, refused := listen(t, open(t, files(ours, "coordinator"), c, io.Discard))
	if _, err := try(open(t, files(ours, "agent"), c, io.Discard), addr); err != nil {
		t.Fatal(err)
	}
	if _, err := try(open(t, tlsfiles.Files{CA: files(ours, "").CA}, c, io.Discard), addr); err != nil {
		t.Errorf("without a certificate, which is for the handler to judge: %v", err)
	}
	// Another authority's server, then another authority's client.
	if _, err := try(open(t, files(other, "agent"), c, io.Discard), addr); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a server of another authority: %v", err)
	}
	mixed := files(other, "agent")
	mixed.CA = files(ours, "").CA
	if _, err := try(open(t, mixed, c, io.Discard), addr); err == nil || !strings.Contains(err.Error(), "unknown certificate authority") {
		t.Errorf("a client of another authority: %v", err)
	}
	eventually(t, refused, "signed by unknown authority")
	// A client whose certificate is over, and that does not know.
	makeCerts(t, old, c.now().Add(-life+time.Second))
	stale := &clock{at: c.now()}
	f := files(old, "agent")
	f.CA = files(ours, "").CA
	late := open(t, f, stale, io.Discard)
	both := filepath.Join(t.TempDir(), "both.pem")
	join(t, both, files(ours, "").CA, files(old, "").CA)
	f = files(ours, "coordinator")
	f.CA = both
	addr, refused = listen(t, open(t, f, c, io.Discard))
	c.add(2 * time.Second)
	if _, err := try(late, addr); err == nil || !strings.Contains(err.Error(), "expired certificate") {
		t.Errorf("a client out of date: %v", err)
	}
	eventually(t, refused, "has expired")
}

// eventually waits for what the server says: the client may hear of it first.
func eventually(t *testing.T, said func() string, want string) {
	t.Helper()
	for range 500 {
		if strings.Contains(said(), want) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the server says %q, not %q", said(), want)
}

func join(t *testing.T, to string, from ...string) {
	t.Helper()
	var all []byte
	for _, path := range from {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	if err := os.WriteFile(to, all, 0o600); err != nil {
		t.Fatal(err)
	}
}

// F1, F2: what is renewed is taken by the next connection after CheckEvery, and what is of no use is not, with one warning.
func TestRenewal(t *testing.T) {
	c := &clock{at: time.Now()}
	dir, next := t.TempDir(), t.TempDir()
	makeCerts(t, dir, c.now())
	logs := &buffer{}
	server, client := open(t, files(dir, "coordinator"), c, logs), open(t, files(dir, "agent"), c, io.Discard)
	addr, _ := listen(t, server)
	first, err := try(client, addr)
	if err != nil {
		t.Fatal(err)
	}
	same := func(want bool, when string) {
		t.Helper()
		got, err := try(client, addr)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if got.Equal(first) != want {
			t.Errorf("%s: the certificate is the first one: %v, want %v", when, !want, want)
		}
	}
	// A certificate whose key has not come yet.
	makeCerts(t, next, c.now())
	key := files(dir, "coordinator").Key
	before, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	join(t, files(dir, "coordinator").Cert, files(next, "coordinator").Cert)
	for range 3 {
		c.add(tlsfiles.CheckEvery)
		same(true, "with half of a pair")
	}
	if got := logs.String(); strings.Count(got, "are not taken") != 1 || !strings.Contains(got, "coordinator.pem") {
		t.Errorf("logs:\n%s", got)
	}
	// The whole of it, authority too, but no time has passed; then it has.
	makeCerts(t, dir, c.now())
	same(true, "before the next look")
	c.add(tlsfiles.CheckEvery)
	same(false, "after the renewal")
	if !server.NotAfter().Equal(c.now().Add(-tlsfiles.CheckEvery).Add(life).UTC().Truncate(time.Second)) {
		t.Errorf("expires %v", server.NotAfter())
	}
	// A file that is gone, and one that is out of date.
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	c.add(tlsfiles.CheckEvery)
	if _, err := try(client, addr); err != nil {
		t.Errorf("without the file: %v", err)
	}
	makeCerts(t, dir, c.now().Add(-2*life))
	c.add(tlsfiles.CheckEvery)
	if _, err := try(client, addr); err != nil {
		t.Errorf("with what is out of date: %v", err)
	}
	got := logs.String()
	if !strings.Contains(got, "no such file") || !strings.Contains(got, "expired at") || strings.Contains(got, string(before[40:60])) {
		t.Errorf("logs:\n%s", got)
	}
}

// A certificate that comes before its time is taken when its time has come.
func TestEarly(t *testing.T) {
	c := &clock{at: time.Now()}
	dir := t.TempDir()
	makeCerts(t, dir, c.now())
	s := open(t, files(dir, "agent"), c, io.Discard)
	first := s.NotAfter()
	makeCerts(t, dir, c.now().Add(life+30*time.Minute)) // valid in half an hour
	c.add(tlsfiles.CheckEvery)
	if !s.NotAfter().Equal(first) {
		t.Error("taken too early")
	}
	c.add(40 * time.Minute)
	if s.NotAfter().Equal(first) {
		t.Error("not taken when it was time")
	}
}

// Each mistake in the files is one sentence that names the file.
func TestOpenErrors(t *testing.T) {
	c := &clock{at: time.Now()}
	dir, other, old := t.TempDir(), t.TempDir(), t.TempDir()
	makeCerts(t, dir, c.now())
	makeCerts(t, other, c.now())
	makeCerts(t, old, c.now().Add(-2*life))
	f, o := files(dir, "agent"), files(other, "agent")
	for name, x := range map[string]struct {
		files tlsfiles.Files
		want  string
	}{
		"no certificate there": {tlsfiles.Files{Cert: dir + "/none.pem", Key: f.Key, CA: f.CA}, "none.pem: no such file"},
		"a key of another":     {tlsfiles.Files{Cert: f.Cert, Key: o.Key, CA: f.CA}, "cannot be used together"},
		"a key as certificate": {tlsfiles.Files{Cert: f.Key, Key: f.Key, CA: f.CA}, "holds no certificate in PEM form"},
		"no authority in it":   {tlsfiles.Files{Cert: f.Cert, Key: f.Key, CA: f.Key}, "agent-key.pem holds no certificate of an authority"},
		"out of date":          {files(old, "agent"), "agent.pem expired at"},
		"a folder":             {tlsfiles.Files{Cert: dir, Key: f.Key, CA: f.CA}, "is a directory"},
		"half a pair":          {tlsfiles.Files{Cert: f.Cert, CA: f.CA}, "belong together"},
	} {
		_, err := tlsfiles.Open(x.files, c.now, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (tlsfiles.Files{Cert: "x"}).Complete("etcd-"); err == nil || !strings.Contains(err.Error(), "etcd-tls-key is missing") {
		t.Errorf("incomplete: %v", err)
	}
}

func TestToken(t *testing.T) {
	c := &clock{at: time.Now()}
	path := filepath.Join(t.TempDir(), "token")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{"": "is empty", "short\n": "at least 16", "0123456789abcdef\n0123456789abcdef\n": "more than one line"} {
		put(text)
		if _, err := tlsfiles.OpenToken(path, c.now, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "short") {
			t.Errorf("%q: %v", text, err)
		}
	}
	put("0123456789abcdef\n")
	logs := &buffer{}
	token, err := tlsfiles.OpenToken(path, c.now, logTo(logs))
	if err != nil {
		t.Fatal(err)
	}
	if !token.Is("0123456789abcdef") || token.Is("") || token.Is("0123456789abcde") {
		t.Error("the token is not compared")
	}
	put("fedcba9876543210")
	if token.Is("fedcba9876543210") {
		t.Error("read again too soon")
	}
	c.add(tlsfiles.CheckEvery)
	if !token.Is("fedcba9876543210") || token.Is("0123456789abcdef") {
		t.Error("the renewed token does not count")
	}
	put("secret")
	for range 2 {
		c.add(tlsfiles.CheckEvery)
		if !token.Is("fedcba9876543210") {
			t.Error("the old token is gone")
		}
	}
	if got := logs.String(); strings.Count(got, "not taken") != 1 || strings.Contains(got, "secret\"") || strings.Contains(got, "fedcba") {
		t.Errorf("logs: %s", got)
	}
}

func TestRoles(t *testing.T) {
	for _, x := range []struct {
		units []string
		named bool
		roles int
	}{
		{nil, false, 0}, {[]string{"engineering"}, false, 0}, {[]string{"gnomon-agent"}, true, 1},
		{[]string{"gnomon-agent", "x", "gnomon-monitor"}, true, 2}, {[]string{"gnomon-admiral"}, true, 0},
	} {
		roles, named := tlsfiles.RolesOf(&x509.Certificate{Subject: pkix.Name{OrganizationalUnit: x.units}})
		if named != x.named || len(roles) != x.roles {
			t.Errorf("%q: %q, %v", x.units, roles, named)
		}
	}
}
