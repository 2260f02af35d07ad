package coordinator

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// reads makes a stable group of one member.
func (m *member) reads(group, protocolType string, metadata []byte) (memberID string) {
	m.t.Helper()
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.ProtocolType, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 3, group, protocolType, 10_000, 10_000
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "p", Metadata: metadata}}
	joined := ask[*kmsg.JoinGroupResponse](m, req)
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.MemberID, sync.Generation = 3, group, joined.MemberID, joined.Generation
	if code := ask[*kmsg.SyncGroupResponse](m, sync).ErrorCode; joined.ErrorCode != 0 || code != 0 {
		m.t.Fatalf("join %d, sync %d", joined.ErrorCode, code)
	}
	return joined.MemberID
}

func (m *member) leaves(group, memberID string) {
	m.t.Helper()
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version, req.Group, req.MemberID = 2, group, memberID
	if code := ask[*kmsg.LeaveGroupResponse](m, req).ErrorCode; code != 0 {
		m.t.Fatal(code)
	}
}

func subscribed(topics ...string) []byte {
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Version, meta.Topics = 1, topics
	return meta.AppendTo(nil)
}

// commits an offset for partition 0 of each topic, as a simple consumer would.
func (m *member) commits(group string, generation int32, memberID string, topics ...string) {
	m.t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.Generation, req.MemberID = 7, group, generation, memberID
	for _, name := range topics {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Offset, p.LeaderEpoch = 7, -1
		req.Topics = append(req.Topics, kmsg.OffsetCommitRequestTopic{Topic: name, Partitions: []kmsg.OffsetCommitRequestTopicPartition{p}})
	}
	for _, topic := range ask[*kmsg.OffsetCommitResponse](m, req).Topics {
		if code := topic.Partitions[0].ErrorCode; code != 0 {
			m.t.Fatal(kerr.ErrorForCode(code))
		}
	}
}

// committed are the offsets of partition 0 of topics, -1 for none.
func (m *member) committed(group string, topics ...string) (out []int64) {
	m.t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group = 7, group
	for _, name := range topics {
		req.Topics = append(req.Topics, kmsg.OffsetFetchRequestTopic{Topic: name, Partitions: []int32{0}})
	}
	for _, topic := range ask[*kmsg.OffsetFetchResponse](m, req).Topics {
		out = append(out, topic.Partitions[0].Offset)
	}
	return out
}

// OffsetDelete (KIP-496): what a member of a consumer group reads is kept, all else goes; the next leader knows it.
func TestOffsetDelete(t *testing.T) {
	c := newCluster(t)
	m := c.lead("one")
	for _, name := range []string{"x", "y"} {
		if err := m.emit(created(name)); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(m *member, group string, topics ...string) (code int16, codes []int16) {
		t.Helper()
		req := kmsg.NewPtrOffsetDeleteRequest()
		req.Group = group
		for _, name := range topics {
			req.Topics = append(req.Topics, kmsg.OffsetDeleteRequestTopic{Topic: name, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}})
		}
		resp := ask[*kmsg.OffsetDeleteResponse](m, req)
		for _, topic := range resp.Topics {
			codes = append(codes, topic.Partitions[0].ErrorCode)
		}
		return resp.ErrorCode, codes
	}
	inUse, unknown := kerr.GroupSubscribedToTopic.Code, kerr.UnknownTopicOrPartition.Code

	id := m.reads("consumers", "consumer", subscribed("x"))
	m.commits("consumers", 1, id, "x", "y")
	m.commits("simple", -1, "", "x", "y")
	m.reads("connect", "connect", []byte("of its own"))
	m.commits("strange", 1, m.reads("strange", "consumer", []byte("no subscription")), "y")
	for _, c := range []struct {
		group  string
		topics []string
		code   int16
		codes  []int16
		left   []int64
	}{
		{"", []string{"x"}, kerr.InvalidGroupID.Code, nil, []int64{-1, -1}},
		{"nobody", []string{"x"}, kerr.GroupIDNotFound.Code, nil, []int64{-1, -1}},
		{"connect", []string{"x"}, kerr.NonEmptyGroup.Code, nil, []int64{-1, -1}},
		{"strange", []string{"y"}, 0, []int16{inUse}, []int64{-1, 7}},
		{"consumers", []string{"x", "y", "z"}, 0, []int16{inUse, 0, unknown}, []int64{7, -1}},
		{"consumers", []string{"y"}, 0, []int16{0}, []int64{7, -1}},
		{"simple", []string{"x"}, 0, []int16{0}, []int64{-1, 7}},
	} {
		code, codes := remove(m, c.group, c.topics...)
		if code != c.code || fmt.Sprint(codes) != fmt.Sprint(c.codes) {
			t.Errorf("%s %v: %d %v, want %d %v", c.group, c.topics, code, codes, c.code, c.codes)
		}
		if left := m.committed(c.group, "x", "y"); fmt.Sprint(left) != fmt.Sprint(c.left) {
			t.Errorf("%s %v: offsets %v are left, want %v", c.group, c.topics, left, c.left)
		}
	}
	m.leaves("consumers", id)
	m.end()
	next := c.lead("two")
	if left := next.committed("consumers", "x", "y"); left[0] != 7 || left[1] != -1 {
		t.Errorf("the next leader has %v", left)
	}
	if code, codes := remove(next, "consumers", "x"); code != 0 || codes[0] != 0 {
		t.Errorf("without members: %d %v", code, codes)
	}
}

// DeleteGroups: groups without members go with their offsets, and are not known afterwards, here and to the next leader.
func TestDeleteGroups(t *testing.T) {
	c := newCluster(t)
	m := c.lead("one")
	if err := m.emit(created("x")); err != nil {
		t.Fatal(err)
	}
	remove := func(m *member, groups ...string) (codes []int16) {
		req := kmsg.NewPtrDeleteGroupsRequest()
		req.Groups = groups
		for _, g := range ask[*kmsg.DeleteGroupsResponse](m, req).Groups {
			codes = append(codes, g.ErrorCode)
		}
		return codes
	}
	id := m.reads("left", "consumer", subscribed("x"))
	m.commits("left", 1, id, "x")
	m.leaves("left", id)
	m.reads("busy", "consumer", subscribed("x"))
	m.commits("simple", -1, "", "x")
	m.commits("kept", -1, "", "x")
	want := []int16{0, 0, kerr.NonEmptyGroup.Code, kerr.GroupIDNotFound.Code, kerr.GroupIDNotFound.Code, kerr.GroupIDNotFound.Code}
	if codes := remove(m, "left", "simple", "busy", "nobody", "", "left"); fmt.Sprint(codes) != fmt.Sprint(want) {
		t.Errorf("codes %v, want %v", codes, want)
	}
	check := func(m *member) {
		t.Helper()
		for group, want := range map[string]int64{"left": -1, "simple": -1, "kept": 7} {
			if got := m.committed(group, "x"); got[0] != want {
				t.Errorf("%s has %v, want %d", group, got, want)
			}
		}
		var names []string
		for _, g := range ask[*kmsg.ListGroupsResponse](m, kmsg.NewPtrListGroupsRequest()).Groups {
			names = append(names, g.Group)
		}
		if fmt.Sprint(names) != "[busy kept]" {
			t.Errorf("groups %v", names)
		}
	}
	check(m)
	m.end()
	check(c.lead("two"))
}
