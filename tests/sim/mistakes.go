package sim

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// mistaken answers as a leader would that is wrong in a way that the run has.
func (tx *tx) mistaken(req kmsg.Request, answer func(kmsg.Response, error)) bool {
	resp, wrong := req.ResponseKind(), false
	switch r := req.(type) {
	case *kmsg.OffsetCommitRequest:
		wrong = tx.c.r.w.bug == anyCommit && tx.takeCommit(r, resp.(*kmsg.OffsetCommitResponse))
	case *kmsg.InitProducerIDRequest:
		if wrong = tx.c.r.w.bug == sameIDs; wrong {
			tx.c.desk.ids++
			resp.(*kmsg.InitProducerIDResponse).ProducerID = base.StripedID(tx.State().Region().Epoch, tx.c.desk.ids)
		}
	case *kmsg.DeleteRecordsRequest:
		if tx.c.r.w.bug == moreDeleted {
			r.Topics[0].Partitions[0].Offset = endOffset // and is answered by who does not know that
		}
	case *kmsg.IncrementalAlterConfigsRequest:
		if wrong = tx.c.r.w.bug == lostSettings; wrong {
			resp.(*kmsg.IncrementalAlterConfigsResponse).Resources = []kmsg.IncrementalAlterConfigsResponseResource{{}}
		}
	case *kmsg.DeleteGroupsRequest:
		if wrong = tx.c.r.w.bug == keptGroups; wrong {
			resp.(*kmsg.DeleteGroupsResponse).Groups = []kmsg.DeleteGroupsResponseGroup{{Group: r.Groups[0]}}
		}
	}
	if wrong {
		tx.reply(func(err error) { answer(resp, err) })
	}
	return wrong
}

// takeCommit takes an offset from whoever commits it.
func (tx *tx) takeCommit(r *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse) bool {
	t := r.Topics[0]
	p := t.Partitions[0]
	ev := &metalogpb.OffsetsCommitted{Group: r.Group, Offsets: []*metalogpb.CommittedOffset{{
		TopicId: t.TopicID[:], Partition: p.Partition, Offset: p.Offset, LeaderEpoch: -1, Metadata: *p.Metadata,
	}}}
	resp.Topics = []kmsg.OffsetCommitResponseTopic{{Partitions: []kmsg.OffsetCommitResponseTopicPartition{{}}}}
	return tx.emit(&metalogpb.Event{Kind: &metalogpb.Event_OffsetsCommitted{OffsetsCommitted: ev}}) == nil
}
