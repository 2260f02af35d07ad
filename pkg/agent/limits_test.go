package agent_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/tests/memregion"
)

// create asks for a topic with so many partitions, assigned or counted, and returns the code and the message.
func create(r *memregion.Region, cl *kgo.Client, name string, partitions int32, assigned, validateOnly bool) (int16, string) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.ValidateOnly = validateOnly
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, -1
	if assigned {
		topic.NumPartitions = -1
		for p := range partitions {
			topic.ReplicaAssignment = append(topic.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: p, Replicas: []int32{1}})
		}
	}
	req.Topics = append(req.Topics, topic)
	got := r.Ask(cl, req).(*kmsg.CreateTopicsResponse).Topics[0]
	if got.ErrorMessage == nil {
		return got.ErrorCode, ""
	}
	return got.ErrorCode, *got.ErrorMessage
}

func grow(r *memregion.Region, cl *kgo.Client, name string, count int32, validateOnly bool) (int16, string) {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.ValidateOnly = validateOnly
	topic := kmsg.NewCreatePartitionsRequestTopic()
	topic.Topic, topic.Count = name, count
	req.Topics = append(req.Topics, topic)
	got := r.Ask(cl, req).(*kmsg.CreatePartitionsResponse).Topics[0]
	if got.ErrorMessage == nil {
		return got.ErrorCode, ""
	}
	return got.ErrorCode, *got.ErrorMessage
}

// named has Metadata name a topic that it may create.
func named(r *memregion.Region, cl *kgo.Client, name string) int16 {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = true
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(name)
	req.Topics = append(req.Topics, topic)
	return r.Ask(cl, req).(*kmsg.MetadataResponse).Topics[0].ErrorCode
}

// Whoever asks for more topics or partitions than the coordinator's limits allow is told which setting it is, by whatever API.
// What is deleted makes room.
func TestTopicLimits(t *testing.T) {
	r := memregion.Start(t, memregion.Options{Limits: coordinator.Limits{Topics: 3, Partitions: 10, PartitionsPerTopic: 6}, AutoCreate: 1})
	cl := r.Client()
	refused := func(what string, setting string, want *kerr.Error) func(code int16, message string) {
		return func(code int16, message string) {
			t.Helper()
			if code != want.Code || !strings.Contains(message, setting+" of the coordinator") {
				t.Errorf("%s: %v, %q: want %v and %s", what, kerr.ErrorForCode(code), message, want, setting)
			}
		}
	}
	taken := func(code int16, message string) {
		t.Helper()
		if code != 0 {
			t.Fatalf("%v, %s", kerr.ErrorForCode(code), message)
		}
	}
	for _, validateOnly := range []bool{true, false} {
		for _, assigned := range []bool{true, false} {
			refused("a topic of 7", "max-partitions-per-topic", kerr.InvalidPartitions)(create(r, cl, "x", 7, assigned, validateOnly))
		}
	}
	refused("a topic of none", "max-partitions-per-topic", kerr.InvalidPartitions)(create(r, cl, "x", 0, false, false))
	taken(create(r, cl, "x", 6, true, false))
	refused("a topic that grows", "max-partitions-per-topic", kerr.InvalidPartitions)(grow(r, cl, "x", 7, true))
	taken(create(r, cl, "y", 3, false, false))
	refused("the 11th partition", "max-partitions", kerr.PolicyViolation)(create(r, cl, "z", 2, false, true))
	refused("the 11th partition", "max-partitions", kerr.PolicyViolation)(grow(r, cl, "y", 5, false))
	taken(grow(r, cl, "y", 4, true))
	if code := named(r, cl, "z"); code != 0 && code != kerr.LeaderNotAvailable.Code {
		t.Fatalf("the third topic: %v", kerr.ErrorForCode(code))
	}
	r.Until("it is there", func() bool { return r.Agent.View().State().TopicByName("z") != nil })
	refused("the 4th topic", "max-topics", kerr.PolicyViolation)(create(r, cl, "more", 1, false, false))
	if code := named(r, cl, "more"); code != kerr.UnknownTopicOrPartition.Code {
		t.Errorf("the 4th topic by Metadata: %v", kerr.ErrorForCode(code))
	}
	del := kmsg.NewPtrDeleteTopicsRequest()
	del.TopicNames = []string{"x"}
	del.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: kmsg.StringPtr("x")}}
	r.Ask(cl, del)
	taken(create(r, cl, "more", 6, false, false))
}

// A client that names a topic waits for somebody else to create it, if the agent would with more partitions than a topic may have.
func TestAutoCreateBeyondTheLimit(t *testing.T) {
	r := memregion.Start(t, memregion.Options{Limits: coordinator.Limits{PartitionsPerTopic: 2}, AutoCreate: 3})
	if code := named(r, r.Client(), "x"); code != kerr.UnknownTopicOrPartition.Code {
		t.Errorf("%v", kerr.ErrorForCode(code))
	}
}

// A shadow takes whatever its source has: the limits are kept where something is admitted. What it shows counts for what is
// created here.
func TestShadowHasNoLimits(t *testing.T) {
	a := memregion.Start(t, memregion.Options{})
	b := memregion.Start(t, memregion.Options{Number: 2, Limits: coordinator.Limits{Topics: 2, Partitions: 4, PartitionsPerTopic: 2}})
	ours := a.Client()
	for i := range 3 {
		a.CreateTopic(ours, fmt.Sprintf("a-%d", i), 3)
	}
	b.Shadow(a, a.Bucket, b.Bucket, "a-")
	b.Shadowed(a)
	if code, message := grow(a, ours, "a-2", 5, false); code != 0 {
		t.Fatal(message)
	}
	a.CreateTopic(ours, "hidden", 1) // by the filter; the image has it
	b.Shadowed(a)
	for i, want := range []int32{3, 3, 5} {
		shown, ok := b.Agent.View().State().ShowByName(fmt.Sprintf("a-%d", i))
		if !ok || shown.Partitions() != want {
			t.Errorf("topic a-%d is shown: %v", i, ok)
		}
	}
	code, message := create(b, b.Client(), "b-0", 1, false, false)
	if code != kerr.PolicyViolation.Code || !strings.Contains(message, "has 4 topics, and at most 2") {
		t.Errorf("a topic of the shadow's own: %v, %s", kerr.ErrorForCode(code), message)
	}
}
