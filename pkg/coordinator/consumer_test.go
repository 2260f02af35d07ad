package coordinator

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// consumer is a member of group g as a client is one: it asks whoever leads, again and again until it is answered, and follows
// the codes.
type consumer struct {
	t          testing.TB
	members    []*member
	group      string
	instance   *string
	id         string
	generation int32
	assignment string
}

// call asks the leader. A change of the leader is tried again, as clients do.
func (x *consumer) call(req kmsg.Request) (kmsg.Response, error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		for _, m := range x.members {
			ctx, cancel := context.WithTimeout(x.t.Context(), patience)
			resp, err := m.Forward(ctx, Client{ID: "c", Host: "h"}, req)
			cancel()
			if err == nil {
				return resp, nil
			}
			if !retriable(err) || time.Now().After(deadline) {
				return nil, err
			}
		}
	}
}

// joins goes through rebalances until it has an assignment of a generation; the leader gives each member its own id.
func (x *consumer) joins() error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Version, req.Group, req.MemberID, req.InstanceID, req.ProtocolType = 9, x.group, x.id, x.instance, "consumer"
		req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 60_000
		req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: subscribed("x")}}
		resp, err := x.call(req)
		if err != nil {
			return err
		}
		j := resp.(*kmsg.JoinGroupResponse)
		switch j.ErrorCode {
		case kerr.MemberIDRequired.Code:
			x.id = j.MemberID
			continue
		case kerr.UnknownMemberID.Code:
			x.id = ""
			continue
		case kerr.NotCoordinator.Code, kerr.RebalanceInProgress.Code:
			continue
		case 0:
		default:
			return fmt.Errorf("join: %w", kerr.ErrorForCode(j.ErrorCode))
		}
		x.id, x.generation = j.MemberID, j.Generation
		code, err := x.syncs(j)
		if err != nil || code == 0 {
			return err
		}
	}
	return errors.New("a member never gets an assignment")
}

func (x *consumer) syncs(j *kmsg.JoinGroupResponse) (int16, error) {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID, req.Generation = 5, x.group, x.id, x.instance, x.generation
	if j.LeaderID == x.id && !j.SkipAssignment {
		for _, m := range j.Members {
			req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: m.MemberID, MemberAssignment: []byte("for " + m.MemberID)})
		}
	}
	resp, err := x.call(req)
	if err != nil {
		return 0, err
	}
	s := resp.(*kmsg.SyncGroupResponse)
	x.assignment = string(s.MemberAssignment)
	return s.ErrorCode, nil
}

func (x *consumer) heartbeats() int16 {
	x.t.Helper()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID, req.Generation = 4, x.group, x.id, x.instance, x.generation
	resp, err := x.call(req)
	if err != nil {
		x.t.Fatal(err)
	}
	return resp.(*kmsg.HeartbeatResponse).ErrorCode
}

// commit commits an offset of partition 0 of topic x.
func (x *consumer) commit(offset int64) int16 {
	x.t.Helper()
	resp, err := x.call(commitOf(x.group, x.id, x.generation, 9, offset))
	if err != nil {
		x.t.Fatal(err)
	}
	return resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
}

func commitOf(group, id string, generation int32, version int16, offset int64) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.Generation = version, group, id, generation
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset, p.LeaderEpoch, p.Metadata = offset, 5, kmsg.StringPtr("note")
	req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "x", Partitions: []kmsg.OffsetCommitRequestTopicPartition{p}}}
	return req
}

// consumers makes a stable group of n members, at whoever leads.
func consumers(t *testing.T, group string, n int, members ...*member) []*consumer {
	t.Helper()
	var all []*consumer
	ended := make(chan error, n)
	for i := range n {
		x := &consumer{t: t, members: members, group: group}
		if i%2 == 1 {
			x.instance = kmsg.StringPtr(fmt.Sprint("i", i))
		}
		all = append(all, x)
		go func() { ended <- x.settles() }()
	}
	for range n {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// settles joins, and joins again until heartbeats say that the group has been stable for a while.
func (x *consumer) settles() error {
	for {
		if err := x.joins(); err != nil {
			return err
		}
		quiet := 0
		for ; quiet < 20 && x.heartbeats() == 0; quiet++ {
			time.Sleep(5 * time.Millisecond)
		}
		if quiet == 20 {
			return nil
		}
	}
}

// withTopic is a cluster with topic x and a leader.
func withTopic(t *testing.T) (*cluster, *member) {
	t.Helper()
	c := newCluster(t)
	m := c.lead("one")
	if err := m.emit(created("x")); err != nil {
		t.Fatal(err)
	}
	return c, m
}

// mirror makes m's region shadow another cluster: its log, entry by entry, is the image's.
func (m *member) mirror(src *cluster, from base.Seq) base.Seq {
	m.t.Helper()
	entries, err := src.server.Open(nil).Read(m.t.Context(), from, 1<<20)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, raw := range entries {
		if err := m.emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkApplied{LinkApplied: &metalogpb.LinkApplied{Link: "l", Entry: raw.Value}}}); err != nil {
			m.t.Fatal(err)
		}
		from = raw.Seq + 1
	}
	return from
}
