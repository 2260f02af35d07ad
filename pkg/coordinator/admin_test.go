package coordinator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

func ask[R kmsg.Response](m *member, req kmsg.Request) R {
	m.t.Helper()
	resp, err := m.forward(req)
	if err != nil {
		m.t.Fatal(err)
	}
	return resp.(R)
}

// show looks at a topic in the confirmed state.
func (m *member) show(topic string, look func(*state.Topic)) {
	m.t.Helper()
	m.endOf(topic) // catches up
	m.Replica().With(func(st *state.State) { look(st.TopicByName(topic)) })
}

func TestCreatePartitions(t *testing.T) {
	m := newCluster(t).lead("one")
	if err := m.emit(created("x")); err != nil {
		t.Fatal(err)
	}
	grow := func(count int32, validateOnly bool, assigned int, names ...string) []kmsg.CreatePartitionsResponseTopic {
		req := kmsg.NewPtrCreatePartitionsRequest()
		req.ValidateOnly = validateOnly
		for _, name := range names {
			topic := kmsg.NewCreatePartitionsRequestTopic()
			topic.Topic, topic.Count = name, count
			for range assigned {
				topic.Assignment = append(topic.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: []int32{1}})
			}
			req.Topics = append(req.Topics, topic)
		}
		return ask[*kmsg.CreatePartitionsResponse](m, req).Topics
	}
	for _, c := range []struct {
		count    int32
		validate bool
		assigned int
		names    []string
		want     int16
		have     int32
	}{
		{1, false, 0, []string{"x"}, kerr.InvalidPartitions.Code, 1},
		{0, false, 0, []string{"x"}, kerr.InvalidPartitions.Code, 1},
		{-7, false, 0, []string{"x"}, kerr.InvalidPartitions.Code, 1},
		{PartitionsPerTopicDefault + 1, false, 0, []string{"x"}, kerr.InvalidPartitions.Code, 1},
		{4, false, 2, []string{"x"}, kerr.InvalidReplicaAssignment.Code, 1},
		{4, false, 0, []string{"x", "x"}, kerr.InvalidRequest.Code, 1},
		{4, false, 0, []string{"nope"}, kerr.UnknownTopicOrPartition.Code, 1},
		{4, true, 0, []string{"x"}, 0, 1},
		{4, false, 3, []string{"x"}, 0, 4},
		{4, false, 0, []string{"x"}, kerr.InvalidPartitions.Code, 4},
		{5, false, 0, []string{"x"}, 0, 5},
	} {
		for _, got := range grow(c.count, c.validate, c.assigned, c.names...) {
			if got.ErrorCode != c.want || (got.ErrorMessage == nil) != (c.want == 0) {
				t.Errorf("%+v: %v", c, kerr.ErrorForCode(got.ErrorCode))
			}
		}
		m.show("x", func(x *state.Topic) {
			if x.Partitions() != c.have {
				t.Errorf("%+v: %d partitions", c, x.Partitions())
			}
		})
	}
}

func TestDeleteRecords(t *testing.T) {
	m := newCluster(t).lead("one")
	if err := m.emit(created("x")); err != nil {
		t.Fatal(err)
	}
	session, err := m.OpenSession(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(3) { // three spans of three records
		if _, err := m.commit(request(session, n+1, "x")); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		topic     string
		partition int32
		offset    int64
		want      int16
		low       int64
		spans     int
	}{
		{"nope", 0, 1, kerr.UnknownTopicOrPartition.Code, -1, 3},
		{"x", 1, 1, kerr.UnknownTopicOrPartition.Code, -1, 3},
		{"x", -1, 1, kerr.UnknownTopicOrPartition.Code, -1, 3},
		{"x", 0, 10, kerr.OffsetOutOfRange.Code, -1, 3},
		{"x", 0, -2, kerr.OffsetOutOfRange.Code, -1, 3},
		{"x", 0, 0, 0, 0, 3},
		{"x", 0, 4, 0, 4, 2}, // within the second span, which stays
		{"x", 0, 3, 0, 4, 2},
		{"x", 0, 6, 0, 6, 1},
		{"x", 0, -1, 0, 9, 0},
		{"x", 0, -1, 0, 9, 0},
	} {
		req := kmsg.NewPtrDeleteRecordsRequest()
		part := kmsg.DeleteRecordsRequestTopicPartition{Partition: c.partition, Offset: c.offset}
		req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: c.topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{part}}}
		got := ask[*kmsg.DeleteRecordsResponse](m, req).Topics[0].Partitions[0]
		if got.ErrorCode != c.want || got.LowWatermark != c.low {
			t.Errorf("%+v: %+v", c, got)
		}
		m.show("x", func(x *state.Topic) {
			p := x.Partition(0)
			if len(p.Spans) != c.spans || c.low >= 0 && p.LogStart != base.Offset(c.low) || p.End != 9 {
				t.Errorf("%+v: %+v", c, p)
			}
		})
	}
	if _, err := m.commit(request(session, 4, "x")); err != nil {
		t.Fatal(err)
	}
	if end := m.endOf("x"); end != 12 {
		t.Errorf("an emptied partition goes on at %d, want 12", end)
	}
}

// op is one change of IncrementalAlterConfigs; value "null" is null.
type op struct {
	name  string
	op    kmsg.IncrementalAlterConfigOp
	value string
}

func nullable(v string) *string {
	if v == "null" {
		return nil
	}
	return &v
}

func (m *member) alter(kind kmsg.ConfigResourceType, name string, validateOnly bool, ops ...op) kmsg.IncrementalAlterConfigsResponseResource {
	m.t.Helper()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kind, name
	for _, o := range ops {
		r.Configs = append(r.Configs, kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: o.name, Op: o.op, Value: nullable(o.value)})
	}
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.ValidateOnly = validateOnly
	req.Resources = append(req.Resources, r)
	return ask[*kmsg.IncrementalAlterConfigsResponse](m, req).Resources[0]
}

const (
	opSet      = kmsg.IncrementalAlterConfigOpSet
	opDelete   = kmsg.IncrementalAlterConfigOpDelete
	opAppend   = kmsg.IncrementalAlterConfigOpAppend
	opSubtract = kmsg.IncrementalAlterConfigOpSubtract
)

// IncrementalAlterConfigs (KIP-339): each operation, and every reason to refuse one; a refused resource is as it was.
func TestIncrementalAlterConfigs(t *testing.T) {
	m := newCluster(t).lead("one")
	if err := m.emit(created("x")); err != nil {
		t.Fatal(err)
	}
	topic, replicas := kmsg.ConfigResourceTypeTopic, "follower.replication.throttled.replicas"
	for _, c := range []struct {
		what string
		kind kmsg.ConfigResourceType
		name string
		ops  []op
		want int16
		have string
	}{
		{"set", topic, "x", []op{{"retention.ms", opSet, "1000"}, {"segment.ms", opSet, "5"}}, 0, "retention.ms=1000 segment.ms=5"},
		{"set again", topic, "x", []op{{"retention.ms", opSet, "2000"}}, 0, "retention.ms=2000 segment.ms=5"},
		{"delete", topic, "x", []op{{"segment.ms", opDelete, "null"}}, 0, "retention.ms=2000"},
		{"delete what is not set", topic, "x", []op{{"segment.ms", opDelete, "null"}}, 0, "retention.ms=2000"},
		{"append", topic, "x", []op{{replicas, opAppend, "0:1,1:1"}}, 0, "follower.replication.throttled.replicas=0:1,1:1 retention.ms=2000"},
		{"append again", topic, "x", []op{{replicas, opAppend, "1:1,2:1"}}, 0, "follower.replication.throttled.replicas=0:1,1:1,2:1 retention.ms=2000"},
		{"subtract", topic, "x", []op{{replicas, opSubtract, "0:1,9:9"}}, 0, "follower.replication.throttled.replicas=1:1,2:1 retention.ms=2000"},
		{"subtract from a default", topic, "x", []op{{"cleanup.policy", opSubtract, "compact"}, {replicas, opDelete, "null"}}, 0, "cleanup.policy=delete retention.ms=2000"},
		{"append what cannot be", topic, "x", []op{{"cleanup.policy", opAppend, "compact"}}, kerr.InvalidConfig.Code, "cleanup.policy=delete retention.ms=2000"},
		{"append to what is no list", topic, "x", []op{{"retention.ms", opAppend, "1"}}, kerr.InvalidConfig.Code, "cleanup.policy=delete retention.ms=2000"},
		{"a bad value beside a good one", topic, "x", []op{{"segment.ms", opSet, "7"}, {"retention.ms", opSet, "soon"}}, kerr.InvalidConfig.Code, "cleanup.policy=delete retention.ms=2000"},
		{"a name that is not known", topic, "x", []op{{"retention.sm", opSet, "7"}}, kerr.InvalidConfig.Code, "cleanup.policy=delete retention.ms=2000"},
		{"too long", topic, "x", []op{{replicas, opSet, strings.Repeat("x", ConfigValueBytesMax+1)}}, kerr.InvalidConfig.Code, "cleanup.policy=delete retention.ms=2000"},
		{"no UTF-8", topic, "x", []op{{replicas, opSet, "\xff"}}, kerr.InvalidConfig.Code, "cleanup.policy=delete retention.ms=2000"},
		{"null", topic, "x", []op{{"retention.ms", opSet, "null"}}, kerr.InvalidRequest.Code, "cleanup.policy=delete retention.ms=2000"},
		{"twice", topic, "x", []op{{"segment.ms", opSet, "7"}, {"segment.ms", opDelete, "7"}}, kerr.InvalidRequest.Code, "cleanup.policy=delete retention.ms=2000"},
		{"an operation that is not known", topic, "x", []op{{"segment.ms", 9, "7"}}, kerr.InvalidRequest.Code, "cleanup.policy=delete retention.ms=2000"},
		{"no such topic", topic, "nope", []op{{"segment.ms", opSet, "7"}}, kerr.UnknownTopicOrPartition.Code, "cleanup.policy=delete retention.ms=2000"},
		{"a broker", kmsg.ConfigResourceTypeBroker, "1", []op{{"num.io.threads", opSet, "7"}}, kerr.InvalidConfig.Code, "cleanup.policy=delete retention.ms=2000"},
		{"a group", kmsg.ConfigResourceTypeGroupConfig, "g", nil, kerr.InvalidRequest.Code, "cleanup.policy=delete retention.ms=2000"},
		{"nothing", topic, "x", nil, 0, "cleanup.policy=delete retention.ms=2000"},
	} {
		for _, validateOnly := range []bool{true, false} {
			before := m.configs("x")
			got := m.alter(c.kind, c.name, validateOnly, c.ops...)
			if got.ErrorCode != c.want || (got.ErrorMessage == nil) != (c.want == 0) {
				t.Errorf("%s: %v, %v", c.what, kerr.ErrorForCode(got.ErrorCode), got.ErrorMessage)
			}
			if validateOnly && m.configs("x") != before {
				t.Errorf("%s: validating changed the topic", c.what)
			}
		}
		if have := m.configs("x"); have != c.have {
			t.Errorf("%s: %s, want %s", c.what, have, c.have)
		}
	}
}

// configs of a topic in the confirmed state, in words.
func (m *member) configs(topic string) string {
	m.t.Helper()
	var out []string
	m.show(topic, func(x *state.Topic) {
		have := x.Info().Configs
		for _, name := range slices.Sorted(maps.Keys(have)) {
			out = append(out, name+"="+have[name])
		}
	})
	return strings.Join(out, " ")
}

// AlterConfigs replaces all that a topic has.
func TestAlterConfigs(t *testing.T) {
	m := newCluster(t).lead("one")
	if err := m.emit(createdWith("x", "retention.ms", "5")); err != nil {
		t.Fatal(err)
	}
	alter := func(times int, configs ...kmsg.AlterConfigsRequestResourceConfig) int16 {
		req := kmsg.NewPtrAlterConfigsRequest()
		for range times {
			r := kmsg.NewAlterConfigsRequestResource()
			r.ResourceType, r.ResourceName, r.Configs = kmsg.ConfigResourceTypeTopic, "x", configs
			req.Resources = append(req.Resources, r)
		}
		return ask[*kmsg.AlterConfigsResponse](m, req).Resources[0].ErrorCode
	}
	config := func(name, value string) kmsg.AlterConfigsRequestResourceConfig {
		return kmsg.AlterConfigsRequestResourceConfig{Name: name, Value: nullable(value)}
	}
	for i, c := range []struct {
		code int16
		want int16
		have string
	}{
		{alter(1, config("segment.ms", "7"), config("retention.ms", "5")), 0, "retention.ms=5 segment.ms=7"},
	} {
		if c.code != c.want || m.configs("x") != c.have {
			t.Errorf("%d: code %d, %s", i, c.code, m.configs("x"))
		}
	}
	for what, code := range map[string]int16{
		"null":     alter(1, config("segment.ms", "null")),
		"twice":    alter(1, config("segment.ms", "1"), config("segment.ms", "2")),
		"repeated": alter(2, config("segment.ms", "1")),
	} {
		if code != kerr.InvalidRequest.Code || m.configs("x") != "retention.ms=5 segment.ms=7" {
			t.Errorf("%s: code %d, %s", what, code, m.configs("x"))
		}
	}
	if code := alter(1); code != 0 || m.configs("x") != "" {
		t.Errorf("to nothing: code %d, %q", code, m.configs("x"))
	}
}

// DescribeProducers tells what duplicates are found by (KIP-664).
func TestDescribeProducers(t *testing.T) {
	c := newCluster(t)
	m := c.lead("one")
	if err := m.emit(created("x")); err != nil {
		t.Fatal(err)
	}
	session, err := m.OpenSession(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.commit(request(session, 1, "x")); err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrDescribeProducersRequest()
	req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "x", Partitions: []int32{0, 1}}, {Topic: "nope", Partitions: []int32{0}}}
	got := ask[*kmsg.DescribeProducersResponse](m, req).Topics
	if got[0].Partitions[1].ErrorCode != kerr.UnknownTopicOrPartition.Code || got[1].Partitions[0].ErrorCode != kerr.UnknownTopicOrPartition.Code {
		t.Errorf("%+v", got)
	}
	active := got[0].Partitions[0].ActiveProducers
	if len(active) != 1 {
		t.Fatalf("%+v", got[0].Partitions[0])
	}
	p := active[0]
	want := fmt.Sprint(p.ProducerID, 0, 2, c.clock.Now().UnixMilli(), -1, -1)
	if s := fmt.Sprint(p.ProducerID, p.ProducerEpoch, p.LastSequence, p.LastTimestamp, p.CoordinatorEpoch, p.CurrentTxnStartOffset); s != want {
		t.Errorf("%s, want %s", s, want)
	}
}
