package cli_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestConsumeFrom(t *testing.T) {
	_, address := cluster(t, kfake.SeedTopics(1, "t"))
	do := invocation{brokers: address}
	invocation{brokers: address, in: strings.NewReader("0\n1\n2\n3\n")}.must(t, "produce", "t")
	if r := do.must(t, "consume", "t", "--from", "2", "--timeout", "1s"); r.out != "2\n3\n" {
		t.Errorf("from offset 2: %q", r.out)
	}
	if r := do.must(t, "consume", "t", "--max", "3"); r.out != "0\n1\n2\n" {
		t.Errorf("the first three: %q", r.out)
	}
	if r := do.must(t, "consume", "t", "--from", "end", "--timeout", "1s"); r.out != "" {
		t.Errorf("from the end: %q", r.out)
	}
}

// --timeout without --max is a normal end; with a --max that was not reached it is an error.
func TestConsumeTimeout(t *testing.T) {
	_, address := cluster(t, kfake.SeedTopics(1, "t"))
	invocation{brokers: address, in: strings.NewReader("0\n")}.must(t, "produce", "t")
	r := invocation{brokers: address}.run(t.Context(), "consume", "t", "--max", "2", "--timeout", "500ms")
	if r.code != 1 || r.out != "0\n" || !strings.Contains(r.err, "1 of 2 came") {
		t.Errorf("code %d, out %q, err %q", r.code, r.out, r.err)
	}
}

func TestConsumeUnknownTopic(t *testing.T) {
	_, address := cluster(t)
	r := invocation{brokers: address}.run(t.Context(), "consume", "none")
	if r.code != 1 || !strings.Contains(r.err, `topic "none" does not exist`) {
		t.Errorf("code %d, err %q", r.code, r.err)
	}
}

func TestConsumeJSON(t *testing.T) {
	_, address := cluster(t, kfake.SeedTopics(1, "t"))
	invocation{brokers: address, in: strings.NewReader("k=<v>\nb=\xff\n")}.must(t, "produce", "t", "-k", "=")
	r := invocation{brokers: address}.must(t, "consume", "t", "--max", "2", "--format", "json")
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %q, want a line a record", r.out)
	}
	var first, second struct {
		Topic       string  `json:"topic"`
		Offset      int64   `json:"offset"`
		TimestampMS int64   `json:"timestamp_ms"`
		Key         string  `json:"key"`
		Value       *string `json:"value"`
		ValueBase64 []byte  `json:"value_base64"`
	}
	for line, to := range map[string]any{lines[0]: &first, lines[1]: &second} {
		if err := json.Unmarshal([]byte(line), to); err != nil {
			t.Fatal(err)
		}
	}
	if first.Topic != "t" || first.Key != "k" || first.Value == nil || *first.Value != "<v>" || first.TimestampMS == 0 {
		t.Errorf("got %s", lines[0])
	}
	if second.Offset != 1 || second.Value != nil || string(second.ValueBase64) != "\xff" {
		t.Errorf("got %s", lines[1])
	}
}

// C4: a group commits what was written, no more: the next member goes on right behind it.
func TestConsumeGroup(t *testing.T) {
	_, address := cluster(t, kfake.SeedTopics(1, "t"))
	do := invocation{brokers: address}
	invocation{brokers: address, in: strings.NewReader("0\n1\n2\n3\n4\n")}.must(t, "produce", "t")
	if r := do.must(t, "consume", "t", "--group", "g", "--max", "2", "--timeout", "20s"); r.out != "0\n1\n" {
		t.Fatalf("the first member: %q", r.out)
	}

	type group struct {
		State      string `json:"state"`
		Lag        int64  `json:"lag"`
		Partitions []struct {
			Committed int64 `json:"committed_offset"`
			End       int64 `json:"end_offset"`
		} `json:"partitions"`
	}
	got := decode[[]group](t, do.must(t, "group", "describe", "g", "--format", "json"))
	if len(got) != 1 || got[0].State != "Empty" || got[0].Lag != 3 || len(got[0].Partitions) != 1 || got[0].Partitions[0].Committed != 2 {
		t.Fatalf("describe gives %+v", got)
	}
	if r := do.must(t, "group", "describe", "g"); !strings.Contains(r.out, "group g, empty, 0 members, lag 3") {
		t.Errorf("describe says %q", r.out)
	}
	if r := do.must(t, "group", "list"); !strings.Contains(r.out, "g     Empty") {
		t.Errorf("list says %q", r.out)
	}
	if r := do.must(t, "consume", "t", "--group", "g", "--max", "3", "--timeout", "20s"); r.out != "2\n3\n4\n" {
		t.Errorf("the second member: %q", r.out)
	}
}

// Ctrl-C is a normal end of an endless read, and commits for the group what was written.
func TestConsumeInterrupted(t *testing.T) {
	_, address := cluster(t, kfake.SeedTopics(1, "t"))
	invocation{brokers: address, in: strings.NewReader("0\n1\n")}.must(t, "produce", "t")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out notifyingBuffer
	out.want, out.seen = "0\n1\n", make(chan struct{})
	done := make(chan result, 1)
	go func() { done <- runTo(ctx, address, &out, "consume", "t", "--group", "g") }()
	select {
	case <-out.seen:
	case <-time.After(30 * time.Second):
		t.Fatal("the records did not come")
	}
	cancel()
	select {
	case r := <-done:
		if r.code != 0 || r.err != "" {
			t.Errorf("code %d, err %q", r.code, r.err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the command did not end")
	}
	if r := (invocation{brokers: address}).must(t, "group", "describe", "g"); !strings.Contains(r.out, "lag 0") {
		t.Errorf("not committed: %q", r.out)
	}
}

func TestGroupFailures(t *testing.T) {
	_, address := cluster(t)
	do := invocation{brokers: address}
	r := do.run(t.Context(), "group", "describe", "none")
	if r.code != 1 || !strings.Contains(r.err, "cannot describe group none: it does not exist; see what there is with `gnomon group list`") {
		t.Errorf("code %d, err %q", r.code, r.err)
	}
	if r := do.must(t, "group", "list"); r.out != "" || !strings.Contains(r.err, "no groups") {
		t.Errorf("out %q, err %q", r.out, r.err)
	}
}

// A standby has no groups, and says whose they are.
func TestGroupsOfAStandby(t *testing.T) {
	c, address := cluster(t)
	c.ControlKey(int16(kmsg.Heartbeat), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
		resp.ErrorCode = kerr.CoordinatorNotAvailable.Code
		return resp, nil, true
	})
	do := invocation{brokers: address}
	if r := do.run(t.Context(), "group", "describe", "g"); r.code != 1 || !strings.Contains(r.err, "belongs to its source until a failover") {
		t.Errorf("describe: %+v", r)
	}
	if r := do.must(t, "group", "list"); r.out != "" || !strings.Contains(r.err, "groups belong to its source until a failover") {
		t.Errorf("list: %+v", r)
	}
}
