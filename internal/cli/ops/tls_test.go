package ops

import (
	"bytes"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/devcerts"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
)

// The operator's token is sent to a coordinator only; of an agent an operator may ask whether it is ready.
func TestImpostor(t *testing.T) {
	dir := t.TempDir()
	if _, err := devcerts.Make(devcerts.Options{Dir: dir, Life: time.Hour, Force: true, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		server, command string
		asked           bool
	}{
		{"coordinator", "shadow list", true}, {"coordinator", "health", true}, {"coordinator", "health --process", true},
		{"agent", "shadow list", false}, {"agent", "health", false}, {"agent", "health --process", true},
		{"etcd", "shadow list", true}, // its certificate names no role, and is not restricted
	} {
		var asked atomic.Bool
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Store(true)
			w.WriteHeader(http.StatusOK)
		}))
		set, err := tlsfiles.Open(tlsfiles.Files{
			Cert: filepath.Join(dir, x.server+".pem"), Key: filepath.Join(dir, x.server+"-key.pem"), CA: filepath.Join(dir, "ca.pem"),
		}, time.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		server.TLS, server.Config.ErrorLog = set.Server(), log.New(io.Discard, "", 0)
		server.StartTLS()
		var errs bytes.Buffer
		args := append(strings.Fields(x.command), "--admin", server.URL, "--tls-ca", filepath.Join(dir, "ca.pem"), "--token-file", filepath.Join(dir, devcerts.AdminToken))
		code := cli.Run(t.Context(), &cli.Env{
			In: strings.NewReader(""), Out: io.Discard, Err: &errs, Now: time.Now, Getenv: func(string) string { return "" },
		}, args, Commands()...)
		server.Close()
		if asked.Load() != x.asked {
			t.Errorf("%s to a server with the certificate %s: asked: %v, %s", x.command, x.server, asked.Load(), &errs)
		}
		if !x.asked && (code != 1 || !strings.Contains(errs.String(), `only ["gnomon-coordinator"] may answer here`) || strings.Count(errs.String(), "\n") != 1) {
			t.Errorf("%s to a server with the certificate %s: %d, %s", x.command, x.server, code, &errs)
		}
	}
}
