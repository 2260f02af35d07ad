package faults

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

// refusal is a command that ends at once: with this code and one sentence that has all of these texts.
type refusal struct {
	args []string
	code int
	says []string
}

// check runs the command. A start that is not refused runs into the harness's own limit.
func (x refusal) check(t *testing.T) {
	t.Helper()
	r := run(t, x.args...)
	if r.Code != x.code {
		t.Errorf("exit code %d, want %d", r.Code, x.code)
	}
	if !strings.HasPrefix(r.Err, "gnomon: ") || strings.Count(r.Err, "\n") != 1 || len(r.Err) > 500 || r.Out != "" {
		t.Errorf("it is not one sentence: %q, %q", r.Out, r.Err)
	}
	for _, text := range x.says {
		if !strings.Contains(r.Err, text) {
			t.Errorf("it does not say %q: %s", text, r.Err)
		}
	}
}

// devOf are the arguments of gnomon dev for a data directory.
func devOf(d *harness.Dev, args ...string) []string {
	return append([]string{"dev", "--data", d.Data, "--ephemeral-ports"}, args...)
}

// testRefusedStarts begins what must not run, beside a region that does.
func testRefusedStarts(t *testing.T, a *agents) {
	bucket := "file://" + filepath.Join(a.dev.Data, "a", "bucket")
	careless := startS3(t)
	careless.overwrites = true
	fresh := func(args ...string) []string {
		return devOf(harness.NewDev(t), append([]string{"--region", "a"}, args...)...)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]refusal{
		"store without conditional writes": {fresh("--bucket-a", careless.bucket("careless")), 1, []string{"s3://careless", "ignores If-None-Match", "needs a store with conditional writes"}},
		"bucket of another cluster":        {fresh("--bucket-a", bucket), 1, []string{bucket, "belongs to cluster", "use another bucket or prefix"}},
		"bucket of the other region":       {devOf(a.dev, "--region", "b", "--bucket-b", bucket), 1, []string{bucket, "region 1, but this is", "region 2", "use another bucket or prefix"}},
		"data in use":                      {devOf(a.dev, "--region", "a"), 1, []string{a.dev.Data, "is run by another process", "stop that one", "--data"}},
		"data in use, both regions":        {devOf(a.dev), 1, []string{a.dev.Data, "is run by another process"}},
		"data in use, other ports":         {[]string{"dev", "--data", a.dev.Data, "--region", "a"}, 1, []string{a.dev.Data, "is run by another process"}},
		"data is a file":                   {[]string{"dev", "--data", file}, 1, []string{file, "cannot be made"}},

		"unknown setting of a bucket": {fresh("--bucket-a", careless.bucket("b")+"&colour=red"), 1, []string{`"colour" in the bucket's URL is unknown`, "endpoint, region, path_style"}},
		"setting of a directory":      {fresh("--bucket-a", bucket+"?region=x"), 1, []string{`"region" in the bucket's URL is unknown`}},
		"unknown scheme":              {fresh("--bucket-a", "ftp://b"), 1, []string{`unknown scheme "ftp"`, "use file or s3"}},
		"relative directory":          {fresh("--bucket-a", "file://bucket"), 1, []string{"file:///directory"}},
		"key in the URL":              {fresh("--bucket-a", "s3://tests:"+secret+"@b?region=x"), 1, []string{"credentials in it", "credentials file"}},
		"bad truth value":             {fresh("--bucket-a", "s3://b?region=x&path_style=perhaps"), 1, []string{"path_style", "neither true nor false"}},

		"unknown region":     {[]string{"dev", "--region", "c"}, 2, []string{`--region is "c"`, "use a or b"}},
		"unknown flag":       {[]string{"dev", "--colour"}, 2, []string{"--colour", "gnomon dev --help"}},
		"unknown log level":  {[]string{"dev", "--log-level", "loud"}, 2, []string{`--log-level is "loud"`, "debug, info, warn or error"}},
		"argument too many":  {[]string{"dev", "extra"}, 2, []string{"extra", "gnomon dev --help"}},
		"no link to create":  {[]string{"shadow", "create"}, 2, []string{"-f", "deploy/link.yaml"}},
		"no link to look at": {[]string{"shadow", "status"}, 2, []string{"gnomon shadow status --help"}},
		"no file of a link":  {[]string{"shadow", "create", "-f", file + ".yaml"}, 1, []string{file + ".yaml", "no such file"}},
	} {
		t.Run(name, func(t *testing.T) { x.check(t) })
	}
	a.unharmed(t)
}

// TestPortInUse has each port of a region taken by somebody else.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	port := taken.Addr().(*net.TCPAddr).Port
	free := func() int {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		return l.Addr().(*net.TCPAddr).Port
	}
	for what, change := range map[string]func(kafka []int, others map[string]any){
		"first agent":  func(kafka []int, _ map[string]any) { kafka[0] = port },
		"second agent": func(kafka []int, _ map[string]any) { kafka[1] = port },
		"admin":        func(_ []int, others map[string]any) { others["admin"] = port },
		"etcd client":  func(_ []int, others map[string]any) { others["etcd_client"] = port },
		"etcd peer":    func(_ []int, others map[string]any) { others["etcd_peer"] = port },
	} {
		t.Run(what, func(t *testing.T) {
			d := harness.NewDev(t)
			kafka := []int{free(), free()}
			ports := map[string]any{"kafka": kafka, "admin": free(), "etcd_client": free(), "etcd_peer": free()}
			change(kafka, ports)
			raw, err := json.Marshal(ports)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Join(d.Data, "a"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(d.Data, "a", "ports.json"), raw, 0o600); err != nil {
				t.Fatal(err)
			}
			_, number, err := net.SplitHostPort(taken.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			refusal{devOf(d, "--region", "a"), 1, []string{"region a", number, "cannot be opened", "stop what listens there"}}.check(t)
		})
	}
}

// TestRefusedLinks has the mistakes of a link.yaml named by their lines, before anybody is asked.
func TestRefusedLinks(t *testing.T) {
	t.Parallel()
	good := "name: a-to-b\nsource:\n  coordinators: [http://127.0.0.1:1]\n  bucket: file:///nowhere\n"
	for name, x := range map[string]struct{ text, says string }{
		"unknown key":           {good + "colour: red\n", `line 5: "colour" is unknown in link.yaml`},
		"unknown key of source": {strings.Replace(good, "  bucket", "  colour: red\n  bucket", 1), `line 4: "colour" is unknown in source`},
		"misspelt key":          {strings.Replace(good, "  bucket", "  buckett", 1), "bucket"},
		"no YAML":               {good + "\t- :\n", "line 4: the file is not YAML"},
		"nothing":               {"", "the file is empty"},
		"secret":                {strings.Replace(good, "file:///nowhere", "s3://tests:"+secret+"@b", 1), "line 4"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "link.yaml")
			if err := os.WriteFile(file, []byte(x.text), 0o600); err != nil {
				t.Fatal(err)
			}
			refusal{[]string{"shadow", "create", "-f", file, "--admin", "http://127.0.0.1:1"}, 1, []string{file, x.says}}.check(t)
		})
	}
}
