package coordinator

import (
	"cmp"
	"maps"
	"slices"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator/groups"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchOffsets answers OffsetFetch in its three shapes: one group (versions below 8), several groups, and all
// partitions of a group (no topics named).
func (tx *Tx) fetchOffsets(req *kmsg.OffsetFetchRequest) (kmsg.Response, error) {
	resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	if req.Version < 8 {
		if err := tx.groupIsOurs(req.Group); err != nil {
			return nil, err
		}
		tx.fetchGroupV7(req, resp)
		return resp, nil
	}
	for _, g := range req.Groups {
		if err := tx.groupIsOurs(g.Group); err != nil {
			return nil, err
		}
		resp.Groups = append(resp.Groups, tx.fetchGroup(g, req.Version))
	}
	return resp, nil
}

// noOffset is what a partition without a committed offset gets.
var noOffset = state.GroupOffset{Offset: -1, LeaderEpoch: -1}

func (tx *Tx) offsetOf(group string, t state.Shadowed, partition int32) state.GroupOffset {
	g := tx.State().Group(group)
	if g == nil {
		return noOffset
	}
	if o, ok := g.Offsets[base.TopicPartition{Topic: t.Info().ID, Partition: partition}]; ok {
		return o
	}
	return noOffset
}

// committedTopics lists the topics and partitions that a group has offsets for, sorted.
func (tx *Tx) committedTopics(group string) []committedTopic {
	g := tx.State().Group(group)
	if g == nil {
		return nil
	}
	byTopic := map[base.TopicID][]int32{}
	for tp := range g.Offsets {
		byTopic[tp.Topic] = append(byTopic[tp.Topic], tp.Partition)
	}
	var out []committedTopic
	for _, id := range slices.SortedFunc(maps.Keys(byTopic), base.TopicID.Compare) {
		if t, ok := tx.State().Show(id); ok {
			slices.Sort(byTopic[id])
			out = append(out, committedTopic{t, byTopic[id]})
		}
	}
	slices.SortFunc(out, func(a, b committedTopic) int { return cmp.Compare(a.topic.Info().Name, b.topic.Info().Name) })
	return out
}

type committedTopic struct {
	topic      state.Shadowed
	partitions []int32
}

func (tx *Tx) fetchGroupV7(req *kmsg.OffsetFetchRequest, resp *kmsg.OffsetFetchResponse) {
	add := func(name string, t state.Shadowed, found bool, partitions []int32) {
		out := kmsg.NewOffsetFetchResponseTopic()
		out.Topic = name
		for _, p := range partitions {
			o := noOffset
			if found {
				o = tx.offsetOf(req.Group, t, p)
			}
			po := kmsg.NewOffsetFetchResponseTopicPartition()
			po.Partition, po.Offset, po.LeaderEpoch, po.Metadata = p, int64(o.Offset), int32(o.LeaderEpoch), kmsg.StringPtr(o.Metadata)
			out.Partitions = append(out.Partitions, po)
		}
		resp.Topics = append(resp.Topics, out)
	}
	if req.Topics == nil {
		for _, ct := range tx.committedTopics(req.Group) {
			add(ct.topic.Info().Name, ct.topic, true, ct.partitions)
		}
		return
	}
	for _, t := range req.Topics {
		shown, found := tx.State().ShowByName(t.Topic)
		add(t.Topic, shown, found, t.Partitions)
	}
}

func (tx *Tx) fetchGroup(g kmsg.OffsetFetchRequestGroup, version int16) kmsg.OffsetFetchResponseGroup {
	resp := kmsg.NewOffsetFetchResponseGroup()
	resp.Group = g.Group
	add := func(name string, id [16]byte, t state.Shadowed, found bool, partitions []int32) {
		out := kmsg.NewOffsetFetchResponseGroupTopic()
		out.Topic, out.TopicID = name, id
		for _, p := range partitions {
			po := kmsg.NewOffsetFetchResponseGroupTopicPartition()
			o := noOffset
			switch {
			case found:
				o = tx.offsetOf(g.Group, t, p)
			case version >= 10:
				po.ErrorCode = kerr.UnknownTopicID.Code
			}
			po.Partition, po.Offset, po.LeaderEpoch, po.Metadata = p, int64(o.Offset), int32(o.LeaderEpoch), kmsg.StringPtr(o.Metadata)
			out.Partitions = append(out.Partitions, po)
		}
		resp.Topics = append(resp.Topics, out)
	}
	if g.Topics == nil {
		for _, ct := range tx.committedTopics(g.Group) {
			info := ct.topic.Info()
			add(info.Name, info.ID, ct.topic, true, ct.partitions)
		}
		return resp
	}
	for _, t := range g.Topics {
		shown, found := topicOfOffset(tx.State(), t.Topic, t.TopicID)
		add(t.Topic, t.TopicID, shown, found, t.Partitions)
	}
	return resp
}

// listGroups lists the groups with members as the machine knows them, and those that only have offsets as Empty.
func (tx *Tx) listGroups(req *kmsg.ListGroupsRequest) *kmsg.ListGroupsResponse {
	resp := req.ResponseKind().(*kmsg.ListGroupsResponse)
	resp.Groups = tx.l.groups.List(req.StatesFilter, req.TypesFilter, tx.State().Groups())
	return resp
}

// describeGroups describes groups with members as the machine knows them, and those that only have offsets as Empty.
func (tx *Tx) describeGroups(req *kmsg.DescribeGroupsRequest) *kmsg.DescribeGroupsResponse {
	resp := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
	for _, name := range req.Groups {
		g := *tx.l.groups.Describe(name)
		if g.State == string(groups.Dead) {
			switch st := tx.State().Group(name); {
			case st != nil && len(st.Offsets) > 0:
				g.State = string(groups.Empty)
			case req.Version >= 6:
				g.ErrorCode, g.ErrorMessage = kerr.GroupIDNotFound.Code, kmsg.StringPtr("no such group")
			}
		}
		if req.IncludeAuthorizedOperations {
			g.AuthorizedOperations = groupOperations
		}
		resp.Groups = append(resp.Groups, g)
	}
	return resp
}

// groupOperations are all that one can do to a group, as bits of Kafka's AclOperation (read, delete, describe, and describe and
// alter its settings): there is no authorizer.
const groupOperations = 1<<3 | 1<<6 | 1<<8 | 1<<10 | 1<<11
