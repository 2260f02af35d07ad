package cluster

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

// A region of processes dies as a whole under load, the other takes over, fenced, and nothing acked is lost. The link
// survives the death of the leader that ran it.
func TestFailover(t *testing.T) {
	t.Parallel()
	pair := harness.NewClusterPair(t, harness.ClusterConfig{Agents: 2}, harness.ClusterConfig{Agents: 2})
	a, b := pair.A, pair.B
	createTopic(t, a.Kafka())
	path := witness.NewRedirect(a.Kafka(), b.Kafka())
	l := startLoad(t, a.Kafka(), path.Option())
	l.more(500)
	runner := b.Leader()
	runner.Kill()
	l.more(500)
	b.Leader() // the link goes on there
	runner.Start()
	source := a.Leader()
	source.Kill()
	l.more(500)
	source.Start()

	a.Kill()
	l.flip(b, b.Standby(), path) // any coordinator will do
	l.more(500)
	l.finish(b.Kafka())

	// The old region comes back and knows: all its coordinators, the standby too.
	for _, n := range slices.Concat(a.Coordinators, a.Agents) {
		n.Start()
	}
	for _, n := range a.Coordinators {
		harness.Eventually(t, 20*time.Second, n.Name+" knows that the region is fenced", func() string {
			if r := a.TryAdmin(n, "health"); !strings.Contains(r.Out, `"role":"fenced"`) && !strings.Contains(r.Out, `"role": "fenced"`) {
				return r.Out + r.Err
			}
			return ""
		})
	}
}

// flip has a coordinator of b take over, fenced, and the load go on at b.
func (l *load) flip(b *harness.Cluster, by *harness.Node, path *witness.Redirect) {
	t := l.t
	t.Helper()
	r := b.TryAdmin(by, "shadow", "failover", harness.Link, "--yes")
	if r.Code != 0 {
		t.Fatalf("failover: %s%s", r.Out, r.Err)
	}
	var f harness.Failover
	b.Decode(r, &f)
	if f.Mode != "fenced" {
		t.Errorf("failover: %+v", f)
	}
	cut := witness.Boundary{}
	for _, p := range f.Partitions {
		cut[p.Partition] = p.EndOffset
	}
	if err := l.reader.Flip(testContext(t, 20*time.Second), b.Kafka(), cut); err != nil {
		t.Fatal(err)
	}
	path.Flip()
}

// Commands for links are answered by every coordinator, whoever leads, and by an error that says why when nobody does.
func TestAnyCoordinatorAnswers(t *testing.T) {
	t.Parallel()
	b := harness.NewClusterPair(t, harness.ClusterConfig{Agents: 1, Coordinators: 1}, harness.ClusterConfig{Agents: 1}).B
	standby := b.Standby()
	for _, args := range [][]string{{"shadow", "list"}, {"shadow", "status", harness.Link}, {"shadow", "pause", harness.Link}, {"shadow", "resume", harness.Link}} {
		if r := b.TryAdmin(standby, args...); r.Code != 0 {
			t.Errorf("%v: %s%s", args, r.Out, r.Err)
		}
	}
	if r := b.TryAdmin(standby, "shadow", "status", "nowhere"); r.Code == 0 || !strings.Contains(r.Out+r.Err, "not found") {
		t.Errorf("a link that does not exist: %d %s%s", r.Code, r.Out, r.Err)
	}
	if r := b.TryAdmin(standby, "health"); r.Code != 0 {
		t.Errorf("health of a standby: %s%s", r.Out, r.Err)
	}
	b.Leader().Pause()
	if r := b.TryAdmin(standby, "shadow", "status", harness.Link); r.Code != 0 && !strings.Contains(r.Out+r.Err, "leader") || r.Took > 10*time.Second {
		t.Errorf("while the leader is paused: %d after %v: %s%s", r.Code, r.Took, r.Out, r.Err)
	}
	harness.Eventually(t, 20*time.Second, "the standby runs the link", func() string {
		if r := b.TryAdmin(standby, "shadow", "status", harness.Link); r.Code != 0 {
			return r.Out + r.Err
		}
		return ""
	})
}
