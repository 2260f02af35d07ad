package coordinator

import (
	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteGroups answers DeleteGroups: a group without members goes, with its committed offsets.
func (tx *Tx) deleteGroups(req *kmsg.DeleteGroupsRequest) *kmsg.DeleteGroupsResponse {
	resp := req.ResponseKind().(*kmsg.DeleteGroupsResponse)
	for _, name := range req.Groups {
		out := kmsg.NewDeleteGroupsResponseGroup()
		out.Group, out.ErrorCode = name, tx.deleteGroup(name)
		resp.Groups = append(resp.Groups, out)
	}
	return resp
}

func (tx *Tx) deleteGroup(name string) int16 {
	if tx.groupIsOurs(name) != nil {
		return kerr.CoordinatorNotAvailable.Code
	}
	code, fx := tx.l.groups.Delete(name)
	if code == kerr.GroupIDNotFound.Code && tx.State().Group(name) != nil {
		// The machine does not know it, so it has no members: it only has offsets.
		tx.l.emit(tx.l.c.cfg.Now(), &metalogpb.Event{Kind: &metalogpb.Event_GroupDeleted{GroupDeleted: &metalogpb.GroupDeleted{Group: name}}})
		return 0
	}
	tx.effects(fx)
	return code
}

// deleteOffsets answers OffsetDelete (KIP-496): the offsets of partitions that no member of the group reads.
func (tx *Tx) deleteOffsets(req *kmsg.OffsetDeleteRequest) (kmsg.Response, error) {
	if err := tx.groupIsOurs(req.Group); err != nil {
		return nil, err
	}
	resp := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
	use := tx.l.groups.Use(req.Group)
	switch {
	case req.Group == "": // Kafka lets it commit and fetch only
		resp.ErrorCode = kerr.InvalidGroupID.Code
		return resp, nil
	case !use.Known && tx.State().Group(req.Group) == nil:
		resp.ErrorCode = kerr.GroupIDNotFound.Code
		return resp, nil
	case use.Members && !use.Consumers:
		resp.ErrorCode = kerr.NonEmptyGroup.Code
		return resp, nil
	}
	ev := &metalogpb.OffsetsDeleted{Group: req.Group}
	for _, t := range req.Topics {
		out := kmsg.NewOffsetDeleteResponseTopic()
		out.Topic = t.Topic
		shown, found := tx.State().ShowByName(t.Topic)
		for _, p := range t.Partitions {
			po := kmsg.NewOffsetDeleteResponseTopicPartition()
			po.Partition = p.Partition
			switch {
			case !found || shown.Partition(p.Partition) == nil:
				po.ErrorCode = kerr.UnknownTopicOrPartition.Code
			case use.Members && use.Subscribed(t.Topic):
				po.ErrorCode = kerr.GroupSubscribedToTopic.Code
			default:
				id := shown.Info().ID
				if tx.hasOffset(req.Group, base.TopicPartition{Topic: id, Partition: p.Partition}) {
					ev.Partitions = append(ev.Partitions, &metalogpb.PartitionRef{TopicId: id[:], Partition: p.Partition})
				}
			}
			out.Partitions = append(out.Partitions, po)
		}
		resp.Topics = append(resp.Topics, out)
	}
	if len(ev.Partitions) == 0 {
		return resp, nil
	}
	return resp, tx.Emit(&metalogpb.Event{Kind: &metalogpb.Event_OffsetsDeleted{OffsetsDeleted: ev}})
}

func (tx *Tx) hasOffset(group string, tp base.TopicPartition) bool {
	g := tx.State().Group(group)
	if g == nil {
		return false
	}
	_, has := g.Offsets[tp]
	return has
}
