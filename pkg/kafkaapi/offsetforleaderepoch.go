package kafkaapi

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// OffsetForLeaderEpoch (key 23), versions 2 to 4.
//
// Answers with the largest epoch that is not above the one asked for, and its end (KIP-101, KIP-320). The Reader sees to
// it that no answer is below what a consumer may have read in that epoch.
//
// Not implemented: replica ids are not looked at.
func offsetForLeaderEpochAPI() *api {
	return &api{
		key: int16(kmsg.OffsetForLeaderEpoch), name: "OffsetForLeaderEpoch", min: 2, max: 4, family: familyRead,
		new: func() kmsg.Request { return kmsg.NewPtrOffsetForLeaderEpochRequest() }, shape: shapeOffsetForLeaderEpoch, handle: offsetForLeaderEpoch,
	}
}

func offsetForLeaderEpoch(ctx context.Context, q *request) answer {
	req := q.body.(*kmsg.OffsetForLeaderEpochRequest)
	resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
	look := q.lookup(ctx)
	type wanted struct {
		topic Topic
		in    *kmsg.OffsetForLeaderEpochRequestTopicPartition
		out   *kmsg.OffsetForLeaderEpochResponseTopicPartition
	}
	var all []wanted
	resp.Topics = make([]kmsg.OffsetForLeaderEpochResponseTopic, len(req.Topics))
	for i := range req.Topics {
		rt, out := &req.Topics[i], &resp.Topics[i]
		out.Topic = rt.Topic
		out.Partitions = make([]kmsg.OffsetForLeaderEpochResponseTopicPartition, len(rt.Partitions))
		t, err := look.byName(rt.Topic)
		for j := range rt.Partitions {
			rp, op := &rt.Partitions[j], &out.Partitions[j]
			op.Default()
			op.Partition = rp.Partition
			perr := err
			if perr == nil {
				t, perr = look.partition(t, rp.Partition)
			}
			if op.ErrorCode = q.code(perr); perr == nil {
				all = append(all, wanted{t, rp, op})
			}
		}
	}
	err := each(ctx, len(all), func(ctx context.Context, i int) {
		w := all[i]
		w.out.ErrorCode = kerr.KafkaStorageError.Code // stands if the Reader panics
		tp := base.TopicPartition{Topic: w.topic.ID, Partition: w.in.Partition}
		end, err := q.server.deps.Reader.EpochEnd(ctx, tp, base.Epoch(w.in.LeaderEpoch), base.Epoch(w.in.CurrentLeaderEpoch))
		if w.out.ErrorCode = q.code(err); err == nil {
			w.out.LeaderEpoch, w.out.EndOffset = int32(end.Epoch), int64(end.End)
		}
	})
	if err != nil {
		q.server.log.Error("offset for leader epoch", "error", err)
	}
	return message{resp}
}
