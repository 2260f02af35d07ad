package differential

import (
	"github.com/twmb/franz-go/pkg/kerr"
)

// laxConfigs is where kfake takes what is refused.
func laxConfigs(d *difference) bool {
	return d.codes(kerr.InvalidConfig.Code, 0) || d.codes(kerr.InvalidRequest.Code, 0)
}

var configRules = []*rule{
	{
		api: "DescribeConfigs", name: "INVALID_TOPIC_EXCEPTION for a name that no topic can have; kfake: UNKNOWN_TOPIC_OR_PARTITION",
		why: "As Kafka (ConfigHelper).",
		where: func(d *difference) bool {
			return d.codes(kerr.InvalidTopicException.Code, kerr.UnknownTopicOrPartition.Code)
		},
	},
	{
		api: "AlterConfigs", name: "a request that is wrong is INVALID_REQUEST, whether or not the topic is there; kfake looks for the topic first",
		why: "As Kafka (ConfigAdminManager).", rare: true,
		where: func(d *difference) bool { return d.codes(kerr.InvalidRequest.Code, kerr.UnknownTopicOrPartition.Code) },
	},
	{
		api: "IncrementalAlterConfigs", name: "a request that is wrong is INVALID_REQUEST, whether or not the topic is there; kfake looks for the topic first",
		why:   "As Kafka (ConfigAdminManager).",
		where: func(d *difference) bool { return d.codes(kerr.InvalidRequest.Code, kerr.UnknownTopicOrPartition.Code) },
	},
	{
		api: "IncrementalAlterConfigs", name: "INVALID_CONFIG for appending to what is no list; kfake: INVALID_REQUEST",
		why:   "As Kafka (ConfigurationControlManager).",
		where: func(d *difference) bool { return d.codes(kerr.InvalidConfig.Code, kerr.InvalidRequest.Code) },
	},
	{
		api: "AlterConfigs", name: "settings are checked, and nothing may be named twice; kfake takes all",
		why: "As Kafka (ConfigAdminManager, ConfigurationControlManager).", where: laxConfigs, parts: true,
	},
	{
		api: "IncrementalAlterConfigs", name: "settings are checked, and nothing may be named twice; kfake takes all",
		why: "As Kafka (ConfigAdminManager, ConfigurationControlManager).", where: laxConfigs, parts: true,
	},
}
