package cluster

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

// askAt sends a request to one agent.
func askAt[R kmsg.Response](ctx context.Context, t *testing.T, agent *kgo.Broker, req kmsg.Request) R {
	t.Helper()
	resp, err := agent.Request(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.(R)
}

// Whoever creates, changes or deletes a topic through one agent sees that through each, at once.
func TestChangesAreSeenThroughEachAgent(t *testing.T) {
	t.Parallel()
	c := harness.NewCluster(t, harness.ClusterConfig{})
	c.WaitAgents(3)
	ctx, cl := testContext(t, time.Minute), newClient(t, c.Kafka())
	all, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
	if err != nil {
		t.Fatal(err)
	}
	var agents []*kgo.Broker
	for _, b := range all.Brokers {
		agents = append(agents, cl.Broker(int(b.NodeID)))
	}
	partitions := func(agent *kgo.Broker, name string) int {
		req := kmsg.NewPtrMetadataRequest()
		req.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
		topic := askAt[*kmsg.MetadataResponse](ctx, t, agent, req).Topics[0]
		if topic.ErrorCode != 0 && topic.ErrorCode != kerr.UnknownTopicOrPartition.Code {
			t.Fatal(kerr.ErrorForCode(topic.ErrorCode))
		}
		return len(topic.Partitions)
	}
	retention := func(agent *kgo.Broker, name string) string {
		req := kmsg.NewPtrDescribeConfigsRequest()
		req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: name, ConfigNames: []string{"retention.ms"}}}
		r := askAt[*kmsg.DescribeConfigsResponse](ctx, t, agent, req).Resources[0]
		if r.ErrorCode != 0 {
			t.Fatal(kerr.ErrorForCode(r.ErrorCode))
		}
		return *r.Configs[0].Value
	}
	for round := range 60 {
		at, name := agents[round%len(agents)], fmt.Sprintf("t%d", round)
		seen := func(what string, want any, tell func(*kgo.Broker) any) {
			t.Helper()
			for i, agent := range agents {
				if got := tell(agent); got != want {
					t.Errorf("round %d, through agent %d of %d: %s: %v, want %v", round, i, len(agents), what, got, want)
				}
			}
		}
		create := kmsg.NewPtrCreateTopicsRequest()
		create.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: name, NumPartitions: 2, ReplicationFactor: -1}}
		askAt[*kmsg.CreateTopicsResponse](ctx, t, at, create)
		more := kmsg.NewPtrCreatePartitionsRequest()
		more.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: name, Count: 3}}
		askAt[*kmsg.CreatePartitionsResponse](ctx, t, at, more)
		seen("partitions", 3, func(b *kgo.Broker) any { return partitions(b, name) })
		value, alter := "7200000", kmsg.NewPtrIncrementalAlterConfigsRequest()
		alter.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{
			ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: name,
			Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "retention.ms", Value: &value}},
		}}
		askAt[*kmsg.IncrementalAlterConfigsResponse](ctx, t, at, alter)
		seen("retention.ms", value, func(b *kgo.Broker) any { return retention(b, name) })
		gone := kmsg.NewPtrDeleteTopicsRequest()
		gone.TopicNames, gone.Topics = []string{name}, []kmsg.DeleteTopicsRequestTopic{{Topic: &name}}
		askAt[*kmsg.DeleteTopicsResponse](ctx, t, at, gone)
		seen("partitions of the deleted topic", 0, func(b *kgo.Broker) any { return partitions(b, name) })
	}
}
