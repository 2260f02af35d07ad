package kafkaapi

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ElectLeaders (key 43), versions 0 to 2.
//
// Any agent serves any partition, so nothing is ever to be elected: ELECTION_NOT_NEEDED for each partition that is named, and, as
// in Kafka, no partition at all where all were asked for.
func electLeadersAPI() *api {
	return &api{
		key: int16(kmsg.ElectLeaders), name: "ElectLeaders", min: 0, max: 2, family: familyAdmin,
		new: func() kmsg.Request { return kmsg.NewPtrElectLeadersRequest() }, shape: shapeElectLeaders, handle: electLeaders,
	}
}

func electLeaders(ctx context.Context, q *request) answer {
	req := q.body.(*kmsg.ElectLeadersRequest)
	resp := req.ResponseKind().(*kmsg.ElectLeadersResponse)
	look := q.lookup(ctx)
	for _, rt := range req.Topics {
		out := kmsg.NewElectLeadersResponseTopic()
		out.Topic = rt.Topic
		t, err := look.byName(rt.Topic)
		for _, p := range rt.Partitions {
			po := kmsg.NewElectLeadersResponseTopicPartition()
			po.Partition = p
			perr := err
			if perr == nil {
				_, perr = look.partition(t, p)
			}
			if perr == nil {
				perr = kerr.ElectionNotNeeded
			}
			po.ErrorCode, po.ErrorMessage = q.code(perr), kmsg.StringPtr(perr.Error())
			out.Partitions = append(out.Partitions, po)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return message{resp}
}
