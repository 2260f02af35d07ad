package agent_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/shadow"
	"github.com/gnomon-stream/gnomon/tests/memregion"
)

// pairOf is a source with three records in topic "orders", and its standby.
func pairOf(t *testing.T) (a, b *rig, id base.TopicID, link *shadow.Runner) {
	a, b = newRig(t, memregion.Options{Number: 1}), newRig(t, memregion.Options{Number: 2})
	id = a.CreateTopic(a.cl, "orders", 1)
	a.acked("orders", id, 3)
	link = b.Shadow(a.Region, a.Bucket, b.Bucket, "")
	b.Shadowed(a.Region)
	return a, b, id, link
}

// groupCodes asks every group API for its code.
func (r *rig) groupCodes(topic string, id base.TopicID) map[string]int16 {
	r.t.Helper()
	codes := map[string]int16{}
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKey, find.CoordinatorKeys = "g", []string{"g"}
	found := r.Ask(r.cl, find).(*kmsg.FindCoordinatorResponse)
	if codes["FindCoordinator"] = found.ErrorCode; len(found.Coordinators) > 0 {
		codes["FindCoordinator"] = found.Coordinators[0].ErrorCode
	}
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.ProtocolType, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = "g", "consumer", 10_000, 10_000
	join.Protocols = append(join.Protocols, kmsg.JoinGroupRequestProtocol{Name: "range"})
	codes["JoinGroup"] = r.Ask(r.cl, join).(*kmsg.JoinGroupResponse).ErrorCode
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.Group, beat.MemberID = "g", "m"
	codes["Heartbeat"] = r.Ask(r.cl, beat).(*kmsg.HeartbeatResponse).ErrorCode
	codes["OffsetCommit"] = r.commitOffset(topic, id, 1)
	codes["OffsetFetch"], _ = r.committed()
	return codes
}

func (r *rig) commitOffset(topic string, id base.TopicID, at int64) int16 {
	r.t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = "g", -1
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.TopicID = topic, id
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset = at
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return r.Ask(r.cl, req).(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
}

// committed is the code, and the offset that group g has committed for the one partition it has one for.
func (r *rig) committed() (int16, int64) {
	r.t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = "g"
	req.Groups = append(req.Groups, g)
	got := r.Ask(r.cl, req).(*kmsg.OffsetFetchResponse).Groups[0]
	if len(got.Topics) == 0 {
		return got.ErrorCode, -1
	}
	return got.ErrorCode, got.Topics[0].Partitions[0].Offset
}

func (r *rig) createCode(name string) int16 {
	r.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 1, -1
	req.Topics = append(req.Topics, topic)
	return r.Ask(r.cl, req).(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode
}

func (r *rig) deleteCode(name string) int16 {
	r.t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = kmsg.StringPtr(name)
	req.Topics, req.TopicNames = append(req.Topics, topic), []string{name}
	return r.Ask(r.cl, req).(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode
}

// refusesWrites holds the standby answers: writes and groups get codes that clients wait and try again after, so that one
// that arrives before the flip loses nothing; what waiting does not help is told at once.
func (r *rig) refusesWrites(id base.TopicID, group map[string]int16) {
	r.t.Helper()
	before := r.objects()
	if code, _ := r.produce("orders", id, 1); code != kerr.NotLeaderForPartition.Code {
		r.t.Errorf("produce: code %d, want NOT_LEADER_OR_FOLLOWER", code)
	}
	if n := r.objects() - before; n != 0 {
		r.t.Errorf("a produce that cannot be accepted left %d objects in the bucket", n)
	}
	for api, code := range group {
		if api != "FindCoordinator" && code != kerr.CoordinatorNotAvailable.Code || code != 0 && !kerr.IsRetriable(kerr.ErrorForCode(code)) {
			r.t.Errorf("%s: code %d, want COORDINATOR_NOT_AVAILABLE", api, code)
		}
	}
	if code := r.createCode("mine"); code != kerr.PolicyViolation.Code {
		r.t.Errorf("create a topic: code %d, want POLICY_VIOLATION", code)
	}
	if code := r.deleteCode("orders"); code != kerr.PolicyViolation.Code {
		r.t.Errorf("delete a topic: code %d, want POLICY_VIOLATION", code)
	}
}

// objects is how many segments are in the bucket.
func (r *rig) objects() int {
	r.t.Helper()
	infos, err := r.Bucket.List(r.t.Context(), "data/", "", 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	return len(infos)
}

// servesReads holds the other half: fetches, offsets by every kind of question, metadata.
func (r *rig) servesReads(id base.TopicID) {
	r.t.Helper()
	if code, end, n := r.fetch("orders", id, 0); code != 0 || end != 3 || n == 0 {
		r.t.Errorf("fetch: code %d, end %d, %d bytes", code, end, n)
	}
	for timestamp, want := range map[int64]int64{-1: 3, -2: 0, 1_700_000_000_000: 0, 1_700_000_000_001: -1} {
		if code, offset := r.offset("orders", timestamp); code != 0 || offset != want {
			r.t.Errorf("offset for %d: code %d, offset %d, want %d", timestamp, code, offset, want)
		}
	}
	if code, end := r.epochEnd("orders", 1); code != 0 || end != 3 {
		r.t.Errorf("end of the epoch: code %d, %d", code, end)
	}
	if code := r.metadata("orders"); code != 0 {
		r.t.Errorf("metadata: code %d", code)
	}
}

// A standby serves reads and answers writes as DESIGN section 7 says. After the flip the same agent takes them, and the group
// finds its offset.
func TestStandbyAnswers(t *testing.T) {
	a, b, id, link := pairOf(t)
	if code := a.commitOffset("orders", id, 2); code != 0 {
		t.Fatalf("commit at the source: code %d", code)
	}
	b.Shadowed(a.Region)
	b.servesReads(id)
	b.refusesWrites(id, b.groupCodes("orders", id))

	if _, err := link.Failover(t.Context(), shadow.Options{}); err != nil {
		t.Fatal(err)
	}
	b.CaughtUp()
	if code, offset := b.committed(); code != 0 || offset != 2 {
		t.Errorf("the group's offset after the flip: code %d, offset %d", code, offset)
	}
	if code, offset := b.produce("orders", id, 1); code != 0 || offset != 3 {
		t.Errorf("produce after the flip: code %d, offset %d", code, offset)
	}
	if code := b.commitOffset("orders", id, 4); code != 0 {
		t.Errorf("commit of an offset after the flip: code %d", code)
	}
	// The fenced source answers as a standby does.
	a.Until("the source knows that it is fenced", func() bool { return a.Coord.Leading() && a.Coord.Role() == coordinator.Fenced })
	a.servesReads(id)
	a.refusesWrites(id, a.groupCodes("orders", id))
}

// A fence that is written under a running region ends its writes at once: none is acked behind it, not even by a leader that
// has not found out yet; reads go on.
func TestNoAckBehindAFence(t *testing.T) {
	r := newRig(t, memregion.Options{})
	id := r.CreateTopic(r.cl, "orders", 1)
	r.acked("orders", id, 3)
	r.CaughtUp()
	fence := &metalogpb.Fence{Epoch: 10, Role: coordinator.RoleFenced, By: "b", TimeMs: 1}
	if err := r.Server.Open(nil).WriteFence(t.Context(), fence); err != nil {
		t.Fatal(err)
	}
	for range 20 { // the first are asked before the leader has found out
		if code, _ := r.produce("orders", id, 1); code == 0 || !kerr.IsRetriable(kerr.ErrorForCode(code)) {
			t.Fatalf("produce behind the fence: code %d", code)
		}
	}
	r.servesReads(id)
}
