package kafkaapi

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
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

// outage is a catalog whose head is not to be had.
type outage struct{ *memory }

func (outage) Refresh(ctx context.Context) error {
	<-ctx.Done()
	return base.ErrUnavailable
}

// While the head of the log is not to be had, an answer about topics takes half a second; what is not known is an error that clients try again
// on, and what asks for no topic does not wait.
func TestAnswersInAnOutage(t *testing.T) {
	h := start(t, nil)
	h.add("known", 3, nil)
	h.server.deps.Catalog = outage{h.memory}
	w := h.dial()
	began := time.Now()
	resp := ask[*kmsg.MetadataResponse](w, metadataRequest(true, "known", "unknown"), 12)
	if took := time.Since(began); took < freshMax || took > 4*freshMax {
		t.Errorf("it took %v", took)
	}
	if err := kerr.TypedErrorForCode(resp.Topics[1].ErrorCode); len(resp.Topics[0].Partitions) != 3 || err == nil || !err.Retriable || h.creations() != 0 {
		t.Errorf("%+v: %v", resp.Topics, err)
	}
	began = time.Now()
	ask[*kmsg.DescribeConfigsResponse](w, describeRequest(kmsg.ConfigResourceTypeBroker, "1"), 4)
	ask[*kmsg.MetadataResponse](w, metadataRequest(false), 12)
	if took := time.Since(began); took > freshMax {
		t.Errorf("what tells of no topic took %v", took)
	}
}
