// Package topicconfig knows the settings of a topic: their names, defaults and meaning here, and which values a new topic may
// have. The coordinator checks by it, and the Kafka server describes by it.
//
// A value that cannot be honoured is refused where a user would rely on it (compaction): a topic that is not
// what was asked for is found out too late. What has no meaning here is accepted and kept, since clients and tools set it as a
// matter of course.
package topicconfig

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Def is what is known of one setting.
type Def struct {
	Name   string
	Kind   kmsg.ConfigType
	Value  string // the default
	Broker string // the broker's setting of the same meaning, if there is one
	Doc    string
	check  func(d *Def, value string) error
}

// All are Kafka 4's settings of a topic with its defaults, sorted by name.
var All = []Def{
	{"cleanup.policy", kmsg.ConfigTypeList, "delete", "log.cleanup.policy", "What becomes of old records: delete, compact, or both.", cleanupPolicy},
	{"compression.gzip.level", kmsg.ConfigTypeInt, "-1", "compression.gzip.level", "Level of gzip: 1 to 9, or -1 for its default.", levels(1, 9, -1)},
	{"compression.lz4.level", kmsg.ConfigTypeInt, "9", "compression.lz4.level", "Level of lz4: 1 to 17; 9 is the fast one, others try harder.", levels(1, 17, 9)},
	{"compression.type", kmsg.ConfigTypeString, "producer", "compression.type", "Codec of the topic: batches of another are recompressed before they are stored; producer keeps what the producer chose.", oneOf("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd")},
	{"compression.zstd.level", kmsg.ConfigTypeInt, "3", "compression.zstd.level", "Level of zstd: -131072 to 22.", levels(-131072, 22, 3)},
	{"delete.retention.ms", kmsg.ConfigTypeLong, "86400000", "log.cleaner.delete.retention.ms", "How long tombstones are kept.", atLeast(0)},
	{"file.delete.delay.ms", kmsg.ConfigTypeLong, "60000", "log.segment.delete.delay.ms", "Has no meaning here: there are no log files.", atLeast(0)},
	{"flush.messages", kmsg.ConfigTypeLong, "9223372036854775807", "log.flush.interval.messages", "Has no meaning here: records are durable before they are acked.", atLeast(1)},
	{"flush.ms", kmsg.ConfigTypeLong, "9223372036854775807", "log.flush.interval.ms", "Has no meaning here: records are durable before they are acked.", atLeast(0)},
	{"follower.replication.throttled.replicas", kmsg.ConfigTypeList, "", "", "Has no meaning here: there are no followers.", anything},
	{"index.interval.bytes", kmsg.ConfigTypeInt, "4096", "log.index.interval.bytes", "Has no meaning here: there are no log files.", atLeast(0)},
	{"leader.replication.throttled.replicas", kmsg.ConfigTypeList, "", "", "Has no meaning here: there are no followers.", anything},
	{"local.retention.bytes", kmsg.ConfigTypeLong, "-2", "log.local.retention.bytes", "Has no meaning here: all data is in the bucket.", atLeast(-2)},
	{"local.retention.ms", kmsg.ConfigTypeLong, "-2", "log.local.retention.ms", "Has no meaning here: all data is in the bucket.", atLeast(-2)},
	{"max.compaction.lag.ms", kmsg.ConfigTypeLong, "9223372036854775807", "log.cleaner.max.compaction.lag.ms", "How long a record may stay uncompacted.", atLeast(1)},
	{"max.message.bytes", kmsg.ConfigTypeInt, "1048588", "message.max.bytes", "The largest batch, bytes.", atLeast(0)},
	{"message.timestamp.after.max.ms", kmsg.ConfigTypeLong, "3600000", "log.message.timestamp.after.max.ms", "How far a record's timestamp may be ahead of the agent's clock.", atLeast(0)},
	{"message.timestamp.before.max.ms", kmsg.ConfigTypeLong, "9223372036854775807", "log.message.timestamp.before.max.ms", "How far a record's timestamp may be behind the agent's clock.", atLeast(0)},
	{"message.timestamp.type", kmsg.ConfigTypeString, "CreateTime", "log.message.timestamp.type", "Whose time records carry: CreateTime or LogAppendTime.", oneOf("CreateTime", "LogAppendTime")},
	{"min.cleanable.dirty.ratio", kmsg.ConfigTypeDouble, "0.5", "log.cleaner.min.cleanable.ratio", "How much of a partition is dirty before it is compacted.", atLeast(0)},
	{"min.compaction.lag.ms", kmsg.ConfigTypeLong, "0", "log.cleaner.min.compaction.lag.ms", "How long a record stays uncompacted at least.", atLeast(0)},
	{"min.insync.replicas", kmsg.ConfigTypeInt, "1", "min.insync.replicas", "Has no meaning here: the bucket replicates.", atLeast(1)},
	{"preallocate", kmsg.ConfigTypeBoolean, "false", "log.preallocate", "Has no meaning here: there are no log files.", boolean},
	{"remote.log.copy.disable", kmsg.ConfigTypeBoolean, "false", "", "Has no meaning here: all data is in the bucket.", boolean},
	{"remote.log.delete.on.disable", kmsg.ConfigTypeBoolean, "false", "", "Has no meaning here: all data is in the bucket.", boolean},
	{"remote.storage.enable", kmsg.ConfigTypeBoolean, "false", "", "Has no meaning here: all data is in the bucket.", boolean},
	{"retention.bytes", kmsg.ConfigTypeLong, "-1", "log.retention.bytes", "The most that a partition keeps, bytes; -1 for no limit.", atLeast(-1)},
	{"retention.ms", kmsg.ConfigTypeLong, "604800000", "log.retention.ms", "How long records are kept; -1 for ever.", atLeast(-1)},
	{"segment.bytes", kmsg.ConfigTypeInt, "1073741824", "log.segment.bytes", "Has no meaning here: there are no log files.", atLeast(14)},
	{"segment.index.bytes", kmsg.ConfigTypeInt, "10485760", "log.index.size.max.bytes", "Has no meaning here: there are no log files.", atLeast(4)},
	{"segment.jitter.ms", kmsg.ConfigTypeLong, "0", "log.roll.jitter.ms", "Has no meaning here: there are no log files.", atLeast(0)},
	{"segment.ms", kmsg.ConfigTypeLong, "604800000", "log.roll.ms", "Has no meaning here: there are no log files.", atLeast(1)},
	{"unclean.leader.election.enable", kmsg.ConfigTypeBoolean, "false", "unclean.leader.election.enable", "Has no meaning here: no election loses records.", boolean},
}

// Default is the value of a setting that a topic does not have; empty for a name that is not known.
func Default(name string) string {
	if d := find(name); d != nil {
		return d.Value
	}
	return ""
}

// IsList tells whether a setting is a list of items with commas in between.
func IsList(name string) bool {
	d := find(name)
	return d != nil && d.Kind == kmsg.ConfigTypeList
}

func find(name string) *Def {
	i, found := slices.BinarySearchFunc(All, name, func(d Def, name string) int { return strings.Compare(d.Name, name) })
	if !found {
		return nil
	}
	return &All[i]
}

// Check tells whether a new topic may have the setting with this value.
func Check(name, value string) error {
	d := find(name)
	if d == nil {
		return fmt.Errorf("config %q is not known", name)
	}
	if err := d.check(d, value); err != nil {
		return fmt.Errorf("config %s=%q: %w", name, value, err)
	}
	return nil
}

// atLeast reads a number of the setting's kind with a lower bound.
func atLeast(low float64) func(*Def, string) error {
	return func(d *Def, value string) error {
		value = strings.TrimSpace(value) // as Kafka does
		var n float64
		var err error
		switch d.Kind {
		case kmsg.ConfigTypeDouble:
			n, err = strconv.ParseFloat(value, 64)
		case kmsg.ConfigTypeInt:
			var i int64
			i, err = strconv.ParseInt(value, 10, 32)
			n = float64(i)
		default:
			var i int64
			i, err = strconv.ParseInt(value, 10, 64)
			n = float64(i)
		}
		switch {
		case err != nil && d.Kind == kmsg.ConfigTypeDouble, math.IsNaN(n), math.IsInf(n, 0):
			return fmt.Errorf("want a number")
		case err != nil && d.Kind == kmsg.ConfigTypeInt:
			return fmt.Errorf("want a whole number of 32 bits")
		case err != nil:
			return fmt.Errorf("want a whole number of 64 bits")
		case n < low:
			return fmt.Errorf("want at least %g", low)
		}
		return nil
	}
}

// levels are those of a codec: from low to high, and its default.
func levels(low, high, def int64) func(*Def, string) error {
	return func(_ *Def, value string) error {
		if n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 32); err != nil || (n < low || n > high) && n != def {
			return fmt.Errorf("want a whole number from %d to %d, or the default", low, high)
		}
		return nil
	}
}

func anything(*Def, string) error { return nil }

func boolean(_ *Def, value string) error {
	if v := strings.ToLower(strings.TrimSpace(value)); v != "true" && v != "false" {
		return fmt.Errorf("want true or false")
	}
	return nil
}

func oneOf(values ...string) func(*Def, string) error {
	return func(_ *Def, value string) error {
		if !slices.Contains(values, value) {
			return fmt.Errorf("want one of %s", strings.Join(values, ", "))
		}
		return nil
	}
}

func cleanupPolicy(d *Def, value string) error {
	compact := false
	for _, p := range strings.Split(value, ",") {
		switch strings.TrimSpace(p) {
		case "delete":
		case "compact":
			compact = true
		default:
			return fmt.Errorf("want delete, compact, or both")
		}
	}
	if compact {
		return fmt.Errorf("compaction is not supported yet: leave it at %s", d.Value)
	}
	return nil
}
