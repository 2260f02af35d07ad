package cli_test

import (
	"context"
	"strings"
	"testing"
	"time"
)

// committed is what a group has committed for t, by partition.
func (i invocation) committed(t *testing.T, group string) map[int32]int64 {
	t.Helper()
	type described struct {
		Partitions []struct {
			Partition int32 `json:"partition"`
			Committed int64 `json:"committed_offset"`
		} `json:"partitions"`
	}
	out := map[int32]int64{}
	for _, p := range decode[[]described](t, i.must(t, "group", "describe", group, "--format", "json"))[0].Partitions {
		out[p.Partition] = p.Committed
	}
	return out
}

func TestGroupResetOffsets(t *testing.T) {
	source, _, _ := pair(t)
	// A group that nobody has made yet.
	r := source.must(t, "group", "reset-offsets", "g", "--topic", "t:1", "--to", "3")
	if r.out != "TOPIC  PARTITION  FROM  TO\nt      1          -     3\n" {
		t.Errorf("it says %q", r.out)
	}
	for _, c := range []struct {
		args string
		want map[int32]int64
	}{
		{"--all-topics --shift-by -2", map[int32]int64{1: 1}},
		{"--topic t --to beginning", map[int32]int64{0: 0, 1: 0}},
		{"--topic t --to end --dry-run", map[int32]int64{0: 0, 1: 0}},
		{"--topic t:0 --to end", map[int32]int64{0: 5, 1: 0}},
		{"--all-topics --shift-by 3", map[int32]int64{0: 5, 1: 3}},
		{"--all-topics --to 99", map[int32]int64{0: 5, 1: 5}},
		{"--topic t --ago 1h", map[int32]int64{0: 0, 1: 0}},
		{"--topic t --to 2096-01-01T00:00:00Z", map[int32]int64{0: 5, 1: 5}},
	} {
		source.must(t, append([]string{"group", "reset-offsets", "g"}, strings.Fields(c.args)...)...)
		got := source.committed(t, "g")
		for p, want := range c.want {
			if got[p] != want {
				t.Errorf("after %s partition %d is at %d, want %d", c.args, p, got[p], want)
			}
		}
	}
	type moved struct {
		Partition int32 `json:"partition"`
		From      int64 `json:"from_offset"`
		To        int64 `json:"to_offset"`
	}
	got := decode[[]moved](t, source.must(t, "group", "reset-offsets", "g", "--topic", "t:1", "--to", "2", "--format", "json"))
	if len(got) != 1 || got[0] != (moved{1, 5, 2}) {
		t.Errorf("it gives %+v", got)
	}
	if r := source.must(t, "consume", "t", "--group", "g", "--max", "3", "--timeout", "20s"); r.out != "2\n3\n4\n" {
		t.Errorf("the group goes on with %q", r.out)
	}
}

func TestGroupDelete(t *testing.T) {
	source, _, _ := pair(t)
	source.must(t, "group", "reset-offsets", "g", "--topic", "t", "--to", "2")
	if r := source.must(t, "group", "delete-offsets", "g", "--topic", "t:0", "--yes"); r.out != "TOPIC  PARTITION  FROM  TO\nt      0          2     -\n" {
		t.Errorf("delete-offsets says %q", r.out)
	}
	if got := source.committed(t, "g"); got[1] != 2 || got[0] > 0 {
		t.Errorf("what is left is %v", got)
	}
	if r := source.must(t, "group", "delete-offsets", "g", "--topic", "t:0", "--yes"); r.out != "" || !strings.Contains(r.err, "nothing was committed there") {
		t.Errorf("a second time: %+v", r)
	}
	if r := source.must(t, "group", "delete", "g", "--yes"); r.out != "NAME  RESULT\ng     deleted\n" {
		t.Errorf("delete says %q", r.out)
	}
	source.fails(t, "group describe g", "it does not exist")
	source.fails(t, "group delete g --yes", "cannot delete group g", "gnomon group list")
	source.fails(t, "group delete-offsets g --topic t --yes", "the group does not exist", "gnomon group list")
}

// A group with members keeps what it has, and who asks is told to stop them.
func TestGroupWithMembers(t *testing.T) {
	source, shadow, _ := pair(t)
	source.must(t, "group", "reset-offsets", "g", "--topic", "t", "--to", "1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := notifyingBuffer{want: "4\n", seen: make(chan struct{})}
	done := make(chan result, 1)
	go func() { done <- runTo(ctx, source.brokers, &out, "consume", "t", "--group", "g") }()
	select {
	case <-out.seen:
	case <-time.After(30 * time.Second):
		t.Fatal("the records did not come")
	}
	source.fails(t, "group delete g --yes", "cannot delete group g", "stop its members first")
	source.fails(t, "group delete-offsets g --topic t --yes", "cannot delete offsets of group g for partitions 0, 1 of t", "stop the members that read the topic first")
	source.fails(t, "group reset-offsets g --topic t --to beginning", "cannot reset offsets of group g: it has 1 member", "stop its members first")
	if r := source.must(t, "group", "describe", "g", "--members"); !strings.Contains(r.out, "MEMBER") || !strings.Contains(r.out, "gnomon-cli") || !strings.Contains(r.out, "  2\n") {
		t.Errorf("the members are %q", r.out)
	}
	cancel()
	if r := <-done; r.code != 0 {
		t.Errorf("the member ended with %+v", r)
	}
	source.fails(t, "group reset-offsets g --topic u --to end", `topic "u" does not exist`)
	source.fails(t, "group reset-offsets g --topic t:5 --to end", "topic t has no partition 5")
	source.fails(t, "group reset-offsets other --topic t --shift-by 1", "it has committed nothing for partition 0 of t", "use --to")
	source.fails(t, "group reset-offsets other --all-topics --to end", "it has committed nothing", "--topic")
	for _, args := range []string{"group delete g --yes", "group reset-offsets g --topic t --to end", "group delete-offsets g --topic t --yes"} {
		shadow.fails(t, args, "until a failover")
	}
}
