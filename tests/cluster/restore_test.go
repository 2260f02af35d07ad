package cluster

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

// restoreReport is what of `gnomon metastore restore` the tests look at.
type restoreReport struct {
	Restored    bool     `json:"restored"`
	Incarnation string   `json:"incarnation"`
	ArchivedSeq uint64   `json:"archived_seq"`
	Epoch       int32    `json:"epoch"`
	Fenced      bool     `json:"fenced"`
	Warnings    []string `json:"warnings"`
	Quarantine  struct {
		Objects int   `json:"objects"`
		Records int64 `json:"records"`
	} `json:"quarantine"`
}

// haltAll waits until each coordinator has ended by itself, with the sentence that says why and what to do.
func haltAll(t *testing.T, c *harness.Cluster, why string) {
	t.Helper()
	for _, n := range c.Coordinators {
		if !n.Running() {
			continue
		}
		code, log := n.Ends(20 * time.Second)
		if code != 1 || !strings.Contains(log, why) || !strings.Contains(log, "gnomon metastore restore") {
			t.Errorf("%s ended with code %d; want %q and the remedy in\n%s", n.Name, code, why, log)
		}
	}
}

func restored(t *testing.T, c *harness.Cluster, r harness.Result) (out restoreReport) {
	t.Helper()
	if r.Code != 0 {
		t.Fatalf("restore: code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	c.Decode(r, &out)
	return out
}

// held are the values of the records in quarantine.
func held(t *testing.T, c *harness.Cluster) map[string]bool {
	t.Helper()
	r := harness.Gnomon(t, "metastore", "quarantine", "export", "--bucket", c.Config.Bucket)
	if r.Code != 0 {
		t.Fatalf("export: code %d\n%s", r.Code, r.Err)
	}
	out := map[string]bool{}
	for line := range strings.Lines(r.Out) {
		var one struct{ Topic, Value string }
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		out[one.Value] = true
	}
	return out
}

// sound has fsck find nothing.
func sound(t *testing.T, c *harness.Cluster, args ...string) {
	t.Helper()
	r := harness.Gnomon(t, append([]string{"fsck", "--bucket", c.Config.Bucket, "--format", "json"}, args...)...)
	if r.Code != 0 {
		t.Errorf("fsck: code %d\n%s%s", r.Code, r.Out, r.Err)
		return
	}
	var rep struct {
		Clean    bool
		Region   string
		Findings []json.RawMessage
	}
	if c.Decode(r, &rep); !rep.Clean || rep.Region != c.Config.Name || rep.Findings == nil || len(rep.Findings) > 0 {
		t.Errorf("fsck: %s", r.Out)
	}
}

// account finds each acked record in its place in the log, or in quarantine, and none twice in the log.
func account(t *testing.T, l *load, have witness.Contents, quarantine map[string]bool) (inLog, inQuarantine int) {
	t.Helper()
	at := map[string]*kgo.Record{}
	for _, list := range have {
		for _, r := range list {
			if at[string(r.Value)] != nil {
				t.Errorf("record %s is in the log twice", r.Value)
			}
			at[string(r.Value)] = r
		}
	}
	for _, ack := range l.rows.Acks() {
		r := at[string(ack.Value)]
		switch {
		case r != nil && r.Partition == ack.Partition && r.Offset == ack.Offset:
			inLog++
		case quarantine[string(ack.Value)]:
			inQuarantine++
		default:
			t.Errorf("record %s was acked at %d/%d and is neither there nor in quarantine", ack.Value, ack.Partition, ack.Offset)
		}
	}
	return inLog, inQuarantine
}

// The data of etcd is deleted under load. The coordinators say so and end; the metalog is restored from the bucket; all goes on. Each
// acked record is at its offset, or in quarantine.
func TestEtcdLost(t *testing.T) {
	t.Parallel()
	c := harness.NewCluster(t, harness.ClusterConfig{Agents: 2})
	createTopic(t, c.Kafka())
	l := startLoad(t, c.Kafka())
	l.more(1000)
	sound(t, c, "--etcd", c.EtcdURL) // while all runs
	c.JustBeforeArchive()
	c.KillCoordinators() // and with them the last second: one that lived would archive what it has
	c.LoseEtcd()
	for _, n := range c.Coordinators {
		n.Launch()
	}
	haltAll(t, c, "etcd is empty")
	dry := restored(t, c, c.Restore("--dry-run"))
	if dry.Restored {
		t.Error("a dry run restored")
	}
	rep := restored(t, c, c.Restore("--yes"))
	if !rep.Restored || rep.Fenced || rep.Epoch != 9 || len(rep.Warnings) != 1 {
		t.Errorf("report %+v", rep)
	}
	if r := c.Restore("--yes"); r.Code == 0 || !strings.Contains(r.Err, "nothing is lost") {
		t.Errorf("a second restore: code %d, %s", r.Code, r.Err)
	}
	for _, n := range c.Coordinators {
		n.Start()
	}
	c.WaitAgents(2)
	l.more(500)
	l.stop()
	l.ended.Wait()
	quarantine := held(t, c)
	var list struct {
		Restores []struct{ Incarnation string }
		Total    struct{ Objects, Records int }
		Objects  []struct{ Restore string }
	}
	c.Decode(harness.Gnomon(t, "metastore", "quarantine", "list", "--bucket", c.Config.Bucket, "--format", "json"), &list)
	if len(list.Restores) != 1 || list.Restores[0].Incarnation != rep.Incarnation || list.Total.Objects != len(list.Objects) || list.Total.Records < len(quarantine) {
		t.Errorf("%d records were exported, and the list has %+v", len(quarantine), list)
	}
	for _, addr := range c.Kafka() {
		have, err := witness.ReadAll(testContext(t, 60*time.Second), []string{addr}, topic)
		if err != nil {
			t.Fatal(err)
		}
		inLog, inQuarantine := account(t, l, have, quarantine)
		if inQuarantine == 0 {
			t.Error("nothing that was acked is in quarantine: the test shows nothing")
		}
		t.Logf("through %s: %d acked records at their place, %d in quarantine, of %d records in %d objects there",
			addr, inLog, inQuarantine, rep.Quarantine.Records, rep.Quarantine.Objects)
	}
	l.reader.Close()
	sound(t, c, "--deep")
	drop := harness.Gnomon(t, "metastore", "quarantine", "drop", rep.Incarnation, "--bucket", c.Config.Bucket, "--admin", c.Leader().Admin, "--yes")
	if drop.Code != 0 {
		t.Errorf("drop: %s", drop.Err)
	}
	harness.Eventually(t, 10*time.Second, "nothing is held any more", func() string {
		if n := len(held(t, c)); n > 0 {
			return "there are records"
		}
		return ""
	})
}

// seqOf is what the leader has applied.
func seqOf(t *testing.T, c *harness.Cluster) uint64 {
	t.Helper()
	var h struct {
		Seq uint64 `json:"applied_seq"`
	}
	c.Decode(c.TryAdmin(c.Leader(), "health"), &h)
	return h.Seq
}

// etcd is set back to a backup, from under a region that runs. Nobody serves from it; --from-archive restores what the bucket has.
func TestEtcdSetBack(t *testing.T) {
	t.Parallel()
	c := harness.NewCluster(t, harness.ClusterConfig{Agents: 2})
	createTopic(t, c.Kafka())
	l := startLoad(t, c.Kafka())
	l.more(300)
	backup := c.BackUpEtcd()
	from := seqOf(t, c)
	harness.Eventually(t, 30*time.Second, "the log goes on behind the backup", func() string {
		if at := seqOf(t, c); at < from+20 {
			return fmt.Sprint(at, " of ", from+20)
		}
		return ""
	})
	l.more(100)
	c.SetEtcdBack(backup)
	haltAll(t, c, "etcd was set back to a backup")
	if r := c.Restore("--yes"); r.Code != 1 || !strings.Contains(r.Err, "--from-archive") {
		t.Errorf("without consent: code %d, %s", r.Code, r.Err)
	}
	rep := restored(t, c, c.Restore("--yes", "--from-archive"))
	if !rep.Restored {
		t.Errorf("report %+v", rep)
	}
	for _, n := range c.Coordinators {
		n.Start()
	}
	c.WaitAgents(2)
	l.more(500)
	l.stop()
	l.ended.Wait()
	have, err := witness.ReadAll(testContext(t, 60*time.Second), c.Kafka(), topic)
	if err != nil {
		t.Fatal(err)
	}
	inLog, inQuarantine := account(t, l, have, held(t, c))
	t.Logf("%d acked records at their place, %d in quarantine", inLog, inQuarantine)
	l.reader.Close()
}

// A region with a shadow loses its etcd twice. The first time its coordinators live, and archive what they have: nothing is lost, and the link goes on
// over the restore. The second time they die with it, and the shadow has more than the archive: the restore says so. If it is
// made all the same the link is FAULTED, and a failover to the shadow takes an epoch above the restored region's.
func TestEtcdLostWithShadow(t *testing.T) {
	t.Parallel()
	p := harness.NewClusterPair(t, harness.ClusterConfig{Agents: 1}, harness.ClusterConfig{Agents: 1, Coordinators: 1})
	createTopic(t, p.A.Kafka())
	l := startLoad(t, p.A.Kafka())
	l.more(300)
	peers := strings.Join(p.B.URLs(), ",")
	p.A.LoseEtcd()
	haltAll(t, p.A, "etcd is empty")
	if rep := restored(t, p.A, p.A.Restore("--yes", "--peers", peers)); rep.Fenced || len(rep.Warnings) != 0 {
		t.Errorf("report %+v", rep)
	}
	for _, n := range p.A.Coordinators {
		n.Start()
	}
	l.more(300)
	p.WaitCaughtUp()
	l.more(300)
	p.A.JustBeforeArchive()
	p.A.KillCoordinators()
	p.A.LoseEtcd()
	r := p.A.Restore("--yes", "--peers", peers)
	if r.Code != 1 || !strings.Contains(r.Err, "the other region has applied seq") || !strings.Contains(r.Err, "gnomon shadow failover "+harness.Link) {
		t.Fatalf("the shadow has more: code %d, %s%s", r.Code, r.Out, r.Err)
	}
	rep := restored(t, p.A, p.A.Restore("--yes", "--peers", peers, "--accept-divergence"))
	for _, n := range p.A.Coordinators {
		n.Start()
	}
	l.more(100)
	harness.Eventually(t, 30*time.Second, "the link is FAULTED", func() string {
		r := p.B.TryAdmin(p.B.Leader(), "shadow", "status", harness.Link)
		if !strings.Contains(r.Out, "FAULTED") {
			return r.Out + r.Err
		}
		return ""
	})
	l.stop()
	l.ended.Wait() // while somebody answers
	if r := p.B.TryAdmin(p.B.Leader(), "shadow", "failover", harness.Link, "--yes"); r.Code == 0 || !strings.Contains(r.Err, "another history") {
		t.Errorf("failover without consent: code %d, %s%s", r.Code, r.Out, r.Err)
	}
	var f harness.Failover
	p.B.Admin(&f, "shadow", "failover", harness.Link, "--yes", "--accept-missing")
	if f.Mode == "fenced" || f.Epoch <= rep.Epoch {
		t.Errorf("failover %+v of a region at epoch %d", f, rep.Epoch)
	}
}
