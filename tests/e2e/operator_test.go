package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

// linkFile writes a link.yaml for a link from a region.
func linkFile(t *testing.T, d *harness.Dev, name, source, more string) string {
	t.Helper()
	e := d.Endpoints(source)
	text := fmt.Sprintf("name: %s\nsource:\n  coordinators: [%s]\n  etcd: [%s]\n  bucket: %s\ntopic_metadata_sync_options:\n"+
		"  auto_create_shadow_topic_filters:\n    - {pattern_type: LITERAL, filter_type: INCLUDE, name: '*'}\n%s", name, e.Admin, strings.Join(e.Etcd, ","), e.Bucket, more)
	file := filepath.Join(t.TempDir(), "link.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// What an operator meets around a failover that is not the plain one: a link that was made paused says so and is not
// waited for; groups of a shadow are said to be elsewhere; a region that was fenced this instant says that, and is ready to
// be read by all who are asked.
func TestFailoverOfAPausedLink(t *testing.T) {
	t.Parallel()
	d := harness.NewDev(t)
	d.StartPair()
	createTopic(t, d.Endpoints("a").Kafka, "early", 1)
	if r := d.TryAdmin("b", "shadow", "delete", harness.Link, "--yes"); r.Code != 0 {
		t.Fatal(r.Err)
	}
	var created struct{ Created bool }
	d.Admin("b", &created, "shadow", "create", "-f", linkFile(t, d, "quiet", "a", "  paused: true\n"))
	var s harness.Status
	d.Admin("b", &s, "shadow", "status", "quiet")
	if s.State != "PAUSED" || s.Position.AppliedSeq != 0 {
		t.Errorf("right after its creation the link is %s, at seq %d", s.State, s.Position.AppliedSeq)
	}
	if r := d.TryAdmin("b", "shadow", "verify", "quiet"); r.Code != 2 || r.Took > 10*time.Second || !strings.Contains(r.Err, "paused") {
		t.Errorf("verify of a paused link: %+v", r)
	}
	if r := d.TryAdmin("b", "shadow", "verify", "quiet", "--deep"); r.Code != 1 {
		t.Errorf("verify --deep of a link that has nothing: %+v", r)
	}
	r := harness.Gnomon(t, "group", "describe", "g", "--brokers", d.Endpoints("b").Kafka[0])
	if r.Code != 1 || !strings.Contains(r.Err, "belongs to its source until a failover") {
		t.Errorf("a group at the standby: %+v", r)
	}
	back := linkFile(t, d, "back", "b", "")
	var f harness.Failover
	d.Admin("b", &f, "shadow", "failover", "quiet", "--yes")
	if f.Mode != "fenced" || len(f.Partitions) != 1 {
		t.Errorf("failover of a paused link: %+v", f)
	}
	if r := d.TryAdmin("a", "shadow", "create", "-f", back); r.Code != 1 || !strings.Contains(r.Err, "taken over") && !strings.Contains(r.Err, "fenced") {
		t.Errorf("a link of a region that was fenced just now: %+v", r)
	}
	var health struct {
		Ready bool
		Role  string
	}
	harness.Eventually(t, 10*time.Second, "a is ready, fenced", func() string { // its next term begins a moment after it has heard of the fence
		r := d.TryAdmin("a", "health")
		if err := json.Unmarshal([]byte(r.Out), &health); err != nil || r.Code != 0 {
			return r.Out + r.Err
		}
		return ""
	})
	resp, err := http.Get(d.Endpoints("a").Admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if health.Role != "fenced" || !health.Ready || resp.StatusCode != http.StatusOK {
		t.Errorf("a fenced region: %+v, readyz %s", health, resp.Status)
	}
}
