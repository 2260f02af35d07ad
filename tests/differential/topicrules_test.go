package differential

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var topicRules = []*rule{
	{
		api: "Metadata", name: "a topic is created for a client of a version below 4; kfake does not",
		why: "Before version 4 the request has no field for it, and all may (KIP-4, MetadataRequest).", parts: true, rare: true,
		where: func(d *difference) bool { return d.version < 4 },
	},
	{
		api: "Metadata", name: "each id that nobody has is answered; kfake answers one of them",
		why: "As Kafka (KafkaApis, KIP-516).", rare: true,
		where: func(d *difference) bool {
			return d.only() == "gnomon" && d.fields["ErrorCode"] == code(kerr.UnknownTopicID)
		},
	},
	{
		api: "Metadata", name: "no topic is made of a name that no topic can have; kfake makes it",
		why: "As Kafka (AutoTopicCreationManager).", parts: true,
		where: func(d *difference) bool {
			return d.is("ErrorCode", code(kerr.InvalidTopicException), "0") || d.only() == "kfake" && d.kfake.fields["ErrorCode"] == "0" ||
				d.only() == "gnomon" && d.fields["ErrorCode"] == code(kerr.InvalidTopicException)
		},
	},
	{
		api: "Metadata", name: "INVALID_TOPIC_EXCEPTION for a name that no topic can have; kfake: UNKNOWN_TOPIC_OR_PARTITION",
		why: "As Kafka (KafkaApis, AutoTopicCreationManager).",
		where: func(d *difference) bool {
			return d.codes(kerr.InvalidTopicException.Code, kerr.UnknownTopicOrPartition.Code)
		},
	},
	{
		api: "CreateTopics", name: "a name that no topic can have is refused; kfake makes the topic, or finds another fault first",
		why: "As Kafka, which looks at names first (ReplicationControlManager).", parts: true,
		where: func(d *difference) bool { return d.is("ErrorCode", code(kerr.InvalidTopicException), "*") },
	},
	{
		api: "CreateTopics", name: "settings are checked; kfake takes any",
		why: "As Kafka (ConfigurationControlManager).", parts: true, rare: true,
		where: func(d *difference) bool { return d.codes(kerr.InvalidConfig.Code, 0) },
	},
	{
		api: "CreateTopics", name: "a number of partitions below -1 is refused; kfake takes its default",
		why: "As Kafka (ReplicationControlManager).", parts: true, rare: true,
		where: func(d *difference) bool { return d.codes(kerr.InvalidPartitions.Code, 0) },
	},
	{
		api: "CreateTopics", name: "a replication factor of 0 or below -1 is refused; kfake takes it, or finds another fault",
		why: "As Kafka, which looks at it before the partitions (ReplicationControlManager).", parts: true, rare: true,
		where: func(d *difference) bool {
			return d.codes(kerr.InvalidReplicationFactor.Code, 0) || d.codes(kerr.InvalidReplicationFactor.Code, kerr.InvalidPartitions.Code)
		},
	},
	{
		api: "CreateTopics", name: "where a name is doubled the others are dealt with; kfake refuses all with INVALID_REQUEST",
		why: "As Kafka, which refuses what is doubled (ControllerApis).", parts: true,
		where: func(d *difference) bool {
			return d.kfake.fields["ErrorCode"] == code(kerr.InvalidRequest) && twiceInCreate(d)
		},
	},
	{
		api: "CreateTopics", name: "the replication factor is 3 where the client gives none; kfake: as many as there are brokers",
		why:   "What the bucket is worth. It means nothing else.",
		where: func(d *difference) bool { return d.is("ReplicationFactor", "3", "1") }, fields: []string{"ReplicationFactor"},
	},
	{
		api: "CreatePartitions", name: "where a name is doubled the others are dealt with; kfake refuses all with INVALID_REQUEST",
		why: "As Kafka, which refuses what is doubled (ControllerApis).", parts: true, rare: true,
		where: func(d *difference) bool {
			return d.kfake.fields["ErrorCode"] == code(kerr.InvalidRequest) && twiceInGrow(d)
		},
	},
	{
		api: "CreatePartitions", name: "INVALID_PARTITIONS for as many as there are; kfake: no error, or INVALID_REPLICA_ASSIGNMENT",
		why: "As Kafka (ReplicationControlManager).",
		where: func(d *difference) bool {
			return d.codes(kerr.InvalidPartitions.Code, 0) || d.codes(kerr.InvalidPartitions.Code, kerr.InvalidReplicaAssignment.Code)
		},
	},
	{
		api: "DeleteTopics", name: "a topic that is named twice is refused, once; kfake deletes it",
		why: "As Kafka (ControllerApis).", parts: true,
		where: func(d *difference) bool { return d.is("ErrorCode", code(kerr.InvalidRequest), "*") || d.only() != "" },
	},
	{
		api: "DescribeTopicPartitions", name: "INVALID_TOPIC_EXCEPTION for a name that no topic can have; kfake: UNKNOWN_TOPIC_OR_PARTITION",
		why: "As Kafka (DescribeTopicPartitionsRequestHandler).",
		where: func(d *difference) bool {
			return d.codes(kerr.InvalidTopicException.Code, kerr.UnknownTopicOrPartition.Code)
		},
	},
	{
		api: "Metadata", name: "no authorized operations for an id that nobody has; kfake shows some",
		why:   "As Kafka (KafkaApis), where they are a name's.",
		where: func(d *difference) bool { return d.fields["ErrorCode"] == code(kerr.UnknownTopicID) }, fields: []string{"AuthorizedOperations"},
	},
	{
		api: "DeleteTopics", name: "no name for an id that nobody has; kfake: an empty one",
		why:   "As Kafka: the field is nullable (KIP-516).",
		where: func(d *difference) bool { return d.is("Topic", "null", "") }, fields: []string{"Topic"},
	},
	{
		api: "ElectLeaders", name: "ELECTION_NOT_NEEDED where the preferred replica leads; kfake elects it again, in a new epoch",
		why: "As Kafka (ReplicationControlManager.electLeader).", parts: true,
		where: func(d *difference) bool { return d.codes(kerr.ElectionNotNeeded.Code, 0) },
	},
	{
		api: "DescribeCluster", name: "authorized operations are those that a cluster has; kfake shows more",
		why:   "As Kafka (AclEntry).",
		where: func(d *difference) bool { return true }, fields: []string{"ClusterAuthorizedOperations"},
	},
}

func code(err *kerr.Error) string { return fmt.Sprint(err.Code) }

// twiceInGrow is twiceInCreate for CreatePartitions.
func twiceInGrow(d *difference) bool {
	seen := map[string]bool{}
	for _, t := range d.req.(*kmsg.CreatePartitionsRequest).Topics {
		if seen[t.Topic] {
			return true
		}
		seen[t.Topic] = true
	}
	return false
}

// twiceInCreate tells whether a topic of the request is named twice.
func twiceInCreate(d *difference) bool {
	seen := map[string]bool{}
	for _, t := range d.req.(*kmsg.CreateTopicsRequest).Topics {
		if seen[t.Topic] {
			return true
		}
		seen[t.Topic] = true
	}
	return false
}
