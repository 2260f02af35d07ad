package kafkaapi

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func describeRequest(kind kmsg.ConfigResourceType, name string, names ...string) *kmsg.DescribeConfigsRequest {
	req := kmsg.NewPtrDescribeConfigsRequest()
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kind, name, names
	req.Resources = append(req.Resources, r)
	req.IncludeSynonyms = true
	return req
}

// The agent's bound on batches holds where a topic has none, and is what DescribeConfigs says.
func TestMaxMessageBytes(t *testing.T) {
	h := start(t, func(c *Config) { c.MaxMessageBytes = 100 })
	h.add("plain", 1, nil)
	h.add("own", 1, map[string]string{maxMessageBytesName: "200"})
	w := h.dial()
	exact := string(make([]byte, 100-61))
	for _, c := range []struct {
		topic, value string
		want         int16
	}{
		{"plain", exact, 0}, {"plain", exact + "x", kerr.MessageTooLarge.Code}, {"own", exact + "x", 0},
	} {
		p := ask[*kmsg.ProduceResponse](w, produceRequest(9, c.topic, 0, makeBatch(1, c.value)), 9).Topics[0].Partitions[0]
		if p.ErrorCode != c.want {
			t.Errorf("%d bytes to %q: code %d, want %d", 61+len(c.value), c.topic, p.ErrorCode, c.want)
		}
	}
	for topic, want := range map[string]string{"plain": "100", "own": "200"} {
		for version := int16(1); version <= 4; version++ {
			resp := ask[*kmsg.DescribeConfigsResponse](w, describeRequest(kmsg.ConfigResourceTypeTopic, topic, maxMessageBytesName), version)
			r := resp.Resources[0]
			if r.ErrorCode != 0 || len(r.Configs) != 1 || *r.Configs[0].Value != want {
				t.Fatalf("version %d, topic %q: %+v", version, topic, r)
			}
			c := r.Configs[0]
			if own := c.Source == kmsg.ConfigSourceDynamicTopicConfig; own != (topic == "own") {
				t.Errorf("version %d, topic %q: source %v", version, topic, c.Source)
			}
			if last := c.ConfigSynonyms[len(c.ConfigSynonyms)-1]; *last.Value != "100" || last.Name != "message.max.bytes" {
				t.Errorf("version %d, topic %q: synonyms %+v", version, topic, c.ConfigSynonyms)
			}
		}
	}
	broker := ask[*kmsg.DescribeConfigsResponse](w, describeRequest(kmsg.ConfigResourceTypeBroker, "1", "message.max.bytes"), 4)
	if c := broker.Resources[0].Configs; len(c) != 1 || *c[0].Value != "100" || !c[0].ReadOnly {
		t.Errorf("broker: %+v", c)
	}
}

func TestDescribeConfigsErrors(t *testing.T) {
	w := start(t, nil).dial()
	for _, c := range []struct {
		kind kmsg.ConfigResourceType
		name string
		want *kerr.Error
	}{
		{kmsg.ConfigResourceTypeTopic, "nope", kerr.UnknownTopicOrPartition},
		{kmsg.ConfigResourceTypeTopic, "bad name", kerr.InvalidTopicException},
		{kmsg.ConfigResourceTypeBroker, "2", kerr.InvalidRequest},
		{kmsg.ConfigResourceType(99), "x", kerr.InvalidRequest},
	} {
		r := ask[*kmsg.DescribeConfigsResponse](w, describeRequest(c.kind, c.name), 4).Resources[0]
		if r.ErrorCode != c.want.Code || r.ErrorMessage == nil || r.ResourceName != c.name {
			t.Errorf("%v %q: %+v, want %v", c.kind, c.name, r, c.want)
		}
	}
}
