package cluster

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

const members = 3

// A change of the leader, by its death or by its leave, is no reason for a group to rebalance: members, generation and
// assignment stand, commits go on.
func TestGroupKeepsGeneration(t *testing.T) {
	t.Parallel()
	c := harness.NewCluster(t, harness.ClusterConfig{})
	createTopic(t, c.Kafka())
	ctx := testContext(t, 2*time.Minute)
	var changes atomic.Int32
	changed := func(context.Context, *kgo.Client, map[string][]int32) { changes.Add(1) }
	clients := make([]*kgo.Client, members)
	for i := range clients {
		clients[i] = newClient(t, c.Kafka(), kgo.ConsumerGroup("g"), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
			kgo.HeartbeatInterval(500*time.Millisecond), kgo.OnPartitionsAssigned(changed), kgo.OnPartitionsRevoked(changed), kgo.OnPartitionsLost(changed))
	}
	generation := func() (out string) {
		for _, cl := range clients {
			id, n := cl.GroupMetadata()
			out += fmt.Sprint(id, n, " ")
		}
		return out
	}
	harness.Eventually(t, 30*time.Second, "the group is stable", func() string {
		_, first := clients[0].GroupMetadata()
		for _, cl := range clients {
			polled, stop := context.WithTimeout(ctx, 50*time.Millisecond)
			cl.PollFetches(polled) // moves the client's group on
			stop()
			if _, n := cl.GroupMetadata(); n != first || n < 1 {
				return generation()
			}
		}
		return ""
	})
	time.Sleep(time.Second) // for a heartbeat of each, which would tell of a rebalance
	before, quiet := generation(), changes.Load()
	for name, end := range map[string]func(*harness.Node){"kill -9": (*harness.Node).Kill, "SIGTERM": (*harness.Node).Term} {
		old := c.Leader()
		end(old)
		// Heartbeats go on without a leader and after it, and so do commits.
		for range 10 {
			for i, cl := range clients {
				at := map[string]map[int32]kgo.EpochOffset{topic: {int32(i): {Epoch: -1, Offset: 0}}}
				cl.CommitOffsetsSync(ctx, at, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
					if err == nil {
						err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
					}
					if err != nil {
						t.Errorf("%s: commit of member %d: %v", name, i, err)
					}
				})
			}
			time.Sleep(500 * time.Millisecond)
		}
		if c.Leader() == old {
			t.Errorf("%s: the leader is the one that is gone", name)
		}
		if now := generation(); now != before || changes.Load() != quiet {
			t.Errorf("%s: the group was %s and is %s; its members were told of %d changes", name, before, now, changes.Load()-quiet)
		}
		old.Start()
	}
	for _, cl := range clients {
		cl.Close()
	}
}
