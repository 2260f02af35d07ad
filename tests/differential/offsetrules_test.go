package differential

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

var offsetRules = []*rule{
	{
		api: "OffsetCommit", name: "a member of a group that nobody knows gets GROUP_ID_NOT_FOUND from version 9 on; kfake: ILLEGAL_GENERATION",
		why: "As Kafka (KIP-848, OffsetMetadataManager).", rare: true,
		where: func(d *difference) bool { return d.codes(kerr.GroupIDNotFound.Code, kerr.IllegalGeneration.Code) },
	},
	{
		api: "OffsetCommit", name: "a partition that is not there gets UNKNOWN_TOPIC_OR_PARTITION, whoever commits; kfake looks at the committer first",
		why:   "As Kafka (KafkaApis).",
		where: func(d *difference) bool { return d.is("ErrorCode", code(kerr.UnknownTopicOrPartition), "*") },
	},
	{
		api: "OffsetCommit", name: "UNKNOWN_MEMBER_ID for a stranger to a group without members; kfake: ILLEGAL_GENERATION",
		why: "As Kafka (ClassicGroup.validateOffsetCommit).", rare: true,
		where: func(d *difference) bool { return d.codes(kerr.UnknownMemberID.Code, kerr.IllegalGeneration.Code) },
	},
	{
		api: "OffsetCommit", name: "metadata of more than 4096 bytes is refused; kfake takes it",
		why: "As Kafka (offset.metadata.max.bytes).", parts: true, rare: true,
		where: func(d *difference) bool { return d.codes(kerr.OffsetMetadataTooLarge.Code, 0) },
	},
	{
		api: "OffsetCommit", name: "UNKNOWN_TOPIC_ID for no id, whoever commits; kfake: UNKNOWN_TOPIC_OR_PARTITION, or it looks at the committer first",
		why:   "As Kafka (KafkaApis, version 10).",
		where: func(d *difference) bool { return d.is("ErrorCode", code(kerr.UnknownTopicID), "*") },
	},
	{
		api: "OffsetDelete", name: "UNKNOWN_TOPIC_OR_PARTITION for a partition that is not there; kfake: no error, or GROUP_SUBSCRIBED_TO_TOPIC",
		why:   "As Kafka (KafkaApis).",
		where: func(d *difference) bool { return d.is("ErrorCode", code(kerr.UnknownTopicOrPartition), "*") },
	},
	{
		api: "OffsetDelete", name: "INVALID_GROUP_ID for an empty group; kfake: GROUP_ID_NOT_FOUND",
		why:   "As Kafka (GroupCoordinatorService.deleteOffsets).",
		where: func(d *difference) bool { return d.codes(kerr.InvalidGroupID.Code, kerr.GroupIDNotFound.Code) },
	},
	{
		api: "OffsetFetch", name: "a group that nobody knows has no offsets, and that is no error; kfake: GROUP_ID_NOT_FOUND",
		why: "As Kafka (OffsetMetadataManager.fetchOffsets).",
		where: func(d *difference) bool {
			return d.codes(0, kerr.GroupIDNotFound.Code) || d.only() == "gnomon" && strings.Contains(d.kind, "Topics")
		},
	},
	{
		api: "OffsetFetch", name: "without an offset the metadata is empty; kfake: null",
		why:   "As Kafka (OffsetFetchResponse.NO_METADATA).",
		where: func(d *difference) bool { return d.is("Metadata", "", "null") }, fields: []string{"Metadata"},
	},
	{
		api: "OffsetFetch", name: "UNKNOWN_TOPIC_ID for an id that nobody has; kfake: no error",
		why:   "As Kafka (KafkaApis, version 10).",
		where: func(d *difference) bool { return d.codes(kerr.UnknownTopicID.Code, 0) }, fields: []string{"ErrorCode"},
	},
}
