package kafkaapi

import "github.com/twmb/franz-go/pkg/kmsg"

// configDef is what is known of one setting.
type configDef struct {
	name   string
	kind   kmsg.ConfigType
	value  string // the default
	broker string // the broker's setting of the same meaning, if there is one
	doc    string
}

// Defaults that the produce path uses too.
const (
	maxMessageBytesName    = "max.message.bytes"
	maxMessageBytesDefault = 1048588
	timestampAfterDefault  = 3600000 // ms
)

// topicConfigs are Kafka 4's settings of a topic with its defaults, sorted by name.
var topicConfigs = []configDef{
	{"cleanup.policy", kmsg.ConfigTypeList, "delete", "log.cleanup.policy", "What becomes of old records: delete, compact, or both."},
	{"compression.gzip.level", kmsg.ConfigTypeInt, "-1", "compression.gzip.level", "Level of gzip."},
	{"compression.lz4.level", kmsg.ConfigTypeInt, "9", "compression.lz4.level", "Level of lz4."},
	{"compression.type", kmsg.ConfigTypeString, "producer", "compression.type", "Codec of the topic; producer keeps what the producer chose."},
	{"compression.zstd.level", kmsg.ConfigTypeInt, "3", "compression.zstd.level", "Level of zstd."},
	{"delete.retention.ms", kmsg.ConfigTypeLong, "86400000", "log.cleaner.delete.retention.ms", "How long tombstones are kept."},
	{"file.delete.delay.ms", kmsg.ConfigTypeLong, "60000", "log.segment.delete.delay.ms", "Has no meaning here: there are no log files."},
	{"flush.messages", kmsg.ConfigTypeLong, "9223372036854775807", "log.flush.interval.messages", "Has no meaning here: records are durable before they are acked."},
	{"flush.ms", kmsg.ConfigTypeLong, "9223372036854775807", "log.flush.interval.ms", "Has no meaning here: records are durable before they are acked."},
	{"follower.replication.throttled.replicas", kmsg.ConfigTypeList, "", "", "Has no meaning here: there are no followers."},
	{"index.interval.bytes", kmsg.ConfigTypeInt, "4096", "log.index.interval.bytes", "Has no meaning here: there are no log files."},
	{"leader.replication.throttled.replicas", kmsg.ConfigTypeList, "", "", "Has no meaning here: there are no followers."},
	{"local.retention.bytes", kmsg.ConfigTypeLong, "-2", "log.local.retention.bytes", "Has no meaning here: all data is in the bucket."},
	{"local.retention.ms", kmsg.ConfigTypeLong, "-2", "log.local.retention.ms", "Has no meaning here: all data is in the bucket."},
	{"max.compaction.lag.ms", kmsg.ConfigTypeLong, "9223372036854775807", "log.cleaner.max.compaction.lag.ms", "How long a record may stay uncompacted."},
	{maxMessageBytesName, kmsg.ConfigTypeInt, "1048588", "message.max.bytes", "The largest batch, bytes."},
	{"message.timestamp.after.max.ms", kmsg.ConfigTypeLong, "3600000", "log.message.timestamp.after.max.ms", "How far a record's timestamp may be ahead of the agent's clock."},
	{"message.timestamp.before.max.ms", kmsg.ConfigTypeLong, "9223372036854775807", "log.message.timestamp.before.max.ms", "How far a record's timestamp may be behind the agent's clock."},
	{"message.timestamp.type", kmsg.ConfigTypeString, "CreateTime", "log.message.timestamp.type", "Whose time records carry: CreateTime or LogAppendTime."},
	{"min.cleanable.dirty.ratio", kmsg.ConfigTypeDouble, "0.5", "log.cleaner.min.cleanable.ratio", "How much of a partition is dirty before it is compacted."},
	{"min.compaction.lag.ms", kmsg.ConfigTypeLong, "0", "log.cleaner.min.compaction.lag.ms", "How long a record stays uncompacted at least."},
	{"min.insync.replicas", kmsg.ConfigTypeInt, "1", "min.insync.replicas", "Has no meaning here: the bucket replicates."},
	{"preallocate", kmsg.ConfigTypeBoolean, "false", "log.preallocate", "Has no meaning here: there are no log files."},
	{"remote.log.copy.disable", kmsg.ConfigTypeBoolean, "false", "", "Has no meaning here: all data is in the bucket."},
	{"remote.log.delete.on.disable", kmsg.ConfigTypeBoolean, "false", "", "Has no meaning here: all data is in the bucket."},
	{"remote.storage.enable", kmsg.ConfigTypeBoolean, "false", "", "Has no meaning here: all data is in the bucket."},
	{"retention.bytes", kmsg.ConfigTypeLong, "-1", "log.retention.bytes", "The most that a partition keeps, bytes; -1 for no limit."},
	{"retention.ms", kmsg.ConfigTypeLong, "604800000", "log.retention.ms", "How long records are kept; -1 for ever."},
	{"segment.bytes", kmsg.ConfigTypeInt, "1073741824", "log.segment.bytes", "Has no meaning here: there are no log files."},
	{"segment.index.bytes", kmsg.ConfigTypeInt, "10485760", "log.index.size.max.bytes", "Has no meaning here: there are no log files."},
	{"segment.jitter.ms", kmsg.ConfigTypeLong, "0", "log.roll.jitter.ms", "Has no meaning here: there are no log files."},
	{"segment.ms", kmsg.ConfigTypeLong, "604800000", "log.roll.ms", "Has no meaning here: there are no log files."},
	{"unclean.leader.election.enable", kmsg.ConfigTypeBoolean, "false", "unclean.leader.election.enable", "Has no meaning here: no election loses records."},
}
