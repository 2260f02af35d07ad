package kafkaapi

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// Metadata (key 3), versions 0 to 13.
//
// Brokers are all agents; each partition has one replica, the agent that Catalog.Leader steers clients to. Topics by name,
// by id (from version 12) or all of them. A topic that is not known is created where configuration and request both allow
// it, then looked up again, so that the first answer holds it already. Authorized operations are all that Kafka has, for
// there is no authorizer.
//
// Not implemented: REBOOTSTRAP_REQUIRED.
func metadataAPI() *api {
	return &api{
		key: keyMetadata, name: "Metadata", min: 0, max: 13, family: familyMetadata,
		new: func() kmsg.Request { return kmsg.NewPtrMetadataRequest() }, shape: shapeMetadata, handle: metadata,
	}
}

// Operations that a client may do where nobody forbids any, as bits of Kafka's AclOperation.
const (
	topicOperations   = 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11
	clusterOperations = 1<<5 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<11 | 1<<12
)

func metadata(ctx context.Context, q *request) answer {
	req := q.body.(*kmsg.MetadataRequest)
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	look := q.lookup(ctx)
	all := req.Topics == nil || q.version == 0 && len(req.Topics) == 0
	if all || len(req.Topics) > 0 {
		look.fresh()
	}
	if all {
		for _, t := range q.server.deps.Catalog.Topics() {
			resp.Topics = append(resp.Topics, q.metadataTopic(t))
		}
	} else {
		resp.Topics = q.metadataTopics(look, req)
	}
	cluster := q.server.deps.Catalog.Cluster()
	resp.ClusterID, resp.ControllerID = kmsg.StringPtr(cluster.ID), cluster.ControllerID
	for _, b := range cluster.Brokers {
		mb := kmsg.NewMetadataResponseBroker()
		mb.NodeID, mb.Host, mb.Port, mb.Rack = b.NodeID, b.Host, b.Port, rack(b)
		resp.Brokers = append(resp.Brokers, mb)
	}
	if req.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = clusterOperations
	}
	return message{resp}
}

func rack(b Broker) *string {
	if b.Rack == "" {
		return nil
	}
	return kmsg.StringPtr(b.Rack)
}

// eachOnce leaves out what is named before: as in Kafka, topics are asked for as a set.
func eachOnce(all []kmsg.MetadataRequestTopic) []kmsg.MetadataRequestTopic {
	type what struct {
		name string
		null bool
		id   [16]byte
	}
	seen := make(map[what]bool, len(all))
	out := make([]kmsg.MetadataRequestTopic, 0, len(all))
	for _, t := range all {
		w := what{null: t.Topic == nil, id: t.TopicID}
		if t.Topic != nil {
			w.name = *t.Topic
		}
		if !seen[w] {
			seen[w] = true
			out = append(out, t)
		}
	}
	return out
}

// metadataTopics answers for the topics that the request names.
func (q *request) metadataTopics(look *lookup, req *kmsg.MetadataRequest) []kmsg.MetadataResponseTopic {
	creator := &autoCreate{q: q, look: look, allowed: q.server.cfg.AutoCreateTopics && (q.version < 4 || req.AllowAutoTopicCreation)}
	named := eachOnce(req.Topics)
	topics, errs := make([]Topic, len(named)), make([]error, len(named))
	for i, rt := range named {
		// Whoever asks by id gives no name: null, or, as the Java client does, an empty one.
		byID := rt.TopicID != [16]byte{}
		nameless := rt.Topic == nil || *rt.Topic == "" && byID
		switch {
		case nameless && q.version < 12, !nameless && byID:
			errs[i] = fmt.Errorf("a topic by id in version %d, or by name and id: %w", q.version, kerr.InvalidRequest)
		case nameless:
			topics[i], errs[i] = look.byID(rt.TopicID)
		case !validTopicName(*rt.Topic):
			errs[i] = fmt.Errorf("topic name %q: %w", *rt.Topic, kerr.InvalidTopicException)
		default:
			if topics[i], errs[i] = look.byName(*rt.Topic); errs[i] != nil {
				creator.want(*rt.Topic)
			}
		}
	}
	creator.run()
	out := make([]kmsg.MetadataResponseTopic, 0, len(topics))
	for i, rt := range named {
		if errs[i] != nil && rt.Topic != nil {
			topics[i], errs[i] = creator.again(*rt.Topic, errs[i])
		}
		if errs[i] == nil {
			out = append(out, q.metadataTopic(topics[i]))
			continue
		}
		mt := kmsg.NewMetadataResponseTopic()
		mt.ErrorCode, mt.Topic, mt.TopicID = q.code(errs[i]), rt.Topic, rt.TopicID
		if mt.Topic == nil && q.version < 12 {
			mt.Topic = kmsg.StringPtr("")
		}
		if rt.Topic != nil && req.IncludeTopicAuthorizedOperations {
			mt.AuthorizedOperations = topicOperations // of the name, whether or not it is a topic's
		}
		out = append(out, mt)
	}
	return out
}

func (q *request) metadataTopic(t Topic) kmsg.MetadataResponseTopic {
	mt := kmsg.NewMetadataResponseTopic()
	mt.Topic, mt.TopicID = kmsg.StringPtr(t.Name), t.ID
	if q.body.(*kmsg.MetadataRequest).IncludeTopicAuthorizedOperations {
		mt.AuthorizedOperations = topicOperations
	}
	mt.Partitions = make([]kmsg.MetadataResponseTopicPartition, t.Partitions)
	for p := range t.Partitions {
		leader := q.server.deps.Catalog.Leader(t.ID, p)
		mp := &mt.Partitions[p]
		mp.Default()
		mp.Partition, mp.Leader, mp.LeaderEpoch = p, leader, int32(t.LeaderEpoch)
		mp.Replicas = []int32{leader}
		mp.ISR = mp.Replicas
	}
	return mt
}

// topicNameBytesMax is as in Kafka.
const topicNameBytesMax = 249

// validTopicName is Kafka's rule.
func validTopicName(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > topicNameBytesMax {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

// autoCreate creates the topics that one Metadata request names and nobody has.
type autoCreate struct {
	q       *request
	look    *lookup
	allowed bool
	names   []string
	codes   map[string]error // nil for what is there now
}

// want notes a topic that is not there. What is not known for want of a view is not created.
func (a *autoCreate) want(name string) {
	if !a.allowed || a.look.err != nil {
		return
	}
	if a.codes == nil {
		a.codes = map[string]error{}
	}
	if _, named := a.codes[name]; !named {
		a.codes[name] = kerr.UnknownTopicOrPartition
		a.names = append(a.names, name)
	}
}

// run creates what was noted, with one request to the controller.
func (a *autoCreate) run() {
	if len(a.names) == 0 {
		return
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.SetVersion(createTopicsAPI().max)
	for _, name := range a.names {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = name, a.q.server.cfg.DefaultPartitions, -1
		req.Topics = append(req.Topics, t)
	}
	resp, err := a.q.server.deps.Controller.Forward(a.look.ctx, a.q.client, req)
	created, ok := resp.(*kmsg.CreateTopicsResponse)
	if err == nil && !ok {
		err = fmt.Errorf("controller's answer to CreateTopics is a %T: %w", resp, base.ErrUnavailable)
	}
	if err != nil {
		for _, name := range a.names {
			a.codes[name] = fmt.Errorf("create topic %q: %w", name, err)
		}
		return
	}
	for _, t := range created.Topics {
		a.codes[t.Topic] = creationError(t.ErrorCode)
	}
	a.look.refreshed = false
	_ = a.look.refresh()
}

// creationError is nil when the topic is there. Where a policy or a limit keeps a client from creating topics it waits
// for somebody else to do so.
func creationError(code int16) error {
	switch err := kerr.ErrorForCode(code); err {
	case nil, kerr.TopicAlreadyExists: //nolint:errorlint // made from a code, never wrapped
		return nil
	case kerr.PolicyViolation, kerr.InvalidPartitions:
		return kerr.UnknownTopicOrPartition
	default:
		return err
	}
}

// again looks a topic up that was not there before; before is why.
func (a *autoCreate) again(name string, before error) (Topic, error) {
	err, named := a.codes[name]
	if !named {
		return Topic{}, before
	}
	if err != nil {
		return Topic{}, err
	}
	t, err := a.look.byName(name)
	if err != nil {
		// It is there, but not for this view yet.
		return Topic{}, fmt.Errorf("topic %q was created: %w", name, kerr.LeaderNotAvailable)
	}
	return t, nil
}
