package kafkaapi

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// ListOffsets (key 2), versions 1 to 11.
//
// Timestamps and Kafka's special ones are the Reader's, as far as the request's version has them. There is no tiered
// storage: -5 (latest tiered) is the Reader's answer, -6 (earliest pending upload) has none.
//
// Not implemented: replica ids are not looked at; the timeout of version 10 (Limits.Forward bounds the request).
func listOffsetsAPI() *api {
	return &api{
		key: int16(kmsg.ListOffsets), name: "ListOffsets", min: 1, max: 11, family: familyRead,
		new: func() kmsg.Request { return kmsg.NewPtrListOffsetsRequest() }, shape: shapeListOffsets, handle: listOffsets,
	}
}

// timestampEarliestPending is "earliest pending upload" (KIP-1023).
const timestampEarliestPending = -6

// timestampSince gives the version of ListOffsets from which a special timestamp may be asked for.
var timestampSince = map[int64]int16{-1: 0, -2: 0, -3: 7, -4: 8, -5: 9, timestampEarliestPending: 11}

func listOffsets(ctx context.Context, q *request) answer {
	req := q.body.(*kmsg.ListOffsetsRequest)
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	look := q.lookup(ctx)
	type wanted struct {
		topic Topic
		in    *kmsg.ListOffsetsRequestTopicPartition
		out   *kmsg.ListOffsetsResponseTopicPartition
	}
	var all []wanted
	twice := timesNamed(req)
	resp.Topics = make([]kmsg.ListOffsetsResponseTopic, len(req.Topics))
	for i := range req.Topics {
		rt, out := &req.Topics[i], &resp.Topics[i]
		out.Topic = rt.Topic
		out.Partitions = make([]kmsg.ListOffsetsResponseTopicPartition, len(rt.Partitions))
		t, err := look.byName(rt.Topic)
		for j := range rt.Partitions {
			rp, op := &rt.Partitions[j], &out.Partitions[j]
			op.Default()
			op.Partition = rp.Partition
			// The request is looked at before the topic is, as in Kafka.
			perr := checkTimestamp(rp.Timestamp, q.version)
			if twice[partitionName{rt.Topic, rp.Partition}] > 1 {
				perr = fmt.Errorf("%s-%d is named more than once: %w", rt.Topic, rp.Partition, kerr.InvalidRequest)
			}
			if perr == nil {
				perr = err
			}
			if perr == nil {
				t, perr = look.partition(t, rp.Partition)
			}
			if op.ErrorCode = q.code(perr); perr == nil && rp.Timestamp != timestampEarliestPending {
				all = append(all, wanted{t, rp, op})
			}
		}
	}
	err := each(ctx, len(all), func(ctx context.Context, i int) {
		w := all[i]
		w.out.ErrorCode = kerr.KafkaStorageError.Code // stands if the Reader panics
		tp := base.TopicPartition{Topic: w.topic.ID, Partition: w.in.Partition}
		at, err := q.server.deps.Reader.ListOffset(ctx, tp, w.in.Timestamp, req.IsolationLevel == readCommitted, base.Epoch(w.in.CurrentLeaderEpoch))
		if w.out.ErrorCode = q.code(err); err == nil {
			w.out.Offset, w.out.Timestamp, w.out.LeaderEpoch = int64(at.Offset), at.Timestamp, int32(at.Epoch)
		}
	})
	if err != nil {
		q.server.log.Error("list offsets", "error", err)
	}
	return message{resp}
}

// partitionName is a partition as a request names it.
type partitionName struct {
	topic     string
	partition int32
}

// timesNamed counts how often a request names each partition.
func timesNamed(req *kmsg.ListOffsetsRequest) map[partitionName]int {
	out := map[partitionName]int{}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			out[partitionName{t.Topic, p.Partition}]++
		}
	}
	return out
}

// checkTimestamp tells whether a request of this version may ask for a timestamp.
func checkTimestamp(timestamp int64, version int16) error {
	if timestamp >= 0 {
		return nil
	}
	if since, ok := timestampSince[timestamp]; !ok || version < since {
		return fmt.Errorf("timestamp %d in version %d: %w", timestamp, version, kerr.UnsupportedVersion)
	}
	return nil
}
