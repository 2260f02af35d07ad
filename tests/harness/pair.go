package harness

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ClusterPair is two regions made of processes, and the link from A to B.
type ClusterPair struct {
	A, B *Cluster
	t    testing.TB
}

// NewClusterPair starts two regions with one Kafka cluster id, and the link between them.
func NewClusterPair(t testing.TB, a, b ClusterConfig) *ClusterPair {
	t.Helper()
	a.Number, b.Number = 1, 2
	p := &ClusterPair{t: t, A: newCluster(t, a)}
	b.KafkaClusterID = p.A.Config.KafkaClusterID
	p.B = newCluster(t, b)
	p.A.start(p.B)
	p.B.start(p.A)
	p.createLink()
	return p
}

func (p *ClusterPair) createLink() {
	p.t.Helper()
	file := filepath.Join(p.B.data, "link.yaml")
	text := fmt.Sprintf(`name: %s
source:
  coordinators: [%s]
  etcd: [%s]
  bucket: %s
%son_topic_deleted: DELETE
on_topic_recreated: FOLLOW
topic_metadata_sync_options:
  auto_create_shadow_topic_filters:
    - {pattern_type: LITERAL, filter_type: INCLUDE, name: '*'}
consumer_offset_sync_options:
  group_filters:
    - {pattern_type: LITERAL, filter_type: INCLUDE, name: '*'}
`, Link, strings.Join(p.A.URLs(), ", "), p.A.EtcdURL, p.A.Config.Bucket, p.A.linkCredentials())
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
	Eventually(p.t, 30*time.Second, "the link is created", func() string {
		if r := p.B.TryAdmin(p.B.Leader(), "shadow", "create", "-f", file); r.Code != 0 {
			return r.Out + r.Err
		}
		return ""
	})
	p.WaitCaughtUp()
}

// WaitCaughtUp waits until B has applied all that A had when the call began.
func (p *ClusterPair) WaitCaughtUp() {
	p.t.Helper()
	began := time.Now()
	Eventually(p.t, 60*time.Second, "B has all of A", func() string {
		r := p.B.TryAdmin(p.B.Leader(), "shadow", "status", Link)
		var s Status
		if r.Code != 0 || json.Unmarshal([]byte(r.Out), &s) != nil {
			return r.Out + r.Err
		}
		if s.State != "ACTIVE" || s.Lag.Events == nil || *s.Lag.Events != 0 || s.AsOf == nil || s.AsOf.Before(began) {
			return r.Out
		}
		return ""
	})
}

// Failover makes B the primary.
func (p *ClusterPair) Failover() (Failover, Result) {
	p.t.Helper()
	var f Failover
	r := p.B.Admin(&f, "shadow", "failover", Link, "--yes")
	return f, r
}

// Kill ends all processes of the region at once by SIGKILL, but its etcd.
func (c *Cluster) Kill() {
	c.t.Helper()
	for _, n := range append(append([]*Node{}, c.Agents...), c.Coordinators...) {
		if n.p != nil {
			n.Kill()
		}
	}
}
