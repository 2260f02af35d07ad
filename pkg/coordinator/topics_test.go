package coordinator

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/topicconfig"
)

// A topic is what was asked for, or is refused with the name of the setting that is wrong.
func TestCreateTopicsChecksConfigs(t *testing.T) {
	m := newCluster(t).lead("a")
	for _, c := range []struct{ name, value, want string }{
		{"retention.ms", "1000", ""},
		{"segment.bytes", "1048576", ""},
		{"retention.sm", "1000", `"retention.sm" is not known`},
		{"retention.ms", "abc", "retention.ms"},
		{"cleanup.policy", "compact", "not supported yet"},
		{"compression.type", "zstd", ""},
		{"compression.type", "brotli", "want one of"},
	} {
		for _, validateOnly := range []bool{true, false} {
			req := kmsg.NewPtrCreateTopicsRequest()
			req.ValidateOnly = validateOnly
			topic := kmsg.NewCreateTopicsRequestTopic()
			topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "t-"+c.name+"-"+c.value, 1, -1
			config := kmsg.NewCreateTopicsRequestTopicConfig()
			config.Name, config.Value = c.name, kmsg.StringPtr(c.value)
			topic.Configs = append(topic.Configs, config)
			req.Topics = append(req.Topics, topic)
			resp, err := m.forward(req)
			if err != nil {
				t.Fatal(err)
			}
			got := resp.(*kmsg.CreateTopicsResponse).Topics[0]
			switch {
			case c.want == "" && got.ErrorCode != 0:
				t.Errorf("%s=%s: %v, %v", c.name, c.value, kerr.ErrorForCode(got.ErrorCode), *got.ErrorMessage)
			case c.want != "" && (got.ErrorCode != kerr.InvalidConfig.Code || !strings.Contains(*got.ErrorMessage, c.want)):
				t.Errorf("%s=%s: %v, want INVALID_CONFIG with %q", c.name, c.value, kerr.ErrorForCode(got.ErrorCode), c.want)
			}
		}
	}
}

// A replication factor means nothing, and one that is none is refused, as by Kafka (ReplicationControlManager.createTopic).
func TestCreateTopicsReplication(t *testing.T) {
	m := newCluster(t).lead("a")
	for asked, want := range map[int16]struct {
		code  int16
		shown int16
	}{-1: {0, 3}, 1: {0, 1}, 7: {0, 7}, 0: {kerr.InvalidReplicationFactor.Code, -1}, -2: {kerr.InvalidReplicationFactor.Code, -1}} {
		req := kmsg.NewPtrCreateTopicsRequest()
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = fmt.Sprint("t", asked), 1, asked
		req.Topics = append(req.Topics, topic)
		got := ask[*kmsg.CreateTopicsResponse](m, req).Topics[0]
		if got.ErrorCode != want.code || got.ReplicationFactor != want.shown {
			t.Errorf("%d: %v, shown %d", asked, kerr.ErrorForCode(got.ErrorCode), got.ReplicationFactor)
		}
	}
}

// The answer has all settings of the topic, and which of them it was given (KIP-525).
func TestCreateTopicsTellsConfigs(t *testing.T) {
	m := newCluster(t).lead("a")
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "t", 1, -1
	topic.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: "retention.ms", Value: kmsg.StringPtr("5")}}
	req.Topics = append(req.Topics, topic)
	got := ask[*kmsg.CreateTopicsResponse](m, req).Topics[0].Configs
	if len(got) != len(topicconfig.All) {
		t.Fatalf("%d settings, want %d", len(got), len(topicconfig.All))
	}
	for _, c := range got {
		value, source := topicconfig.Default(c.Name), kmsg.ConfigSourceDefaultConfig
		if c.Name == "retention.ms" {
			value, source = "5", kmsg.ConfigSourceDynamicTopicConfig
		}
		if *c.Value != value || c.Source != int8(source) {
			t.Errorf("%s: %s of source %d", c.Name, *c.Value, c.Source)
		}
	}
}
