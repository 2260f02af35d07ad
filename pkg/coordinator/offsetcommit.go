package coordinator

import (
	"errors"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator/groups"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// OffsetMetadataBytesMax is Kafka's offset.metadata.max.bytes.
const OffsetMetadataBytesMax = 4096

// offsetCommit is one OffsetCommit being worked through: one event for all partitions of the request.
type offsetCommit struct {
	tx   *Tx
	code int16 // what is wrong with the committer
	kept int64 // see CommittedOffset.retention_ms
	room *offsetRoom
	ev   *metalogpb.OffsetsCommitted
}

// commitOffsets enters a group's offsets.
func (tx *Tx) commitOffsets(req *kmsg.OffsetCommitRequest) (kmsg.Response, error) {
	if err := tx.groupIsOurs(req.Group); err != nil {
		return nil, err
	}
	c := &offsetCommit{
		tx: tx, code: tx.checkCommit(req), kept: retentionAsked(req), room: tx.offsetRoom(req.Group), ev: &metalogpb.OffsetsCommitted{Group: req.Group},
	}
	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	for _, t := range req.Topics {
		out := kmsg.NewOffsetCommitResponseTopic()
		out.Topic, out.TopicID = t.Topic, t.TopicID
		shown, found := topicOfOffset(tx.State(), t.Topic, t.TopicID)
		for _, p := range t.Partitions {
			po := kmsg.NewOffsetCommitResponseTopicPartition()
			po.Partition, po.ErrorCode = p.Partition, c.take(t.Topic, shown, found, p)
			out.Partitions = append(out.Partitions, po)
		}
		resp.Topics = append(resp.Topics, out)
	}
	if len(c.ev.Offsets) == 0 {
		return resp, nil
	}
	err := tx.Emit(&metalogpb.Event{Kind: &metalogpb.Event_OffsetsCommitted{OffsetsCommitted: c.ev}})
	if errors.Is(err, base.ErrTooLarge) {
		refuseOffsets(resp)
		return resp, nil
	}
	return resp, err
}

// take judges one offset and puts it into the event, if it is taken; else it returns the code.
func (c *offsetCommit) take(topic string, shown state.Shadowed, found bool, p kmsg.OffsetCommitRequestTopicPartition) int16 {
	metadata := ""
	if p.Metadata != nil {
		metadata = *p.Metadata
	}
	switch {
	case !found && topic == "":
		return kerr.UnknownTopicID.Code
	case !found || shown.Partition(p.Partition) == nil:
		return kerr.UnknownTopicOrPartition.Code
	case c.code != 0: // the committer counts where there is something to commit to, as in Kafka
		return c.code
	case len(metadata) > OffsetMetadataBytesMax:
		return kerr.OffsetMetadataTooLarge.Code
	case !utf8.ValidString(metadata):
		return kerr.InvalidRequest.Code // the metalog can keep no other strings
	}
	id := shown.Info().ID
	if !c.room.take(base.TopicPartition{Topic: id, Partition: p.Partition}, metadata) {
		return tooMuch
	}
	c.ev.Offsets = append(c.ev.Offsets, &metalogpb.CommittedOffset{
		TopicId: id[:], Partition: p.Partition, Offset: p.Offset, LeaderEpoch: p.LeaderEpoch, Metadata: metadata, RetentionMs: c.kept,
	})
	return 0
}

// Versions of OffsetCommit that say how long offsets are kept; -1 leaves it to the region.
const (
	versionRetention     = 2
	versionRetentionLast = 4
)

// retentionAsked is how long the client wants its offsets to be kept, milliseconds; 0 when it leaves that to the region. As in Kafka
// there is neither a least nor a most; what is to be kept no time at all goes at the next look.
func retentionAsked(req *kmsg.OffsetCommitRequest) int64 {
	if req.Version < versionRetention || req.Version > versionRetentionLast || req.RetentionTimeMillis == -1 {
		return 0
	}
	return max(req.RetentionTimeMillis, 1)
}

// refuseOffsets says of all that was to be taken that it is too much for one entry of the log.
func refuseOffsets(resp *kmsg.OffsetCommitResponse) {
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			if p := &resp.Topics[i].Partitions[j]; p.ErrorCode == 0 {
				p.ErrorCode = tooMuch
			}
		}
	}
}

// tooMuch is the only code about too much that committers expect.
var tooMuch = kerr.InvalidCommitOffsetSize.Code

// versionGroupNotFound is the OffsetCommit version since which a member of no known group is told just that (KIP-848).
const versionGroupNotFound = 9

// checkCommit judges the committer as Kafka does: of a group that nobody knows, of one that only has offsets, of one with
// members. A group that a commit without a generation would create must fit the limit.
func (tx *Tx) checkCommit(req *kmsg.OffsetCommitRequest) int16 {
	known, stored := tx.l.groups.Knows(req.Group), tx.State().Group(req.Group) != nil
	switch {
	case known || req.Generation < 0 && stored || !groups.ValidGroupID(req.Group):
	case req.Generation < 0 && tx.State().GroupCount() >= tx.l.groups.MaxGroups():
		return tooMuch
	case req.Generation < 0:
	case stored:
		return kerr.UnknownMemberID.Code
	case req.Version >= versionGroupNotFound:
		return kerr.GroupIDNotFound.Code
	}
	return tx.l.groups.CheckCommit(tx.l.c.cfg.Now(), req.Group, req.MemberID, req.InstanceID, req.Generation)
}
