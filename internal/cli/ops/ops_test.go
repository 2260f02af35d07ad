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
	"github.com/gnomon-stream/gnomon/pkg/shadow"
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

// A wrong command line has exit code 2, and one line that says what is wrong and how it is right.
func TestUsage(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	const restore, list = "metastore restore --bucket file:///x --etcd http://127.0.0.1:1", "metastore quarantine list"
	const drop = "metastore quarantine drop 0123456789abcdef --bucket file:///x"
	for _, c := range []struct{ args, want string }{
		{"shadow status", "see `gnomon shadow status --help`"},
		{"shadow describe a b", "see `gnomon shadow describe --help`"},
		{"shadow nonsense", "see `gnomon shadow --help`"},
		{"shadow list x", "unknown command \"x\""},
		{"shadow delete", "see `gnomon shadow delete --help`"},
		{"shadow status --nope l", "--nope; see `gnomon shadow status --help`"},
		{"shadow create", ""},
		{"shadow failover l", "--yes"},
		{"shadow delete l", "--yes"},
		{"dev x", "unknown command \"x\""},
		{"dev --flush-profile fast", "--flush-profile"},
		{"dev --region c", "--region"},
		{"demo x", "unknown command \"x\""},
		{"health x", "see `gnomon health --help`"},
		{"health --admin localhost:9644", "use http://host:port, or https://host:port"},
		{"health --admin https://127.0.0.1:1 --tls-cert x", "--tls-cert and --tls-key belong together"},
		{"health --admin http://10.0.0.1:9644 --token-file " + token, "a token goes over https only, or to loopback"},
		{"shadow list --admin http://localhost.example:9644 --token-file " + token, "a token goes over https only, or to loopback"},
		{"metastore nonsense", "see `gnomon metastore --help`"},
		{"metastore restore x", "see `gnomon metastore restore --help`"},
		{"metastore restore --nope", "--nope; see `gnomon metastore restore --help`"},
		{"metastore restore --bucket file:///x --dry-run", "name the etcd to restore into by --etcd or GNOMON_ETCD"},
		{"metastore restore --etcd http://127.0.0.1:1 --dry-run", "name the region's bucket by --bucket or GNOMON_BUCKET"},
		{restore, "look with --dry-run, then say --yes"},
		{restore + " --dry-run --yes", "look with --dry-run, then say --yes"},
		{restore + " --yes --etcd 10.0.0.5:2379", "--etcd has \"10.0.0.5:2379\": use URLs such as http://10.0.0.5:2379"},
		{restore + " --yes --peers nowhere", "--peers has \"nowhere\": use URLs such as http"},
		{restore + " --yes --peer-tls-cert x", "--peer-tls-cert and --peer-tls-key belong together"},
		{restore + " --yes --etcd-tls-key x", "--etcd-tls-cert and --etcd-tls-key belong together"},
		{"metastore quarantine nonsense", "see `gnomon metastore quarantine --help`"},
		{list, "name the region's bucket by --bucket or GNOMON_BUCKET"},
		{list + " x", "see `gnomon metastore quarantine list --help`"},
		{list + " --etcd http://127.0.0.1:1", "see `gnomon metastore quarantine list --help`"},
		{"metastore quarantine export", "name the region's bucket by --bucket or GNOMON_BUCKET"},
		{"metastore quarantine export --bucket file:///x --nope", "see `gnomon metastore quarantine export --help`"},
		{"metastore quarantine drop --bucket file:///x --yes", "see `gnomon metastore quarantine drop --help`"},
		{drop, "--yes"},
		{"fsck", "name the region's bucket by --bucket or GNOMON_BUCKET"},
		{"fsck x", "see `gnomon fsck --help`"},
		{"fsck --bucket file:///x --etcd x", "--etcd has \"x\": use URLs"},
		{"certs nonsense", "see `gnomon certs --help`"},
		{"certs dev", "name a folder for the certificates with --out"},
		{"certs dev x", "see `gnomon certs dev --help`"},
		{"certs dev --out x --host a:1", "use a name or an address, without a port"},
		{"certs dev --out x --valid -1h", "--valid is -1h0m0s: use a time such as 720h"},
		{"etcd nonsense", "see `gnomon etcd --help`"},
		{"etcd users x", "see `gnomon etcd users --help`"},
		{"etcd users", "name the region's etcd by --etcd or GNOMON_ETCD"},
		{"bucket nonsense", "see `gnomon bucket --help`"},
		{"bucket init", "see `gnomon bucket init --help`"},
		{"bucket init file:///x", "needs no preparation"},
		{"bucket init s3://x --timeout -1s", "--timeout is -1s: use a time such as 60s"},
	} {
		code, out, errs := (&admin{}).run(t, strings.Fields(c.args)...)
		if code != 2 || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 || out != "" {
			t.Errorf("gnomon %s: exit code %d, out %q, err %q; want code 2 and %q", c.args, code, out, errs, c.want)
		}
		// The same as JSON, but where the line could not be read to its end.
		code, out, errs = (&admin{}).run(t, append(strings.Fields(c.args), "--format", "json")...)
		var got map[string]string
		if err := json.Unmarshal([]byte(errs), &got); (err != nil || got["error"] == "") && !strings.Contains(errs, "--help`") || code != 2 || out != "" {
			t.Errorf("gnomon %s as JSON: exit code %d, out %q, err %q", c.args, code, out, errs)
		}
	}
}

// A bucket that nobody has used, and stores that are not there, are one sentence with what to do; as JSON it is an object. Nothing is made.
func TestNoStores(t *testing.T) {
	dir := t.TempDir()
	nothing := "file://" + dir + "/nothing"
	for _, c := range []struct{ args, want string }{
		{"metastore restore --dry-run --etcd http://127.0.0.1:1 --bucket " + nothing, "check --bucket"},
		{"metastore quarantine list --bucket " + nothing, "check --bucket"},
		{"metastore quarantine export --bucket " + nothing, "check --bucket"},
		{"fsck --bucket " + nothing, "check --bucket"},
		{"fsck --bucket ftp://x", "scheme"},
		{"fsck --bucket file:///x --etcd https://127.0.0.1:1 --etcd-tls-ca " + dir + "/none", "--etcd-tls-ca"},
		{"fsck --bucket file:///x --etcd http://127.0.0.1:1 --etcd-user u --etcd-password-file " + dir + "/none", "--etcd-password-file"},
		{"metastore restore --dry-run --etcd http://127.0.0.1:1 --bucket file:///x --peer-tls-ca " + dir + "/none", "--peer-tls-ca"},
		{"health --admin http://127.0.0.1:1", "--admin or GNOMON_ADMIN"},
	} {
		code, out, errs := (&admin{}).run(t, strings.Fields(c.args)...)
		if code != 1 || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 || out != "" {
			t.Errorf("gnomon %s: exit code %d, out %q, err %q; want code 1 and %q", c.args, code, out, errs, c.want)
		}
		code, out, errs = (&admin{}).run(t, append(strings.Fields(c.args), "--format", "json")...)
		var got map[string]string
		if err := json.Unmarshal([]byte(errs), &got); err != nil || !strings.Contains(got["error"], c.want) || code != 1 || out != "" {
			t.Errorf("gnomon %s as JSON: %v, exit code %d, out %q, err %q", c.args, err, code, out, errs)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v was made, %v", left, err)
	}
}

// --help of each command says what it is for and how it is called.
func TestHelp(t *testing.T) {
	for _, line := range []string{
		"metastore", "metastore restore", "metastore quarantine", "metastore quarantine list", "metastore quarantine export", "metastore quarantine drop",
		"fsck", "certs", "certs dev", "etcd", "etcd users", "bucket", "bucket init", "health", "shadow", "shadow create", "shadow failover", "dev", "demo",
	} {
		code, out, errs := (&admin{}).run(t, append(strings.Fields(line), "--help")...)
		first, rest, _ := strings.Cut(out, "\n")
		if code != 0 || errs != "" || len(first) < 20 || !strings.Contains(rest, "gnomon "+line) || !strings.Contains(rest, "--format string") {
			t.Errorf("gnomon %s --help: exit code %d, %s%s", line, code, out, errs)
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

// A dry run says whether the source's etcd would let this region fence; a failover's own report has no such line.
func TestDryRunFence(t *testing.T) {
	for fence, x := range map[string]struct{ mode, text string }{
		shadow.FenceAllowed: {shadow.ModeFenced, "would fail over: source fenced and drained, epoch 10, at seq 0 of 0\n  fencing: ALLOWED"},
		shadow.FenceRefused: {shadow.ModeCut, "would fail over with --accept-missing only: source not fenced, cut, epoch 10, at seq 0 of 0\n  fencing: REFUSED by the source's etcd"},
		shadow.FenceUnknown: {shadow.ModeCut, "would fail over: source out of reach, cut, epoch 10, at seq 0 of 0\n  fencing: unknown"},
		"":                  {shadow.ModeCut, "would fail over: source out of reach, cut, epoch 10, at seq 0 of 0\n  why"}, // of an older coordinator
	} {
		a := &admin{report: &adminpb.FailoverReport{Link: "l", DryRun: true, Mode: x.mode, Detail: "why", Epoch: 10, Fence: fence}}
		if _, out, errs := a.run(t, "shadow", "failover", "l", "--dry-run"); !strings.Contains(out, x.text) || !strings.Contains(out, "\n  why\n") {
			t.Errorf("%q: %s%s", fence, out, errs)
		}
		var got struct{ Fence *string }
		_, out, errs := a.run(t, "shadow", "failover", "l", "--dry-run", "--format", "json")
		if err := json.Unmarshal([]byte(out), &got); err != nil || (got.Fence == nil) != (fence == "") || got.Fence != nil && *got.Fence != fence {
			t.Errorf("%q: %v, %s%s", fence, err, out, errs)
		}
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
