package ops

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/adminpb/adminpbconnect"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// admin is the admin API of a region with one link.
type admin struct {
	adminpbconnect.UnimplementedShadowServiceHandler
	adminpbconnect.UnimplementedClusterServiceHandler
	created *adminpb.CreateRequest
	report  *adminpb.FailoverReport
	verify  *adminpb.VerifyResponse
}

func (a *admin) List(context.Context, *connect.Request[adminpb.ListRequest]) (*connect.Response[adminpb.ListResponse], error) {
	return connect.NewResponse(&adminpb.ListResponse{Links: []*adminpb.LinkSummary{{
		Link: "l", State: "ACTIVE", AppliedSeq: 1 << 60, Config: &metalogpb.LinkConfig{Name: "l", Coordinators: []string{"http://x"}},
	}}}), nil
}

func (a *admin) Health(context.Context, *connect.Request[adminpb.HealthRequest]) (*connect.Response[adminpb.HealthResponse], error) {
	return connect.NewResponse(&adminpb.HealthResponse{
		Ready: true, Role: "fenced", AppliedSeq: 1 << 60, Checks: []*adminpb.CheckResult{{Name: "role", Ok: true, Detail: "fenced"}},
	}), nil
}

func (a *admin) Create(_ context.Context, req *connect.Request[adminpb.CreateRequest]) (*connect.Response[adminpb.CreateResponse], error) {
	a.created = req.Msg
	return connect.NewResponse(&adminpb.CreateResponse{Created: true}), nil
}

func (a *admin) Failover(context.Context, *connect.Request[adminpb.FailoverRequest]) (*connect.Response[adminpb.FailoverResponse], error) {
	return connect.NewResponse(&adminpb.FailoverResponse{Report: a.report}), nil
}

func (a *admin) Verify(context.Context, *connect.Request[adminpb.VerifyRequest]) (*connect.Response[adminpb.VerifyResponse], error) {
	return connect.NewResponse(a.verify), nil
}

func (a *admin) run(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(adminpbconnect.NewShadowServiceHandler(a))
	mux.Handle(adminpbconnect.NewClusterServiceHandler(a))
	server := httptest.NewServer(mux)
	defer server.Close()
	var o, e bytes.Buffer
	code = cli.Run(t.Context(), &cli.Env{In: strings.NewReader(""), Out: &o, Err: &e, Now: time.Now, Getenv: func(name string) string {
		return map[string]string{"GNOMON_ADMIN": server.URL}[name]
	}}, args, Commands()...)
	return code, o.String(), e.String()
}

// A wrong command line has exit code 2, and says where help is.
func TestUsage(t *testing.T) {
	for _, line := range []string{
		"shadow status", "shadow describe a b", "shadow nonsense", "shadow list x", "health x", "dev x", "demo x", "shadow delete", "shadow status --nope l",
	} {
		code, _, errs := (&admin{}).run(t, strings.Fields(line)...)
		if code != 2 || !strings.Contains(errs, "--help`") {
			t.Errorf("gnomon %s: exit code %d, %s", line, code, errs)
		}
	}
	for _, line := range []string{"shadow create", "shadow failover l", "shadow delete l", "dev --flush-profile fast", "dev --region c"} {
		if code, _, errs := (&admin{}).run(t, strings.Fields(line)...); code != 2 {
			t.Errorf("gnomon %s: exit code %d, %s", line, code, errs)
		}
	}
}

// JSON has numbers where there are numbers, and one style of keys.
func TestJSONNumbers(t *testing.T) {
	for line, path := range map[string]string{
		"health": "applied_seq", "shadow describe l": "applied_seq", "shadow list": "links",
	} {
		code, out, errs := (&admin{}).run(t, append(strings.Fields(line), "--format", "json")...)
		var got map[string]json.RawMessage
		if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 {
			t.Fatalf("%s: %v, %d, %s", line, err, code, errs)
		}
		if got[path] == nil || !strings.Contains(out, `"applied_seq": 1152921504606846976`) {
			t.Errorf("%s: %s", line, out)
		}
	}
	code, out, _ := (&admin{}).run(t, "health")
	if code != 0 || !strings.Contains(out, "role fenced") {
		t.Errorf("health of a fenced region: %d, %s", code, out)
	}
}

// paused in a link.yaml is asked for together with the link.
func TestCreatePaused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "link.yaml")
	text := "name: l\nsource:\n  coordinators: [http://127.0.0.1:1]\n  bucket: file:///x\ntopic_metadata_sync_options:\n  paused: true\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &admin{}
	if code, _, errs := a.run(t, "shadow", "create", "-f", file); code != 0 || !a.created.GetPaused() {
		t.Errorf("exit code %d, request %v, %s", code, a.created, errs)
	}
}

// What is not known is shown as such, and what was not measured is left out.
func TestFailoverReport(t *testing.T) {
	a := &admin{report: &adminpb.FailoverReport{Link: "l", Mode: "cut", Detail: "why", Epoch: 10}}
	_, out, _ := a.run(t, "shadow", "failover", "l", "--yes")
	if !strings.Contains(out, "lost: 0 records; what") || strings.Contains(out, " ms") || !strings.Contains(out, "why") {
		t.Errorf("text: %s", out)
	}
	_, out, _ = a.run(t, "shadow", "failover", "l", "--yes", "--format", "json")
	if !strings.Contains(out, `"rpo_seconds": null`) {
		t.Errorf("JSON: %s", out)
	}
}

// A link that could not be compared is neither equal nor different: exit code 2.
func TestVerifyExitCodes(t *testing.T) {
	for want, v := range map[int]*adminpb.VerifyResponse{
		0: {Equal: true},
		1: {Mismatches: []*adminpb.Mismatch{{Partition: -1, Offset: -1, Reason: "the link is FAULTED: x"}}},
		2: {SourceUnreachable: true, Detail: "the link is paused"},
	} {
		code, out, errs := (&admin{verify: v}).run(t, "shadow", "verify", "l")
		if code != want || !strings.Contains(out+errs, v.Detail) {
			t.Errorf("want %d: %d, %s%s", want, code, out, errs)
		}
	}
}
