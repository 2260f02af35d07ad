package kafkaapi

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeConfigs (key 32), versions 1 to 4.
//
// Topics: all settings of Kafka 4, with value, default, source, and synonyms and documentation for who asks. Brokers: the
// few that clients and tools look at, of the agent that is asked; they are read-only. No setting is sensitive.
//
// Not implemented: other resources (INVALID_REQUEST).
func describeConfigsAPI() *api {
	return &api{
		key: int16(kmsg.DescribeConfigs), name: "DescribeConfigs", min: 1, max: 4, family: familyAdmin,
		new: func() kmsg.Request { return kmsg.NewPtrDescribeConfigsRequest() }, shape: shapeDescribeConfigs, handle: describeConfigs,
	}
}

func describeConfigs(ctx context.Context, q *request) answer {
	req := q.body.(*kmsg.DescribeConfigsRequest)
	resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
	look := q.lookup(ctx)
	if slices.ContainsFunc(req.Resources, func(r kmsg.DescribeConfigsRequestResource) bool {
		return r.ResourceType == kmsg.ConfigResourceTypeTopic
	}) {
		look.fresh()
	}
	for i := range req.Resources {
		r := &req.Resources[i]
		out := kmsg.NewDescribeConfigsResponseResource()
		out.ResourceType, out.ResourceName = r.ResourceType, r.ResourceName
		configs, err := q.configsOf(look, r)
		if err != nil {
			out.ErrorCode, out.ErrorMessage = q.code(err), kmsg.StringPtr(err.Error())
		}
		for _, c := range configs {
			if r.ConfigNames == nil || slices.Contains(r.ConfigNames, c.Name) {
				out.Configs = append(out.Configs, c)
			}
		}
		resp.Resources = append(resp.Resources, out)
	}
	return message{resp}
}

func (q *request) configsOf(look *lookup, r *kmsg.DescribeConfigsRequestResource) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	switch r.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		if !validTopicName(r.ResourceName) {
			return nil, fmt.Errorf("topic name %q: %w", r.ResourceName, kerr.InvalidTopicException)
		}
		t, err := look.byName(r.ResourceName)
		if err != nil {
			return nil, err
		}
		return q.topicConfigs(t), nil
	case kmsg.ConfigResourceTypeBroker:
		if r.ResourceName == "" {
			return nil, nil // the dynamic defaults of all brokers: there are none
		}
		if r.ResourceName != strconv.Itoa(int(q.server.cfg.NodeID)) {
			return nil, fmt.Errorf("broker %q was not asked, this is %d: %w", r.ResourceName, q.server.cfg.NodeID, kerr.InvalidRequest)
		}
		return q.brokerConfigs(), nil
	}
	return nil, fmt.Errorf("configs of a resource of type %d: %w", r.ResourceType, kerr.InvalidRequest)
}

func (q *request) topicConfigs(t Topic) []kmsg.DescribeConfigsResponseResourceConfig {
	out := make([]kmsg.DescribeConfigsResponseResourceConfig, 0, len(topicConfigs))
	for _, def := range topicConfigs {
		if def.name == maxMessageBytesName {
			def.value = strconv.Itoa(q.server.cfg.MaxMessageBytes)
		}
		value, set := t.Configs[def.name]
		c := q.config(def)
		if set {
			c.Value, c.Source, c.IsDefault = kmsg.StringPtr(value), kmsg.ConfigSourceDynamicTopicConfig, false
			c.ConfigSynonyms = append([]kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{
				synonym(def.name, value, kmsg.ConfigSourceDynamicTopicConfig),
			}, c.ConfigSynonyms...)
		}
		if !q.body.(*kmsg.DescribeConfigsRequest).IncludeSynonyms {
			c.ConfigSynonyms = nil
		}
		out = append(out, c)
	}
	return out
}

// config is a setting with its default.
func (q *request) config(def configDef) kmsg.DescribeConfigsResponseResourceConfig {
	c := kmsg.NewDescribeConfigsResponseResourceConfig()
	c.Name, c.Value, c.ConfigType = def.name, kmsg.StringPtr(def.value), def.kind
	c.Source, c.IsDefault = kmsg.ConfigSourceDefaultConfig, true
	if def.broker != "" {
		c.ConfigSynonyms = append(c.ConfigSynonyms, synonym(def.broker, def.value, kmsg.ConfigSourceDefaultConfig))
	}
	if q.body.(*kmsg.DescribeConfigsRequest).IncludeDocumentation {
		c.Documentation = kmsg.StringPtr(def.doc)
	}
	return c
}

func synonym(name, value string, source kmsg.ConfigSource) kmsg.DescribeConfigsResponseResourceConfigConfigSynonym {
	s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
	s.Name, s.Value, s.Source = name, kmsg.StringPtr(value), source
	return s
}

// brokerConfigs are the settings of this agent that have a name in Kafka.
func (q *request) brokerConfigs() []kmsg.DescribeConfigsResponseResourceConfig {
	s := q.server
	node := strconv.Itoa(int(s.cfg.NodeID))
	defs := []configDef{
		{"auto.create.topics.enable", kmsg.ConfigTypeBoolean, strconv.FormatBool(s.cfg.AutoCreateTopics), "", "Whether Metadata creates topics."},
		{"broker.id", kmsg.ConfigTypeInt, node, "", "The agent's node id."},
		{"compression.type", kmsg.ConfigTypeString, "producer", "", "Codec of topics that set none."},
		{"connections.max.idle.ms", kmsg.ConfigTypeLong, strconv.FormatInt(s.limits.Idle.Milliseconds(), 10), "", "When an idle connection is closed."},
		{"fetch.max.bytes", kmsg.ConfigTypeInt, strconv.Itoa(s.limits.FetchBytes), "", "The most records in one answer to Fetch, bytes."},
		{"log.message.timestamp.type", kmsg.ConfigTypeString, "CreateTime", "", "Timestamp type of topics that set none."},
		{"log.retention.ms", kmsg.ConfigTypeLong, "604800000", "", "Retention of topics that set none."},
		{"max.connections", kmsg.ConfigTypeInt, strconv.Itoa(s.limits.Connections), "", "The most open connections."},
		{"max.connections.per.ip", kmsg.ConfigTypeInt, strconv.Itoa(s.limits.ConnectionsPerAddress), "", "The most open connections from one address."},
		{"message.max.bytes", kmsg.ConfigTypeInt, strconv.Itoa(s.cfg.MaxMessageBytes), "", "The largest batch of topics that set none, bytes."},
		{"min.insync.replicas", kmsg.ConfigTypeInt, "1", "", "Has no meaning here: the bucket replicates."},
		{"node.id", kmsg.ConfigTypeInt, node, "", "The agent's node id."},
		{"num.partitions", kmsg.ConfigTypeInt, strconv.Itoa(int(s.cfg.DefaultPartitions)), "", "Partitions of topics that Metadata creates."},
		{"socket.request.max.bytes", kmsg.ConfigTypeInt, strconv.Itoa(s.limits.RequestBytes), "", "The largest request, bytes."},
	}
	out := make([]kmsg.DescribeConfigsResponseResourceConfig, 0, len(defs))
	for _, def := range defs {
		c := q.config(def)
		c.ReadOnly, c.Source, c.IsDefault = true, kmsg.ConfigSourceStaticBrokerConfig, false
		out = append(out, c)
	}
	return out
}
