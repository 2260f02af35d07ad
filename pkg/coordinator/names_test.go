package coordinator

import (
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// What a request names twice gets one answer, and is left alone; the others are dealt with.
func TestDoubledNames(t *testing.T) {
	m := newCluster(t).lead("one")
	var got []string
	answered := func(name *string, code int16) {
		got = append(got, fmt.Sprint(nameOr(name, "null"), " ", code))
	}
	want := func(what string, want ...string) {
		t.Helper()
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
		got = nil
	}
	doubled, gone := fmt.Sprint(kerr.InvalidRequest.Code), fmt.Sprint(kerr.UnknownTopicID.Code)

	create := kmsg.NewPtrCreateTopicsRequest()
	for _, name := range []string{"x", "y", "x", "z", "x"} {
		create.Topics = append(create.Topics, kmsg.CreateTopicsRequestTopic{Topic: name, NumPartitions: 1, ReplicationFactor: -1})
	}
	for _, topic := range ask[*kmsg.CreateTopicsResponse](m, create).Topics {
		answered(&topic.Topic, topic.ErrorCode)
	}
	want("create", "x "+doubled, "y 0", "z 0")

	grow := kmsg.NewPtrCreatePartitionsRequest()
	for _, name := range []string{"y", "z", "y"} {
		grow.Topics = append(grow.Topics, kmsg.CreatePartitionsRequestTopic{Topic: name, Count: 2})
	}
	for _, topic := range ask[*kmsg.CreatePartitionsResponse](m, grow).Topics {
		answered(&topic.Topic, topic.ErrorCode)
	}
	want("grow", "y "+doubled, "z 0")

	var y [16]byte
	m.show("y", func(topic *state.Topic) { y = topic.Info().ID })
	remove := func(topics ...kmsg.DeleteTopicsRequestTopic) {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.Version, req.Topics = 6, topics
		for _, topic := range ask[*kmsg.DeleteTopicsResponse](m, req).Topics {
			answered(topic.Topic, topic.ErrorCode)
		}
	}
	name := func(name string) kmsg.DeleteTopicsRequestTopic {
		return kmsg.DeleteTopicsRequestTopic{Topic: &name}
	}
	remove(name("y"), name("y"))
	want("delete by name twice", "y "+doubled)
	remove(name("y"), kmsg.DeleteTopicsRequestTopic{TopicID: y}, kmsg.DeleteTopicsRequestTopic{TopicID: [16]byte{1}})
	want("delete by name and id", "null "+gone, "y "+doubled)
	remove(kmsg.DeleteTopicsRequestTopic{}, kmsg.DeleteTopicsRequestTopic{Topic: name("z").Topic, TopicID: y})
	want("delete by neither, and by both in one", "null "+doubled, "z "+doubled)
	remove(kmsg.DeleteTopicsRequestTopic{TopicID: y}, name("z"))
	want("delete", "y 0", "z 0")
}

func nameOr(name *string, other string) string {
	if name == nil {
		return other
	}
	return *name
}
