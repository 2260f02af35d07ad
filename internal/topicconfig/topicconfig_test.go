package topicconfig

import (
	"slices"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"retention.ms", "86400000", ""},
		{"retention.ms", "-1", ""},
		{"retention.ms", "abc", "want a whole number"},
		{"retention.ms", "-2", "at least -1"},
		{"retention.bytes", " 1000 ", ""},
		{"segment.bytes", "1073741824", ""},
		{"segment.bytes", "9999999999", "32 bits"},
		{"min.insync.replicas", "2", ""},
		{"min.insync.replicas", "0", "at least 1"},
		{"min.cleanable.dirty.ratio", "0.01", ""},
		{"min.cleanable.dirty.ratio", "NaN", "want a number"},
		{"unclean.leader.election.enable", "TRUE", ""},
		{"preallocate", "yes", "true or false"},
		{"message.timestamp.type", "LogAppendTime", ""},
		{"message.timestamp.type", "logappendtime", "want one of"},
		{"cleanup.policy", "delete", ""},
		{"cleanup.policy", "compact", "not supported yet"},
		{"cleanup.policy", "compact, delete", "not supported yet"},
		{"cleanup.policy", "shred", "want delete"},
		{"compression.type", "producer", ""},
		{"compression.type", "zstd", ""},
		{"compression.type", "uncompressed", ""},
		{"compression.gzip.level", "9", ""},
		{"compression.gzip.level", "0", "1 to 9"},
		{"compression.lz4.level", "18", "1 to 17"},
		{"compression.zstd.level", "-200000", "-131072 to 22"},
		{"compression.type", "brotli", "want one of"},
		{"follower.replication.throttled.replicas", "*", ""},
		{"retention.sm", "1", `config "retention.sm" is not known`},
		{"", "1", "is not known"},
	} {
		err := Check(c.name, c.value)
		switch {
		case c.want == "" && err != nil, c.want != "" && err == nil:
			t.Errorf("%s=%s: %v", c.name, c.value, err)
		case err != nil && (!strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.name)):
			t.Errorf("%s=%s: %v, want %q with the name", c.name, c.value, err, c.want)
		}
	}
}

// The table is sorted, and each default is a value that may be given.
func TestTable(t *testing.T) {
	if !slices.IsSortedFunc(All, func(a, b Def) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("not sorted")
	}
	for _, d := range All {
		if err := Check(d.Name, d.Value); err != nil {
			t.Error(err)
		}
	}
}
