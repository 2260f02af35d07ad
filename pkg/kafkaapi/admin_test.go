package kafkaapi

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Pages of DescribeTopicPartitions come in order, without a gap, and end with a cursor for as long as there is more (KIP-966).
func TestDescribeTopicPartitions(t *testing.T) {
	h := start(t, nil)
	ids := map[string][16]byte{}
	for _, name := range []string{"c", "a", "b"} {
		ids[name] = h.add(name, 3, nil).ID
	}
	w := h.dial()
	var got []string
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = 4
	pages := 0
	for pages < 10 {
		pages++
		resp := ask[*kmsg.DescribeTopicPartitionsResponse](w, req, 0)
		for _, topic := range resp.Topics {
			if topic.ErrorCode != 0 || topic.TopicID != ids[*topic.Topic] {
				t.Errorf("%+v", topic)
			}
			for _, p := range topic.Partitions {
				if p.LeaderID != 1 || p.LeaderEpoch != 1 || len(p.Replicas) != 1 || len(p.ISR) != 1 || p.EligibleLeaderReplicas == nil || p.LastKnownELR == nil {
					t.Errorf("%+v", p)
				}
				got = append(got, fmt.Sprint(*topic.Topic, p.Partition))
			}
		}
		if resp.NextCursor == nil {
			break
		}
		req.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: resp.NextCursor.Topic, Partition: resp.NextCursor.Partition}
	}
	if want := "[a0 a1 a2 b0 b1 b2 c0 c1 c2]"; fmt.Sprint(got) != want || pages != 3 {
		t.Errorf("%v in %d pages, want %s in 3", got, pages, want)
	}

	// Named topics: each answered, those that are not there and those that cannot be by their codes.
	req = kmsg.NewPtrDescribeTopicPartitionsRequest()
	for _, name := range []string{"nope", "b", "/", "b"} {
		req.Topics = append(req.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: name})
	}
	resp := ask[*kmsg.DescribeTopicPartitionsResponse](w, req, 0)
	codes := map[string]int16{}
	for _, topic := range resp.Topics {
		codes[*topic.Topic] = topic.ErrorCode
	}
	if len(resp.Topics) != 3 || codes["b"] != 0 || codes["nope"] != kerr.UnknownTopicOrPartition.Code || codes["/"] != kerr.InvalidTopicException.Code {
		t.Errorf("%v", codes)
	}
	if h.creations() != 0 {
		t.Error("asking created a topic")
	}
}

// DescribeLogDirs gives the sizes of what is stored, of all partitions or of those that are named.
func TestDescribeLogDirs(t *testing.T) {
	h := start(t, nil)
	topic := h.add("t", 2, nil)
	h.add("empty", 1, nil)
	h.put(topic, 1, 200, 300)
	w := h.dial()
	for version := int16(1); version <= 4; version++ {
		resp := ask[*kmsg.DescribeLogDirsResponse](w, kmsg.NewPtrDescribeLogDirsRequest(), version)
		if len(resp.Dirs) != 1 || len(resp.Dirs[0].Topics) != 2 || resp.ErrorCode != 0 {
			t.Fatalf("version %d: %+v", version, resp)
		}
		if p := resp.Dirs[0].Topics[1].Partitions; len(p) != 2 || p[0].Size != 0 || p[1].Size != 500 {
			t.Errorf("version %d: %+v", version, p)
		}
		if version >= 4 && (resp.Dirs[0].TotalBytes != -1 || resp.Dirs[0].UsableBytes != -1) {
			t.Errorf("version %d: %+v", version, resp.Dirs[0])
		}
	}
	req := kmsg.NewPtrDescribeLogDirsRequest()
	req.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: "t", Partitions: []int32{1, 7}}, {Topic: "nope", Partitions: []int32{0}}}
	dirs := ask[*kmsg.DescribeLogDirsResponse](w, req, 4).Dirs
	if len(dirs) != 1 || len(dirs[0].Topics) != 1 || len(dirs[0].Topics[0].Partitions) != 1 || dirs[0].Topics[0].Partitions[0].Size != 500 {
		t.Errorf("%+v", dirs)
	}
}

// There is nothing to elect and nothing to move, and tools are told so in Kafka's codes.
func TestNothingToElectOrMove(t *testing.T) {
	h := start(t, nil)
	h.add("t", 2, nil)
	w := h.dial()
	for version := range int16(3) {
		req := kmsg.NewPtrElectLeadersRequest()
		req.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: "t", Partitions: []int32{0, 9}}, {Topic: "nope", Partitions: []int32{0}}}
		got := ask[*kmsg.ElectLeadersResponse](w, req, version)
		if len(got.Topics) != 2 || got.ErrorCode != 0 ||
			got.Topics[0].Partitions[0].ErrorCode != kerr.ElectionNotNeeded.Code ||
			got.Topics[0].Partitions[1].ErrorCode != kerr.UnknownTopicOrPartition.Code ||
			got.Topics[1].Partitions[0].ErrorCode != kerr.UnknownTopicOrPartition.Code {
			t.Errorf("version %d: %+v", version, got)
		}
		all := kmsg.NewPtrElectLeadersRequest()
		if got := ask[*kmsg.ElectLeadersResponse](w, all, version); len(got.Topics) != 0 || got.ErrorCode != 0 {
			t.Errorf("version %d, all: %+v", version, got)
		}
	}
	if got := ask[*kmsg.ListPartitionReassignmentsResponse](w, kmsg.NewPtrListPartitionReassignmentsRequest(), 0); got.ErrorCode != 0 || len(got.Topics) != 0 {
		t.Errorf("%+v", got)
	}
	for version := range int16(2) {
		req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		req.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: "t", Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{
			{Partition: 0, Replicas: []int32{1}}, {Partition: 1}, {Partition: 2, Replicas: []int32{1}},
		}}}
		p := ask[*kmsg.AlterPartitionAssignmentsResponse](w, req, version).Topics[0].Partitions
		if p[0].ErrorCode != kerr.InvalidReplicaAssignment.Code || p[1].ErrorCode != kerr.NoReassignmentInProgress.Code ||
			p[2].ErrorCode != kerr.UnknownTopicOrPartition.Code || p[0].ErrorMessage == nil {
			t.Errorf("version %d: %+v", version, p)
		}
	}
}

func TestListConfigResources(t *testing.T) {
	h := start(t, nil)
	h.add("t", 1, nil)
	w := h.dial()
	list := func(version int16, types ...int8) (out []string, code int16) {
		req := kmsg.NewPtrListConfigResourcesRequest()
		req.ResourceTypes = types
		resp := ask[*kmsg.ListConfigResourcesResponse](w, req, version)
		for _, r := range resp.ConfigResources {
			out = append(out, fmt.Sprint(r.Type, " ", r.Name))
		}
		return out, resp.ErrorCode
	}
	for _, c := range []struct {
		version int16
		types   []int8
		want    string
		code    int16
	}{
		{0, nil, "[]", 0},
		{1, nil, "[2 t 4 1]", 0},
		{1, []int8{2}, "[2 t]", 0},
		{1, []int8{4, 8, 16, 32}, "[4 1]", 0},
		{1, []int8{2, 3}, "[]", kerr.UnsupportedVersion.Code},
	} {
		if got, code := list(c.version, c.types...); fmt.Sprint(got) != c.want || code != c.code {
			t.Errorf("version %d, types %v: %v, code %d; want %s, %d", c.version, c.types, got, code, c.want, c.code)
		}
	}
}
