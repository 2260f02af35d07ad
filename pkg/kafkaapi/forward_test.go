package kafkaapi

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// forwardedRequests has one request of each API that the coordinator leader answers, naming one of everything.
func forwardedRequests() []kmsg.Request {
	return []kmsg.Request{
		&kmsg.CreateTopicsRequest{Topics: []kmsg.CreateTopicsRequestTopic{{Topic: "t", NumPartitions: 1}}},
		&kmsg.DeleteTopicsRequest{TopicNames: []string{"t"}, Topics: []kmsg.DeleteTopicsRequestTopic{{Topic: kmsg.StringPtr("t")}}},
		&kmsg.JoinGroupRequest{Group: "g"}, &kmsg.SyncGroupRequest{Group: "g"}, &kmsg.HeartbeatRequest{Group: "g"}, &kmsg.LeaveGroupRequest{Group: "g"},
		&kmsg.OffsetCommitRequest{Group: "g", Topics: []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{}}}}},
		&kmsg.OffsetFetchRequest{
			Group: "g", Topics: []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: []int32{0}}}, Groups: []kmsg.OffsetFetchRequestGroup{{Group: "g"}},
		},
		&kmsg.DescribeGroupsRequest{Groups: []string{"g"}}, &kmsg.ListGroupsRequest{},
		&kmsg.CreatePartitionsRequest{Topics: []kmsg.CreatePartitionsRequestTopic{{Topic: "t", Count: 2}}},
		&kmsg.DeleteRecordsRequest{Topics: []kmsg.DeleteRecordsRequestTopic{{Topic: "t", Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{}}}}},
		&kmsg.IncrementalAlterConfigsRequest{Resources: []kmsg.IncrementalAlterConfigsRequestResource{{ResourceName: "t"}}},
		&kmsg.AlterConfigsRequest{Resources: []kmsg.AlterConfigsRequestResource{{ResourceName: "t"}}},
		&kmsg.DescribeProducersRequest{Topics: []kmsg.DescribeProducersRequestTopic{{Topic: "t", Partitions: []int32{0}}}},
		&kmsg.DeleteGroupsRequest{Groups: []string{"g"}}, &kmsg.OffsetDeleteRequest{Group: "g"},
		&kmsg.InitProducerIDRequest{}, &kmsg.InitProducerIDRequest{TransactionalID: kmsg.StringPtr("x")},
	}
}

// codes collects all error codes in a response.
func codes(v reflect.Value, out map[int16]int) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			codes(v.Elem(), out)
		}
	case reflect.Slice:
		for i := range v.Len() {
			codes(v.Index(i), out)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "ErrorCode" {
				out[int16(v.Field(i).Int())]++
			} else {
				codes(v.Field(i), out)
			}
		}
	}
}

// When the leader is away, or the region a standby, every version of every forwarded API says so with the code that its
// clients retry, or with a refusal where a retry would lose what an admin wants.
func TestForwardRefusals(t *testing.T) {
	h := start(t, nil)
	w := h.dial()
	faults := map[string]error{
		"away": fmt.Errorf("call: %w", base.ErrUnavailable), "not leader": base.ErrNotLeader, "standby": fmt.Errorf("fenced: %w", base.ErrReadOnly),
	}
	for fault, err := range faults {
		h.locked(func() { h.forward = err })
		for _, req := range forwardedRequests() {
			a := h.server.apis[req.Key()]
			want := kerr.CoordinatorNotAvailable
			init, isInit := req.(*kmsg.InitProducerIDRequest)
			switch {
			case a.family == familyRead && fault == "standby":
				want = kerr.NotLeaderForPartition
			case a.family == familyRead:
				want = kerr.KafkaStorageError
			case a.family == familyAdmin && fault == "standby":
				want = kerr.PolicyViolation
			case a.family == familyAdmin:
				want = kerr.NotController
			case isInit && init.TransactionalID == nil:
				want = kerr.CoordinatorLoadInProgress
			}
			for version := a.min; version <= a.max; version++ {
				resp := ask[kmsg.Response](w, req, version)
				got := map[int16]int{}
				codes(reflect.ValueOf(resp), got)
				if got[want.Code] == 0 {
					t.Errorf("%s, %s version %d: codes %v, want %v", fault, a.name, version, got, want)
				}
				if delete(got, want.Code); len(got) > 0 && (len(got) > 1 || got[0] == 0) {
					t.Errorf("%s, %s version %d: further codes %v", fault, a.name, version, got)
				}
			}
		}
	}
}

// Whatever the controller answers, in whatever version it thinks, the client gets an answer of its own version.
func TestForwardAnswers(t *testing.T) {
	h := start(t, nil)
	w := h.dial()
	for _, req := range forwardedRequests() {
		a := h.server.apis[req.Key()]
		for version := a.min; version <= a.max; version++ {
			ask[kmsg.Response](w, req, version)
		}
	}
	seen := map[int16]bool{}
	for _, key := range h.forwardedKeys() {
		seen[key] = true
	}
	if len(seen) != 18 {
		t.Errorf("%d APIs were forwarded: %v", len(seen), seen)
	}
}

// K6: no sentinel of ours is an UNKNOWN_SERVER_ERROR for anybody, and what passes is retriable.
func TestErrorCodes(t *testing.T) {
	for f := range families {
		for _, m := range mapping {
			if m.codes[f] == nil {
				t.Fatalf("family %d has no code for %v", f, m.sentinel)
			}
			if got := kafkaError(fmt.Errorf("x: %w", m.sentinel), f); got != m.codes[f] || got == kerr.UnknownServerError {
				t.Errorf("family %d, %v: %v", f, m.sentinel, got)
			}
		}
		for _, err := range []error{base.ErrUnavailable, base.ErrNotLeader} {
			if got := kafkaError(err, f); !kerr.IsRetriable(got) {
				t.Errorf("family %d, %v: %v is not retriable", f, err, got)
			}
		}
		if got := kafkaError(fmt.Errorf("%w: %w", base.ErrUnavailable, kerr.InvalidTxnState), f); got != kerr.InvalidTxnState {
			t.Errorf("a Kafka error does not pass: %v", got)
		}
		if got := kafkaError(nil, f); got != nil {
			t.Errorf("family %d, no error: %v", f, got)
		}
		for _, err := range []error{errors.New("what"), fmt.Errorf("what: %w", kerr.UnknownServerError)} {
			if got := kafkaError(err, f); !kerr.IsRetriable(got) || known(err, f) != nil {
				t.Errorf("family %d, an error that nobody knows: %v", f, got)
			}
		}
	}
}

func TestConfigValidate(t *testing.T) {
	if err := DefaultConfig(1).Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"node id":    func(c *Config) { c.NodeID = 0 },
		"partitions": func(c *Config) { c.DefaultPartitions = 0 },
		"negative":   func(c *Config) { c.Limits.Connections = -1 },
		"time":       func(c *Config) { c.Limits.Idle = -1 },
		"buffered":   func(c *Config) { c.Limits.BufferedBytes = 1 },
	} {
		c := DefaultConfig(1)
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
