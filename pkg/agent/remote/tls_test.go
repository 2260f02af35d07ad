package remote

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/devcerts"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi"
)

// An agent's certificate, of the same authority and for the same host, makes no coordinator: nothing is asked there, neither when the
// configuration names it nor when a coordinator names it as the leader, and the coordinators beside it are.
func TestImpostor(t *testing.T) {
	t.Parallel() // a session is asked for 5 s
	dir := t.TempDir()
	if _, err := devcerts.Make(devcerts.Options{Dir: dir, Life: time.Hour, Force: true, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	set := func(name string) *tlsfiles.Set {
		t.Helper()
		s, err := tlsfiles.Open(tlsfiles.Files{
			Cert: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+"-key.pem"), CA: filepath.Join(dir, "ca.pem"),
		}, time.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	impostor, coordinator := newStubTLS(t, set("agent")), newStubTLS(t, set("coordinator"))
	for _, s := range []*stub{impostor, coordinator} {
		s.forward = func() error { return nil }
		s.head = 5
	}
	alone := newClientTLS(t, set("agent"), impostor)
	_, err := alone.Identify(testContext(t))
	var role *tlsfiles.RoleError
	if !errors.Is(err, base.ErrUnavailable) || !errors.As(err, &role) || !strings.Contains(err.Error(), `roles ["gnomon-agent"], and only ["gnomon-coordinator"] may answer`) || strings.Contains(err.Error(), "\n") {
		t.Errorf("an agent that poses as the coordinator: %v", err)
	}
	both := newClientTLS(t, set("agent"), impostor, coordinator)
	elect(coordinator, impostor)
	if resp, err := both.Identify(testContext(t)); err != nil || resp.LeaderUrl != coordinator.url {
		t.Errorf("beside a coordinator: %v, %v", resp, err)
	}
	if _, err := both.Forward(testContext(t), kafkaapi.Client{}, kmsg.NewPtrHeartbeatRequest()); err != nil {
		t.Errorf("to the leader: %v", err)
	}
	elect(impostor, coordinator)
	if _, err := newClientTLS(t, set("agent"), coordinator).OpenSession(testContext(t), 1); !errors.As(err, &role) {
		t.Errorf("to a leader that is none: %v", err)
	}
	if impostor.asked != 0 || coordinator.asked != 1 {
		t.Errorf("the impostor was asked %d times, the coordinator %d", impostor.asked, coordinator.asked)
	}
}
