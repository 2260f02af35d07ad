package kafkaapi

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeTopicPartitions (key 75), version 0: Metadata for topics with many partitions, page by page (KIP-966).
//
// Topics come sorted by name; a page ends at the request's limit, and at describePartitionsMax at the most, with a cursor for the
// next. Topics in a request that are not there are errors of their own; no topics named means all. It never creates topics.
func describeTopicPartitionsAPI() *api {
	return &api{
		key: int16(kmsg.DescribeTopicPartitions), name: "DescribeTopicPartitions", min: 0, max: 0, family: familyMetadata,
		new:   func() kmsg.Request { return kmsg.NewPtrDescribeTopicPartitionsRequest() },
		shape: shapeDescribeTopicPartitions, handle: describeTopicPartitions,
	}
}

// describePartitionsMax is Kafka's max.request.partition.size.limit.
const describePartitionsMax = 2000

func describeTopicPartitions(ctx context.Context, q *request) answer {
	req := q.body.(*kmsg.DescribeTopicPartitionsRequest)
	resp := req.ResponseKind().(*kmsg.DescribeTopicPartitionsResponse)
	look := q.lookup(ctx)
	look.fresh()
	var names []string
	for _, t := range req.Topics {
		names = append(names, t.Topic)
	}
	if len(names) == 0 {
		for _, t := range q.server.deps.Catalog.Topics() {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	page := partitionPage{q: q, resp: resp, left: describePartitionsMax}
	if req.ResponsePartitionLimit > 0 {
		page.left = min(page.left, int(req.ResponsePartitionLimit))
	}
	for _, name := range slices.Compact(names) {
		first := int32(0)
		if c := req.Cursor; c != nil {
			switch cmp.Compare(name, c.Topic) {
			case -1:
				continue
			case 0:
				first = max(c.Partition, 0)
			}
		}
		if !page.topic(look, name, first) {
			break
		}
	}
	return message{resp}
}

// partitionPage is an answer that is being filled.
type partitionPage struct {
	q    *request
	resp *kmsg.DescribeTopicPartitionsResponse
	left int // partitions that the page has room for
}

// topic adds a topic's partitions from one on; false when the page is full.
func (p *partitionPage) topic(look *lookup, name string, first int32) bool {
	if p.left == 0 {
		p.next(name, first)
		return false
	}
	out := kmsg.NewDescribeTopicPartitionsResponseTopic()
	out.Topic = kmsg.StringPtr(name)
	out.AuthorizedOperations = topicOperations
	var t Topic
	err := error(nil)
	if !validTopicName(name) {
		err = fmt.Errorf("topic name %q: %w", name, kerr.InvalidTopicException)
	} else {
		t, err = look.byName(name)
	}
	if err != nil {
		out.ErrorCode = p.q.code(err)
		p.resp.Topics = append(p.resp.Topics, out)
		return true
	}
	out.TopicID = t.ID
	end := min(int(t.Partitions), int(first)+p.left)
	for i := int(first); i < end; i++ {
		out.Partitions = append(out.Partitions, p.partition(t, int32(i)))
		p.left--
	}
	p.resp.Topics = append(p.resp.Topics, out)
	if end < int(t.Partitions) {
		p.next(name, int32(end))
		return false
	}
	return true
}

func (p *partitionPage) next(topic string, partition int32) {
	p.resp.NextCursor = &kmsg.DescribeTopicPartitionsResponseNextCursor{Topic: topic, Partition: partition}
}

func (p *partitionPage) partition(t Topic, i int32) kmsg.DescribeTopicPartitionsResponseTopicPartition {
	leader := p.q.server.deps.Catalog.Leader(t.ID, i)
	out := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
	out.Partition, out.LeaderID, out.LeaderEpoch = i, leader, int32(t.LeaderEpoch)
	out.Replicas = []int32{leader}
	out.ISR = out.Replicas
	// Null is allowed, but the Java client cannot do without.
	out.EligibleLeaderReplicas, out.LastKnownELR = []int32{}, []int32{}
	return out
}
