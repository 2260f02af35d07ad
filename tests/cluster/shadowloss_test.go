package cluster

import (
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

// A shadow loses its etcd and its coordinators at once, under load at the source. Restored from its own bucket, its link goes on from the image that was
// archived and copies again what came after: a failover that drains the source then has each acked record at its offset.
func TestShadowEtcdLost(t *testing.T) {
	t.Parallel()
	p := harness.NewClusterPair(t, harness.ClusterConfig{Agents: 1}, harness.ClusterConfig{Agents: 1, Coordinators: 1})
	createTopic(t, p.A.Kafka())
	l := startLoad(t, p.A.Kafka())
	l.more(300)
	p.WaitCaughtUp()
	p.B.JustBeforeArchive()
	p.B.KillCoordinators()
	p.B.LoseEtcd()
	for _, n := range p.B.Coordinators {
		n.Launch()
	}
	haltAll(t, p.B, "etcd is empty")
	l.more(300) // which the shadow learns of only later
	rep := restored(t, p.B, p.B.Restore("--yes", "--peers", strings.Join(p.A.URLs(), ",")))
	if !rep.Restored || rep.Fenced {
		t.Errorf("report %+v", rep)
	}
	for _, n := range p.B.Coordinators {
		n.Start()
	}
	p.B.WaitAgents(1)
	p.WaitCaughtUp()
	l.more(100)
	l.stop()
	l.ended.Wait()
	l.reader.Close()
	if f, _ := p.Failover(); f.Mode != "fenced" || f.Epoch <= rep.Epoch {
		t.Errorf("failover %+v of a shadow that was restored at epoch %d", f, rep.Epoch)
	}
	sound(t, p.B, "--deep")
	have, err := witness.ReadAll(testContext(t, 60*time.Second), p.B.Kafka(), topic)
	if err != nil {
		t.Fatal(err)
	}
	inLog, _ := account(t, l, have, nil)
	t.Logf("restored at epoch %d with %d objects in quarantine; %d acked records at their place", rep.Epoch, rep.Quarantine.Objects, inLog)
}
