package coordinator

import (
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// createPartitions answers CreatePartitions: topics grow, and never shrink. Records of a key may go to another partition from
// then on, as in Kafka; what is written stays where it is.
func (tx *Tx) createPartitions(req *kmsg.CreatePartitionsRequest) *kmsg.CreatePartitionsResponse {
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	named := newNames(req.Topics, func(t *kmsg.CreatePartitionsRequestTopic) string { return t.Topic })
	for i := range req.Topics {
		t := &req.Topics[i]
		if named.before(t.Topic) {
			continue
		}
		out := kmsg.NewCreatePartitionsResponseTopic()
		out.Topic = t.Topic
		err := named.once(t.Topic)
		if err == nil {
			err = tx.growTopic(t, req.ValidateOnly)
		}
		if err != nil {
			out.ErrorCode, out.ErrorMessage = err.err.Code, kmsg.StringPtr(err.message)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

func (tx *Tx) growTopic(t *kmsg.CreatePartitionsRequestTopic, validateOnly bool) *apiError {
	shown, err := tx.ownTopic(t.Topic, "add partitions")
	if err != nil {
		return err
	}
	have := shown.Partitions()
	switch {
	case t.Count == have:
		return fail(kerr.InvalidPartitions, "topic %q has %d partitions already", t.Topic, have)
	case t.Count < have:
		return fail(kerr.InvalidPartitions, "topic %q has %d partitions: partitions cannot be taken away", t.Topic, have)
	case t.Assignment != nil && len(t.Assignment) != int(t.Count-have):
		return fail(kerr.InvalidReplicaAssignment, "topic %q gets %d more partitions, the request assigns %d", t.Topic, t.Count-have, len(t.Assignment))
	}
	if err = tx.admitPartitions(t.Topic, t.Count); err == nil {
		err = tx.admitMore(0, int(t.Count-have))
	}
	if err != nil || validateOnly {
		return err
	}
	id := shown.Info().ID
	return tx.change(&metalogpb.Event{Kind: &metalogpb.Event_PartitionsAdded{
		PartitionsAdded: &metalogpb.PartitionsAdded{TopicId: id[:], Partitions: t.Count},
	}})
}
