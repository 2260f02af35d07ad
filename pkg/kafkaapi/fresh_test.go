package kafkaapi

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// What was changed through another agent is told as it is now, by each API that tells of topics; and as it was when the head of the log
// is not to be had.
func TestAnswersAreFresh(t *testing.T) {
	h := start(t, nil)
	topic := h.add("t", 3, map[string]string{"retention.ms": "7200000"})
	before := topic
	before.Partitions, before.Configs = 2, map[string]string{"retention.ms": "3600000"}
	w := h.dial()
	tells := map[string]func() (now bool){
		"Metadata": func() bool {
			resp := ask[*kmsg.MetadataResponse](w, metadataRequest(false, "t"), 12)
			return len(resp.Topics[0].Partitions) == 3
		},
		"DescribeTopicPartitions": func() bool {
			req := kmsg.NewPtrDescribeTopicPartitionsRequest()
			req.ResponsePartitionLimit = 10
			req.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "t"}}
			return len(ask[*kmsg.DescribeTopicPartitionsResponse](w, req, 0).Topics[0].Partitions) == 3
		},
		"DescribeConfigs": func() bool {
			req := describeRequest(kmsg.ConfigResourceTypeTopic, "t", "retention.ms")
			return *ask[*kmsg.DescribeConfigsResponse](w, req, 4).Resources[0].Configs[0].Value == "7200000"
		},
	}
	for name, tell := range tells {
		h.locked(func() { h.stale["t"], h.refresh = before, base.ErrUnavailable })
		if tell() {
			t.Fatalf("%s knows what nobody can have told", name)
		}
		h.locked(func() { h.refresh = nil })
		if !tell() {
			t.Errorf("%s tells what was", name)
		}
	}
}
