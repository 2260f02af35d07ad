package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

// etcdElection bounds how long acks may be missing when the leader of the etcd is lost: its election (1 to 2 s), what its clients take to try another
// member, and a lease of Gnomon's leader that may have lapsed meanwhile; on a busy machine.
const etcdElection = 12 * time.Second

// etcdHangs is that for a leader that hangs with its connections open: each call has one chance in three to lie there for a second, until gRPC gives the
// connections up after 13 s. Usually it takes 1 to 5 s.
const etcdHangs = 20 * time.Second

// Point 10 of docs/KAFKA.md. A member of the etcd dies, its leader dies, hands over, stands still; then two of three are gone, and
// no quorum is left for a while. Acks wait; nothing is lost, nothing doubled, and no producer sees an error.
func TestEtcdMembers(t *testing.T) {
	c := harness.NewCluster(t, harness.ClusterConfig{EtcdMembers: 3})
	createTopic(t, c.Kafka())
	l := startLoad(t, c.Kafka())
	l.more(300)
	leader, _ := c.EtcdLeader()
	var followers []*harness.Node
	for _, n := range c.Members {
		if n != leader {
			followers = append(followers, n)
		}
	}
	step := func(what string, most time.Duration, fault, repair func()) {
		t.Helper()
		began := time.Now()
		fault()
		l.more(300)
		stall := l.stall(began)
		t.Logf("%s: longest time without an ack %v", what, stall)
		if stall > most {
			t.Errorf("%s: no ack for %v, want %v at most", what, stall, most)
		}
		repair()
		l.more(100)
	}
	step("a follower is killed", etcdElection, followers[0].Kill, followers[0].Start)
	step("the leader is killed", etcdElection, leader.Kill, leader.Start)
	step("the leader hands over", etcdElection, func() { moveLeader(t, c) }, func() {})
	leader, _ = c.EtcdLeader()
	step("the leader stands still", etcdHangs, leader.Pause, leader.Resume)

	began := time.Now()
	for _, n := range c.Members[:2] {
		n.Kill()
	}
	time.Sleep(4 * time.Second) // no quorum
	for _, n := range c.Members[:2] {
		n.Launch() // neither is ready without the other
	}
	l.more(300)
	t.Logf("two of three were away for 4s: longest time without an ack %v", l.stall(began))
	l.finish(c.Kafka())
}

func moveLeader(t *testing.T, c *harness.Cluster) {
	t.Helper()
	leader, _ := c.EtcdLeader()
	client := c.EtcdClient()
	ctx := testContext(t, 10*time.Second)
	for _, n := range c.Members {
		if n == leader {
			continue
		}
		s, err := client.Status(ctx, n.Admin)
		if err != nil {
			t.Fatal(err)
		}
		client.SetEndpoints(leader.Admin) // only the leader can
		if _, err := client.MoveLeader(ctx, s.Header.MemberId); err != nil {
			t.Fatal(err)
		}
		return
	}
}

// Point 10 of docs/KAFKA.md. The etcd reaches its quota and takes no puts: producers wait. The operator makes room, as docs/OPERATIONS.md says, and
// all goes on by itself: nothing is lost, nothing doubled, and no producer sees an error.
func TestEtcdNoSpace(t *testing.T) {
	t.Parallel()
	const quota = 24 << 20
	c := harness.NewCluster(t, harness.ClusterConfig{Agents: 2, EtcdMembers: 3, EtcdQuota: quota})
	createTopic(t, c.Kafka())
	l := startLoad(t, c.Kafka())
	l.more(300)
	client := c.EtcdClient()
	ctx := testContext(t, time.Minute)
	fill(ctx, t, client)
	full := l.rows.Acked()
	time.Sleep(3 * time.Second) // without room
	waited := l.rows.Acked() - full

	if _, err := client.Delete(ctx, junk, clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	makeRoom(ctx, t, c, client)
	began := time.Now()
	l.more(300)
	t.Logf("%d acked while the etcd was full; the next %v after there was room", waited, time.Since(began))
	if waited > 50 { // what was on its way when the last put was taken
		t.Errorf("%d records were acked while the etcd took no puts", waited)
	}
	l.finish(c.Kafka())
}

const junk = "junk/"

// fill puts what is not Gnomon's until the quota is reached.
func fill(ctx context.Context, t *testing.T, client *clientv3.Client) {
	t.Helper()
	value := string(bytes.Repeat([]byte("x"), 1<<20))
	for i := range 1000 {
		_, err := client.Put(ctx, fmt.Sprint(junk, i), value)
		if errors.Is(err, rpctypes.ErrNoSpace) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the etcd takes more than its quota")
}

// makeRoom does as `etcdctl compact`, `etcdctl defrag` and `etcdctl alarm disarm`.
func makeRoom(ctx context.Context, t *testing.T, c *harness.Cluster, client *clientv3.Client) {
	t.Helper()
	at, err := client.Get(ctx, junk)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Compact(ctx, at.Header.Revision, clientv3.WithCompactPhysical()); err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		t.Fatal(err)
	}
	for _, n := range c.Members {
		if _, err := client.Defragment(ctx, n.Admin); err != nil {
			t.Fatal(err)
		}
	}
	alarms, err := client.AlarmList(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alarms.Alarms {
		if _, err := client.AlarmDisarm(ctx, (*clientv3.AlarmMember)(a)); err != nil {
			t.Fatal(err)
		}
	}
}
