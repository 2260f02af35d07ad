package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/tests/memregion"
)

// pair is a region with topic t (two partitions, five records in each), and its shadow.
func pair(t *testing.T) (source, shadow invocation, shadowed func()) {
	t.Helper()
	a, b := memregion.Start(t, memregion.Options{Number: 1}), memregion.Start(t, memregion.Options{Number: 2})
	source, shadow = invocation{brokers: a.Addr}, invocation{brokers: b.Addr}
	source.must(t, "topic", "create", "t", "-p", "2")
	for _, p := range []string{"0", "1"} {
		invocation{brokers: a.Addr, in: strings.NewReader("0\n1\n2\n3\n4\n")}.must(t, "produce", "t", "--partition", p)
	}
	b.Shadow(a, a.Bucket, b.Bucket, "")
	b.Shadowed(a)
	return source, shadow, func() { t.Helper(); b.Shadowed(a) }
}

// described is what describe says of a topic as JSON.
type described struct {
	Partitions int               `json:"partitions"`
	Configs    map[string]string `json:"configs"`
	Details    []struct {
		Start int64 `json:"start_offset"`
		End   int64 `json:"end_offset"`
	} `json:"partition_details"`
}

func (i invocation) describe(t *testing.T, topic string) described {
	t.Helper()
	return decode[[]described](t, i.must(t, "topic", "describe", topic, "--format", "json"))[0]
}

// fails runs a command that has to fail as a command, in one line that says all of want.
func (i invocation) fails(t *testing.T, args string, want ...string) {
	t.Helper()
	r := i.run(t.Context(), strings.Fields(args)...)
	if r.code != 1 || strings.Count(r.err, "\n") != 1 {
		t.Errorf("gnomon %s: code %d, out %q, err %q", args, r.code, r.out, r.err)
	}
	for _, w := range want {
		if !strings.Contains(r.err, w) {
			t.Errorf("gnomon %s: %q does not say %q", args, r.err, w)
		}
	}
}

func TestTopicAlter(t *testing.T) {
	source, shadow, shadowed := pair(t)
	r := source.must(t, "topic", "alter", "t", "--config", "retention.ms=86400000", "-c", "max.message.bytes=5000", "--partitions", "3", "--dry-run")
	if r.out != "NAME  RESULT\nt     valid\n" {
		t.Errorf("a dry run says %q", r.out)
	}
	if got := source.describe(t, "t"); got.Partitions != 2 || len(got.Configs) != 0 {
		t.Errorf("after a dry run: %+v", got)
	}
	r = source.must(t, "topic", "alter", "t", "--config", "retention.ms=86400000", "-c", "max.message.bytes=5000", "--partitions", "3")
	if r.out != "NAME  RESULT\nt     altered\n" {
		t.Errorf("alter says %q", r.out)
	}
	shadowed()
	for _, do := range []invocation{source, shadow} {
		if got := do.describe(t, "t"); got.Partitions != 3 || got.Configs["retention.ms"] != "86400000" || got.Configs["max.message.bytes"] != "5000" {
			t.Errorf("after it: %+v", got)
		}
	}
	type altered struct {
		Name    string            `json:"name"`
		Set     map[string]string `json:"set"`
		Deleted []string          `json:"deleted"`
		Result  string            `json:"result"`
	}
	got := decode[[]altered](t, source.must(t, "topic", "alter", "t", "--config", "retention.ms=5", "--delete-config", "max.message.bytes", "--format", "json"))
	if len(got) != 1 || got[0].Set["retention.ms"] != "5" || len(got[0].Deleted) != 1 || got[0].Deleted[0] != "max.message.bytes" || got[0].Result != "altered" {
		t.Errorf("alter gives %+v", got)
	}
	if got := source.describe(t, "t"); len(got.Configs) != 1 || got.Configs["retention.ms"] != "5" {
		t.Errorf("after a property was deleted: %+v", got)
	}
}

func TestTopicAlterFailures(t *testing.T) {
	source, shadow, _ := pair(t)
	source.fails(t, "topic alter t --partitions 1", "cannot alter topic t: topic \"t\" has 2 partitions: partitions cannot be taken away", "for more than the topic has")
	source.fails(t, "topic alter t --config retention.ms=soon", "retention.ms", "check the names and values given by --config")
	source.fails(t, "topic alter t --config no.such=1", "no.such", "check the names and values")
	source.fails(t, "topic alter none --config retention.ms=5", "cannot alter topic none", "gnomon topic list")
	source.fails(t, "topic alter none --partitions 7", "cannot alter topic none", "gnomon topic list")
	shadow.fails(t, "topic alter t --config retention.ms=5", "shadowed by link", "at its source")
	shadow.fails(t, "topic alter t --partitions 7", "shadowed by link", "at its source")
	// A topic is altered as a whole or not at all; the others are.
	r := source.run(t.Context(), "topic", "alter", "t", "none", "-c", "retention.ms=7")
	if r.code != 1 || !strings.Contains(r.out, "t     altered") || strings.Contains(r.out, "none") {
		t.Errorf("one of two: %+v", r)
	}
	source.fails(t, "topic alter t --partitions 9 --config max.message.bytes=-5", "max.message.bytes")
	if got := source.describe(t, "t"); got.Partitions != 2 || got.Configs["retention.ms"] != "7" {
		t.Errorf("after the failures: %+v", got)
	}
}

// What a region's limits refuse is not taken for what a shadow refuses.
func TestTopicLimits(t *testing.T) {
	r := memregion.Start(t, memregion.Options{Limits: coordinator.Limits{Partitions: 3}})
	do := invocation{brokers: r.Addr}
	do.must(t, "topic", "create", "t", "-p", "2")
	do.fails(t, "topic alter t --partitions 4", "cannot alter topic t: the cluster has 2 partitions", "see max-partitions of the coordinator")
	if r := do.run(t.Context(), "topic", "alter", "t", "--partitions", "4"); strings.Contains(r.err, "--brokers") {
		t.Errorf("it says %q", r.err)
	}
}

func TestTopicDelete(t *testing.T) {
	source, shadow, _ := pair(t)
	shadow.fails(t, "topic delete t --yes", "cannot delete topic t", "at its source")
	if r := source.must(t, "topic", "delete", "t", "--yes"); r.out != "NAME  RESULT\nt     deleted\n" {
		t.Errorf("delete says %q", r.out)
	}
	source.fails(t, "topic delete t --yes", "cannot delete topic t", "gnomon topic list")
	source.fails(t, "topic describe t", `topic "t" does not exist`)
}

func TestTopicDeleteRecords(t *testing.T) {
	source, shadow, shadowed := pair(t)
	starts := func(do invocation) [2]int64 {
		t.Helper()
		got := do.describe(t, "t").Details
		return [2]int64{got[0].Start, got[1].Start}
	}
	if r := source.must(t, "topic", "delete-records", "t", "-p", "1", "--before-offset", "3", "--dry-run"); r.out != "TOPIC  PARTITION  START  DELETED\nt      1          3      3\n" {
		t.Errorf("a dry run says %q", r.out)
	}
	if got := starts(source); got != [2]int64{0, 0} {
		t.Errorf("after a dry run the partitions begin at %v", got)
	}
	if r := source.must(t, "topic", "delete-records", "t", "-p", "1", "--before-offset", "3", "--yes"); r.out != "TOPIC  PARTITION  START  DELETED\nt      1          3      3\n" {
		t.Errorf("it says %q", r.out)
	}
	shadowed()
	if s, o := starts(source), starts(shadow); s != [2]int64{0, 3} || o != s {
		t.Errorf("the partitions begin at %v, at the shadow at %v", s, o)
	}
	if r := source.must(t, "consume", "t", "--max", "7"); strings.Count(r.out, "\n") != 7 {
		t.Errorf("what is left is %q", r.out)
	}
	// What is deleted already stays deleted, and is no error.
	type deleted struct {
		Partition int32 `json:"partition"`
		Start     int64 `json:"start_offset"`
		Deleted   int64 `json:"deleted_offsets"`
	}
	got := decode[[]deleted](t, source.must(t, "topic", "delete-records", "t", "--before-offset", "2", "--yes", "--format", "json"))
	if len(got) != 2 || got[0] != (deleted{0, 2, 2}) || got[1] != (deleted{1, 3, 0}) {
		t.Errorf("it gives %+v", got)
	}
	if source.must(t, "topic", "delete-records", "t", "--before-offset", "end", "--yes"); starts(source) != [2]int64{5, 5} {
		t.Errorf("after all was deleted the partitions begin at %v", starts(source))
	}
}

// A file as Kafka's own tool takes it.
func TestTopicDeleteRecordsFile(t *testing.T) {
	source, shadow, _ := pair(t)
	file := filepath.Join(t.TempDir(), "offsets.json")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"partitions": [{"topic": "t", "partition": 0, "offset": 1}, {"topic": "t", "partition": 1, "offset": -1}], "version": 1}`)
	if r := source.must(t, "topic", "delete-records", "-f", file, "--yes"); r.out != "TOPIC  PARTITION  START  DELETED\nt      0          1      1\nt      1          5      5\n" {
		t.Errorf("it says %q", r.out)
	}
	piped := invocation{brokers: source.brokers, in: strings.NewReader(`{"partitions": [{"topic": "t", "partition": 0, "offset": 2}]}`)}
	if r := piped.must(t, "topic", "delete-records", "--file", "-", "--yes"); !strings.Contains(r.out, "t      0          2      1") {
		t.Errorf("from the standard input: %q", r.out)
	}
	for text, want := range map[string]string{
		`{"partitions": [{"topic": "t", "partition": 0}]}`: `lacks a topic, a partition or an offset: topic "t", partition 0, offset none`,
		`{"partitions": []}`: "it names no partition",
		`{"partitions": [{"topic": "t", "partition": 0, "offset": 1}], "version": 2}`: "its version is 2",
		`[1]`: `the form is {"partitions"`,
		`{"partitions": [{"topic": "t", "partition": 0, "offset": 9}]}`: "partition 0 of t ends at 5, below 9",
		`{"partitions": [{"topic": "t", "partition": 7, "offset": 1}]}`: "topic t has no partition 7",
		`{"partitions": [{"topic": "u", "partition": 0, "offset": 1}]}`: `topic "u" does not exist`,
	} {
		write(text)
		source.fails(t, "topic delete-records --yes -f "+file, want)
	}
	source.fails(t, "topic delete-records --yes -f "+file+".none", "cannot read", "no such file")
	shadow.fails(t, "topic delete-records t --before-offset end --yes", "at its source")
	if r := source.run(t.Context(), "topic", "delete-records", "t", "--partition", "0", "--partition", "0", "--before-offset", "1", "--yes"); r.code != 2 || !strings.Contains(r.err, "named twice") {
		t.Errorf("one partition twice: %+v", r)
	}
}
