package differential

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var topicKinds = []kind{
	{6, (*world).metadata},
	{4, (*world).createTopics},
	{2, (*world).createPartitions},
	{2, (*world).deleteTopics},
	{1, (*world).apiVersions},
	{1, (*world).describeTopicPartitions},
	{1, (*world).describeCluster},
	{1, (*world).electLeaders},
	{1, (*world).listReassignments},
	{1, (*world).futureVersion},
}

// begin makes the first topics and a producer of a sequence, and finds out the epoch of leaders.
func (w *world) begin() step {
	producer := w.initProducer()
	return func(s *side) []answer {
		create := kmsg.NewPtrCreateTopicsRequest()
		create.Version = 7
		for i, n := range []int32{2, 1} {
			create.Topics = append(create.Topics, newTopic(w.prefix+"t"+string(rune('0'+i)), n))
		}
		out := []answer{s.ask("main", create)}
		learnCreated(s, out[0].resp)
		look := kmsg.NewPtrMetadataRequest()
		look.Version = 13
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(w.prefix + "t0")
		look.Topics = append(look.Topics, t)
		a := s.ask("main", look)
		if resp, ok := a.resp.(*kmsg.MetadataResponse); ok && len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) > 0 {
			s.epoch = resp.Topics[0].Partitions[0].LeaderEpoch
		}
		return append(append(out, a), producer(s)...)
	}
}

// end deletes what Gnomon has of the sequence, which the others would carry along. kfake's cluster ends with the sequence.
func (w *world) end() kmsg.Request {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version = 5
	for i := range topicNames {
		req.TopicNames = append(req.TopicNames, fmt.Sprint(w.prefix, "t", i))
	}
	return req
}

func newTopic(name string, partitions int32) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, 1
	return t
}

func learnCreated(s *side, resp kmsg.Response) {
	if r, ok := resp.(*kmsg.CreateTopicsResponse); ok {
		for _, t := range r.Topics {
			s.learnTopic(t.Topic, t.TopicID)
		}
	}
}

func learnMetadata(s *side, resp kmsg.Response) {
	for _, t := range resp.(*kmsg.MetadataResponse).Topics {
		if t.Topic != nil && t.ErrorCode == 0 {
			s.learnTopic(*t.Topic, t.TopicID)
		}
	}
}

func (w *world) metadata() step {
	version := w.version(0, 13)
	if version < 4 && w.in(85) {
		version += 4 // below, Gnomon makes topics that kfake does not
	}
	create := version < 4 || w.in(30)
	var names []string
	var ids []func(*side) [16]byte
	draw := w.anyTopic
	if create && w.in(80) {
		draw = w.topic
	}
	all := w.in(10)
	byID := version >= 12 && w.in(30) // all of them: Kafka looks at no names where there are ids
	for range w.some() {
		name := draw()
		names, ids = append(names, name), append(ids, nil)
		if byID {
			ids[len(ids)-1] = w.topicID(name)
		}
	}
	operations := w.in(10)
	return one("main", func(s *side) kmsg.Request {
		req := kmsg.NewPtrMetadataRequest()
		req.Version, req.AllowAutoTopicCreation = version, create
		req.IncludeTopicAuthorizedOperations = operations && version >= 8
		if all {
			return req
		}
		for i, name := range names {
			t := kmsg.NewMetadataRequestTopic()
			if ids[i] != nil {
				t.TopicID = ids[i](s)
			} else {
				t.Topic = kmsg.StringPtr(name)
			}
			req.Topics = append(req.Topics, t)
		}
		return req
	}, learnMetadata)
}

func (w *world) createTopics() step {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.ValidateOnly = w.version(2, 7), w.in(15)
	for _, name := range w.topics() {
		t := newTopic(name, pick[int32](w, 1, 2, 3, 1, 2, 3, 1, 2, 3, -1, 0, -2))
		if req.Version < 4 && t.NumPartitions == -1 {
			t.NumPartitions = 2
		}
		if w.in(15) {
			t.ReplicationFactor = pick[int16](w, -1, -1, -1, -2)
		}
		if w.in(10) {
			t.NumPartitions, t.ReplicationFactor = pick[int32](w, -1, -1, -1, 2), -1
			for range 1 + w.IntN(2) {
				a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
				a.Partition, a.Replicas = pick[int32](w, 0, 1, 0, 1, 5), []int32{0}
				t.ReplicaAssignment = append(t.ReplicaAssignment, a)
			}
		}
		if w.in(20) {
			c := kmsg.NewCreateTopicsRequestTopicConfig()
			c.Name, c.Value = w.setting()
			t.Configs = append(t.Configs, c)
		}
		req.Topics = append(req.Topics, t)
	}
	return one("main", func(*side) kmsg.Request { return req }, learnIDs(req))
}

// learnIDs asks for the ids of topics that were created in a version that does not tell.
func learnIDs(req *kmsg.CreateTopicsRequest) func(s *side, resp kmsg.Response) {
	return func(s *side, resp kmsg.Response) {
		learnCreated(s, resp)
		look := kmsg.NewPtrMetadataRequest()
		look.Version = 12
		for _, t := range req.Topics {
			n := kmsg.NewMetadataRequestTopic()
			n.Topic = kmsg.StringPtr(t.Topic)
			look.Topics = append(look.Topics, n)
		}
		if a := s.ask("main", look); a.resp != nil {
			learnMetadata(s, a.resp)
		}
	}
}

func (w *world) createPartitions() step {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.Version, req.ValidateOnly = w.version(0, 3), w.in(20)
	for _, name := range w.topics() {
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = name, pick[int32](w, 1, 2, 3, 4, 0, -1)
		if w.in(15) {
			for range 1 + w.IntN(2) {
				a := kmsg.NewCreatePartitionsRequestTopicAssignment()
				a.Replicas = []int32{0}
				t.Assignment = append(t.Assignment, a)
			}
		}
		req.Topics = append(req.Topics, t)
	}
	return plain(req)
}

func (w *world) deleteTopics() step {
	version := w.version(1, 6)
	var names []string
	var ids []func(*side) [16]byte
	for _, name := range w.topics() {
		names, ids = append(names, name), append(ids, nil)
		if version >= 6 && w.in(50) {
			ids[len(ids)-1] = w.topicID(name)
		}
	}
	return one("main", func(s *side) kmsg.Request {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.Version = version
		for i, name := range names {
			t := kmsg.NewDeleteTopicsRequestTopic()
			if ids[i] != nil {
				t.TopicID = ids[i](s)
			} else {
				t.Topic = kmsg.StringPtr(name)
			}
			req.TopicNames, req.Topics = append(req.TopicNames, name), append(req.Topics, t)
		}
		return req
	}, nil)
}

func (w *world) apiVersions() step {
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = w.version(0, 4), "differential", "1"
	if w.in(20) {
		req.ClientSoftwareName = pick(w, "", "-", "a b")
	}
	return plain(req)
}

func (w *world) describeTopicPartitions() step {
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = 2000
	for range w.some() {
		t := kmsg.NewDescribeTopicPartitionsRequestTopic()
		t.Topic = w.anyTopic()
		req.Topics = append(req.Topics, t)
	}
	return plain(req)
}

func (w *world) electLeaders() step {
	req := kmsg.NewPtrElectLeadersRequest()
	req.Version, req.TimeoutMillis = w.version(0, 2), 5000
	for _, p := range w.places() {
		t := kmsg.NewElectLeadersRequestTopic()
		t.Topic, t.Partitions = p.topic, []int32{p.partition}
		req.Topics = append(req.Topics, t)
	}
	return plain(req)
}

func (w *world) listReassignments() step {
	req := kmsg.NewPtrListPartitionReassignmentsRequest()
	for _, p := range w.places() {
		t := kmsg.NewListPartitionReassignmentsRequestTopic()
		t.Topic, t.Partitions = p.topic, []int32{p.partition}
		req.Topics = append(req.Topics, t)
	}
	return plain(req)
}

// futureVersion is a request of a version that neither has: both close the connection.
func (w *world) futureVersion() step {
	req := pick[kmsg.Request](w, kmsg.NewPtrMetadataRequest(), kmsg.NewPtrFetchRequest(), kmsg.NewPtrHeartbeatRequest(), kmsg.NewPtrDeleteGroupsRequest())
	req.SetVersion(req.MaxVersion() + int16(1+w.IntN(3)))
	return plain(req)
}

func (w *world) describeCluster() step {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.Version, req.IncludeClusterAuthorizedOperations = w.version(0, 2), w.in(50)
	return plain(req)
}
