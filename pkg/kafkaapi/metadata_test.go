package kafkaapi

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
)

func metadataRequest(allow bool, topics ...string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = allow
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, name := range topics {
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: kmsg.StringPtr(name)})
	}
	return req
}

func TestMetadataEveryVersion(t *testing.T) {
	h := start(t, nil)
	a := h.add("a", 2, nil)
	h.add("b", 1, nil)
	w := h.dial()
	for version := range int16(14) {
		named := ask[*kmsg.MetadataResponse](w, metadataRequest(false, "a"), version)
		if len(named.Topics) != 1 || *named.Topics[0].Topic != "a" || len(named.Topics[0].Partitions) != 2 || named.Topics[0].ErrorCode != 0 {
			t.Fatalf("version %d: %+v", version, named)
		}
		p := named.Topics[0].Partitions[1]
		if p.Partition != 1 || p.Leader != 1 || !slices.Equal(p.Replicas, []int32{1}) || !slices.Equal(p.ISR, []int32{1}) || version >= 7 && p.LeaderEpoch != 1 {
			t.Errorf("version %d: %+v", version, p)
		}
		if version >= 10 && named.Topics[0].TopicID != a.ID || version >= 2 && *named.ClusterID != "memory" || version >= 1 && named.ControllerID != 1 {
			t.Errorf("version %d: %+v", version, named)
		}
		all := kmsg.NewPtrMetadataRequest()
		if version == 0 {
			all.Topics = []kmsg.MetadataRequestTopic{}
		}
		if resp := ask[*kmsg.MetadataResponse](w, all, version); len(resp.Topics) != 2 || len(resp.Brokers) != 1 {
			t.Errorf("version %d, all topics: %+v", version, resp)
		}
		if version > 0 {
			if resp := ask[*kmsg.MetadataResponse](w, metadataRequest(true), version); len(resp.Topics) != 0 {
				t.Errorf("version %d, no topics: %+v", version, resp)
			}
		}
	}
	ids := metadataRequest(false)
	ids.Topics = []kmsg.MetadataRequestTopic{{TopicID: a.ID}, {TopicID: base.TopicID{9}}}
	resp := ask[*kmsg.MetadataResponse](w, ids, 12)
	java := metadataRequest(false)
	java.Topics = []kmsg.MetadataRequestTopic{{TopicID: a.ID, Topic: kmsg.StringPtr("")}}
	if resp := ask[*kmsg.MetadataResponse](w, java, 13); *resp.Topics[0].Topic != "a" || resp.Topics[0].ErrorCode != 0 {
		t.Errorf("by id and an empty name: %+v", resp.Topics)
	}
	if *resp.Topics[0].Topic != "a" || resp.Topics[1].ErrorCode != kerr.UnknownTopicID.Code || resp.Topics[1].Topic != nil {
		t.Errorf("by id: %+v", resp.Topics)
	}
	if resp := ask[*kmsg.MetadataResponse](w, ids, 10); resp.Topics[0].ErrorCode != kerr.InvalidRequest.Code {
		t.Errorf("by id in version 10: %+v", resp.Topics)
	}
}

// Versions below 4 imply the permission to create; a request that says no never creates; nor does a bad name.
func TestMetadataCreation(t *testing.T) {
	h := start(t, nil)
	w := h.dial()
	code := func(version int16, allow bool, name string) int16 {
		resp := ask[*kmsg.MetadataResponse](w, metadataRequest(allow, name, name), version)
		if len(resp.Topics) != 1 {
			t.Fatalf("a name that is asked for twice has %d answers, want 1 as in Kafka", len(resp.Topics))
		}
		return resp.Topics[0].ErrorCode
	}
	if c := code(4, false, "no"); c != kerr.UnknownTopicOrPartition.Code || h.creations() != 0 {
		t.Errorf("forbidden: code %d, %d created", c, h.creations())
	}
	if c := code(12, true, "bad name"); c != kerr.InvalidTopicException.Code || h.creations() != 0 {
		t.Errorf("bad name: code %d, %d created", c, h.creations())
	}
	if c := code(3, false, "old"); c != 0 || h.creations() != 1 {
		t.Errorf("old client: code %d, %d created", c, h.creations())
	}
	if c := code(12, true, "new"); c != 0 || h.creations() != 2 {
		t.Errorf("allowed: code %d, %d created", c, h.creations())
	}
	h.locked(func() { h.forward = base.ErrUnavailable })
	if c := code(12, true, "later"); c != kerr.LeaderNotAvailable.Code {
		t.Errorf("no controller: code %d", c)
	}
	h.locked(func() { h.forward = base.ErrReadOnly })
	if c := code(12, true, "later"); c != kerr.UnknownTopicOrPartition.Code {
		t.Errorf("standby: code %d", c)
	}
	h.locked(func() { h.forward, h.refresh = nil, base.ErrUnavailable })
	if c := code(12, true, "later"); c != kerr.LeaderNotAvailable.Code || h.creations() != 2 {
		t.Errorf("no view: code %d, %d created", c, h.creations())
	}
	off := start(t, func(c *Config) { c.AutoCreateTopics = false })
	if c := ask[*kmsg.MetadataResponse](off.dial(), metadataRequest(true, "x"), 12).Topics[0].ErrorCode; c != kerr.UnknownTopicOrPartition.Code || off.creations() != 0 {
		t.Errorf("switched off: code %d, %d created", c, off.creations())
	}
}

func TestDescribeCluster(t *testing.T) {
	w := start(t, nil).dial()
	for version := range int16(3) {
		resp := ask[*kmsg.DescribeClusterResponse](w, kmsg.NewPtrDescribeClusterRequest(), version)
		if resp.ErrorCode != 0 || resp.ClusterID != "memory" || len(resp.Brokers) != 1 || *resp.Brokers[0].Rack != "a" {
			t.Errorf("version %d: %+v", version, resp)
		}
	}
	for endpoint, want := range map[int8]*kerr.Error{2: kerr.MismatchedEndpointType, 9: kerr.UnsupportedEndpointType} {
		req := kmsg.NewPtrDescribeClusterRequest()
		req.EndpointType = endpoint
		if resp := ask[*kmsg.DescribeClusterResponse](w, req, 1); resp.ErrorCode != want.Code {
			t.Errorf("endpoint type %d: %+v", endpoint, resp)
		}
	}
}

func TestFindCoordinator(t *testing.T) {
	h := start(t, nil)
	w := h.dial()
	for version := range int16(7) {
		for kind, want := range map[int8]int16{0: 0, 1: 0, 2: kerr.InvalidRequest.Code, -1: kerr.InvalidRequest.Code} {
			if version == 0 && kind != 0 {
				continue // the field is not there yet
			}
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorKey, req.CoordinatorKeys, req.CoordinatorType = "g", []string{"g", "h"}, kind
			resp := ask[*kmsg.FindCoordinatorResponse](w, req, version)
			code, node, port, n := resp.ErrorCode, resp.NodeID, resp.Port, 1
			if version >= 4 {
				c := resp.Coordinators[1]
				code, node, port, n = c.ErrorCode, c.NodeID, c.Port, len(resp.Coordinators)-1
				if c.Key != "h" {
					t.Errorf("key %q", c.Key)
				}
			}
			if code != want || n != 1 || want == 0 && (node != 1 || port != h.self.Port) {
				t.Errorf("version %d, type %d: %+v", version, kind, resp)
			}
		}
	}
}
