package cli_test

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

func TestTopics(t *testing.T) {
	_, address := cluster(t)
	do := invocation{brokers: address}

	if r := do.must(t, "topic", "list"); r.out != "" || !strings.Contains(r.err, "no topics") {
		t.Errorf("an empty cluster: out %q, err %q", r.out, r.err)
	}
	if got := decode[[]any](t, do.must(t, "topic", "list", "--format", "json")); got == nil || len(got) != 0 {
		t.Errorf("an empty cluster gives %v, want an empty list", got)
	}

	r := do.must(t, "topic", "create", "orders", "-p", "3", "--config", "retention.ms=1000")
	if !strings.Contains(r.out, "orders  created  3") {
		t.Errorf("create says %q", r.out)
	}
	r = do.must(t, "topic", "list")
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "NAME") || !strings.HasPrefix(lines[1], "orders  3") {
		t.Errorf("list says %q", r.out)
	}

	type partition struct {
		Partition   int32  `json:"partition"`
		StartOffset *int64 `json:"start_offset"`
		EndOffset   *int64 `json:"end_offset"`
	}
	type topic struct {
		Name       string            `json:"name"`
		ID         string            `json:"id"`
		Partitions int               `json:"partitions"`
		Configs    map[string]string `json:"configs"`
		Details    []partition       `json:"partition_details"`
	}
	invocation{brokers: address, in: strings.NewReader("a\nb\n")}.must(t, "produce", "orders", "--partition", "1")
	got := decode[[]topic](t, do.must(t, "topic", "describe", "orders", "--format", "json"))
	if len(got) != 1 || got[0].Partitions != 3 || len(got[0].ID) != 22 || got[0].Configs["retention.ms"] != "1000" || len(got[0].Details) != 3 {
		t.Fatalf("describe gives %+v", got)
	}
	for _, p := range got[0].Details {
		want := int64(0)
		if p.Partition == 1 {
			want = 2
		}
		if p.StartOffset == nil || *p.StartOffset != 0 || p.EndOffset == nil || *p.EndOffset != want {
			t.Errorf("partition %d: %v to %v, want 0 to %d", p.Partition, p.StartOffset, p.EndOffset, want)
		}
	}
	r = do.must(t, "topic", "describe", "orders")
	if !strings.Contains(r.out, "configs retention.ms=1000") || !strings.Contains(r.out, "PARTITION") {
		t.Errorf("describe says %q", r.out)
	}
}

func TestTopicCreateFailures(t *testing.T) {
	_, address := cluster(t, kfake.SeedTopics(1, "there"))
	do := invocation{brokers: address}

	r := do.run(t.Context(), "topic", "create", "there", "new")
	if r.code != 1 || !strings.Contains(r.err, "cannot create topic there") || !strings.Contains(r.err, "--if-not-exists") {
		t.Errorf("code %d, err %q", r.code, r.err)
	}
	if !strings.Contains(r.out, "new") {
		t.Errorf("the topic that was created is not told of: %q", r.out)
	}
	r = do.must(t, "topic", "create", "there", "--if-not-exists")
	if !strings.Contains(r.out, "exists") {
		t.Errorf("got %q", r.out)
	}
	do.must(t, "topic", "create", "checked", "--dry-run")
	r = do.run(t.Context(), "topic", "describe", "checked")
	if r.code != 1 || !strings.Contains(r.err, `topic "checked" does not exist`) || !strings.Contains(r.err, "gnomon topic list") {
		t.Errorf("after a dry run: code %d, err %q", r.code, r.err)
	}
}
