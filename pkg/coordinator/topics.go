package coordinator

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/topicconfig"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Limits of topics.
const (
	TopicNameBytesMax  = 249 // as in Kafka
	partitionsDefault  = 1
	replicationDefault = 3 // what an object store's durability is worth to a client that asks
)

// apiError is a Kafka error with the sentence that goes with it.
type apiError struct {
	err     *kerr.Error
	message string
}

func (e *apiError) Error() string { return e.err.Message + ": " + e.message }

func fail(err *kerr.Error, format string, args ...any) *apiError {
	return &apiError{err: err, message: fmt.Sprintf(format, args...)}
}

// ownTopic finds a topic that is this region's to change; what says what is to be done with it.
func (tx *Tx) ownTopic(name, what string) (state.Shadowed, *apiError) {
	t, found := tx.State().ShowByName(name)
	switch {
	case !found:
		return t, fail(kerr.UnknownTopicOrPartition, "no topic is named %q", name)
	case !t.Writable():
		return t, fail(kerr.PolicyViolation, "topic %q is shadowed by link %q: %s at the source", name, t.Link.Name(), what)
	}
	return t, nil
}

// change emits the event of a change that an operator asked for.
func (tx *Tx) change(ev *metalogpb.Event) *apiError {
	if err := tx.Emit(ev); err != nil {
		return fail(kerr.PolicyViolation, "%v", err)
	}
	return nil
}

func (tx *Tx) createTopics(req *kmsg.CreateTopicsRequest) *kmsg.CreateTopicsResponse {
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	named := newNames(req.Topics, func(t *kmsg.CreateTopicsRequestTopic) string { return t.Topic })
	for i := range req.Topics {
		t := &req.Topics[i]
		if named.before(t.Topic) {
			continue
		}
		out := kmsg.NewCreateTopicsResponseTopic()
		out.Topic = t.Topic
		var err *apiError
		if err = named.once(t.Topic); err == nil {
			err = tx.createTopic(t, req.ValidateOnly, &out)
		}
		if err != nil {
			out.ErrorCode, out.ErrorMessage = err.err.Code, kmsg.StringPtr(err.message)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

func (tx *Tx) createTopic(t *kmsg.CreateTopicsRequestTopic, validateOnly bool, out *kmsg.CreateTopicsResponseTopic) *apiError {
	if err := tx.checkNewTopic(t); err != nil {
		return err
	}
	replication, err := replicationAsked(t)
	if err != nil {
		return err
	}
	partitions, err := partitionsAsked(t)
	if err == nil {
		err = tx.admitPartitions(t.Topic, partitions)
	}
	if err == nil {
		err = tx.admitMore(1, int(partitions))
	}
	if err != nil {
		return err
	}
	configs, err := configsAsked(t)
	if err != nil {
		return err
	}
	out.NumPartitions, out.ReplicationFactor = partitions, replication
	out.Configs = effectiveConfigs(configs)
	if validateOnly {
		return nil
	}
	id := newTopicID()
	created := &metalogpb.TopicCreated{
		TopicId: id[:], Name: t.Topic, Partitions: partitions, ReplicationFactor: int32(replication), Configs: configs,
	}
	if err := tx.Emit(&metalogpb.Event{Kind: &metalogpb.Event_TopicCreated{TopicCreated: created}}); err != nil {
		return fail(kerr.PolicyViolation, "%v", err)
	}
	out.TopicID = id
	return nil
}

func (tx *Tx) checkNewTopic(t *kmsg.CreateTopicsRequestTopic) *apiError {
	if why := BadTopicName(t.Topic); why != "" {
		return fail(kerr.InvalidTopicException, "topic name %q %s", t.Topic, why)
	}
	if shown, ok := tx.State().ShowByName(t.Topic); ok {
		if shown.Link != nil {
			return fail(kerr.TopicAlreadyExists, "topic %q exists: it is shadowed by link %q", t.Topic, shown.Link.Name())
		}
		return fail(kerr.TopicAlreadyExists, "topic %q exists", t.Topic)
	}
	for _, l := range tx.State().Links() {
		if l.Active() && l.WantsTopic(t.Topic) {
			return fail(kerr.PolicyViolation, "names like %q belong to the source of link %q: create the topic there", t.Topic, l.Name())
		}
	}
	return nil
}

// replicationAsked is what a topic shows as its replication factor. It means nothing, but what Kafka refuses is a mistake of the client
// here too.
func replicationAsked(t *kmsg.CreateTopicsRequestTopic) (int16, *apiError) {
	switch r := t.ReplicationFactor; {
	case r > 0:
		return r, nil
	case r == -1, len(t.ReplicaAssignment) > 0:
		return replicationDefault, nil
	default:
		return 0, fail(kerr.InvalidReplicationFactor, "topic %q with a replication factor of %d: it must be above 0, or -1 for the default", t.Topic, r)
	}
}

func partitionsAsked(t *kmsg.CreateTopicsRequestTopic) (int32, *apiError) {
	if n := int32(len(t.ReplicaAssignment)); n > 0 {
		if t.NumPartitions != -1 || t.ReplicationFactor != -1 {
			return 0, fail(kerr.InvalidRequest, "topic %q has an assignment, and a number of partitions or a replication factor besides", t.Topic)
		}
		seen := make([]bool, n)
		for _, a := range t.ReplicaAssignment {
			if a.Partition < 0 || a.Partition >= n || seen[a.Partition] {
				return 0, fail(kerr.InvalidReplicaAssignment, "the assignment of topic %q does not name partitions 0 to %d once each", t.Topic, n-1)
			}
			seen[a.Partition] = true
		}
		return n, nil
	}
	if t.NumPartitions == -1 {
		return partitionsDefault, nil
	}
	return t.NumPartitions, nil
}

// effectiveConfigs are all settings of a new topic, as Kafka lists them in the answer (KIP-525). The list must be there: the Java
// client cannot do without.
func effectiveConfigs(set []*metalogpb.ConfigEntry) []kmsg.CreateTopicsResponseTopicConfig {
	out := make([]kmsg.CreateTopicsResponseTopicConfig, 0, len(topicconfig.All))
	for _, d := range topicconfig.All {
		c := kmsg.NewCreateTopicsResponseTopicConfig()
		c.Name, c.Value, c.Source = d.Name, kmsg.StringPtr(d.Value), int8(kmsg.ConfigSourceDefaultConfig)
		for _, s := range set {
			if s.Name == d.Name {
				c.Value, c.Source = kmsg.StringPtr(s.Value), int8(kmsg.ConfigSourceDynamicTopicConfig)
			}
		}
		out = append(out, c)
	}
	return out
}

func configsAsked(t *kmsg.CreateTopicsRequestTopic) ([]*metalogpb.ConfigEntry, *apiError) {
	var out []*metalogpb.ConfigEntry
	for _, c := range t.Configs {
		if c.Value == nil {
			return nil, fail(kerr.InvalidConfig, "config %q of topic %q has no value", c.Name, t.Topic)
		}
		if err := checkConfig(t.Topic, c.Name, *c.Value); err != nil {
			return nil, err
		}
		out = append(out, &metalogpb.ConfigEntry{Name: c.Name, Value: *c.Value})
	}
	slices.SortFunc(out, func(a, b *metalogpb.ConfigEntry) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// BadTopicName says what is wrong with a topic name by Kafka's rules, or nothing.
func BadTopicName(name string) string {
	switch {
	case name == "":
		return "is empty"
	case name == "." || name == "..":
		return "must not be a dot or two"
	case len(name) > TopicNameBytesMax:
		return fmt.Sprintf("is longer than %d bytes", TopicNameBytesMax)
	}
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-') {
			return "has characters other than letters, digits, '.', '_' and '-'"
		}
	}
	return ""
}

func newTopicID() base.TopicID {
	var id base.TopicID
	_, _ = rand.Read(id[:]) // never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}
