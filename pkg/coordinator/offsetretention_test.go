package coordinator

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetCommit 2 to 4 may say how long an offset is kept: that long after its commit, be the region's own time shorter or longer, once
// nobody uses it; the next leader keeps to it. Other versions cannot say so.
func TestOffsetsKeptAsAsked(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	m := c.start("one", func(cfg *Config) { cfg.OffsetsRetention = time.Hour })
	m.until("leads", m.Leading)
	if err := m.emit(created("x")); err != nil {
		t.Fatal(err)
	}
	reader := m.reads("left", "consumer", subscribed("x"))
	for _, s := range []struct {
		group, id  string
		generation int32
		version    int16
		keep       time.Duration
	}{
		{"as the region", "", -1, 4, -1 * time.Millisecond},
		{"none", "", -1, 3, 0},
		{"negative", "", -1, 2, -2 * time.Millisecond},
		{"quarter", "", -1, 2, 15 * time.Minute},
		{"two hours", "", -1, 4, 2 * time.Hour},
		{"for ever", "", -1, 4, math.MaxInt64},
		{"cannot say", "", -1, 5, time.Minute},
		{"left", reader, 1, 4, 2 * time.Hour},
	} {
		req := commitOf(s.group, s.id, s.generation, s.version, 7)
		req.RetentionTimeMillis = s.keep.Milliseconds()
		if code := ask[*kmsg.OffsetCommitResponse](m, req).Topics[0].Partitions[0].ErrorCode; code != 0 {
			t.Fatalf("%s: %v", s.group, kerr.ErrorForCode(code))
		}
	}
	m.leaves("left", reader)
	left := func(m *member) string {
		var out []string
		for _, g := range ask[*kmsg.ListGroupsResponse](m, kmsg.NewPtrListGroupsRequest()).Groups {
			out = append(out, fmt.Sprint(g.Group, m.committed(g.Group, "x")))
		}
		return strings.Join(out, ", ")
	}
	for _, step := range []struct {
		pass time.Duration
		want string
	}{
		{11 * time.Minute, "as the region[7], cannot say[7], for ever[7], left[7], quarter[7], two hours[7]"},
		{10 * time.Minute, "as the region[7], cannot say[7], for ever[7], left[7], two hours[7]"},
		{50 * time.Minute, "for ever[7], left[7], two hours[7]"},
	} {
		m.pass(step.pass)
		if got := left(m); got != step.want {
			t.Errorf("after %v more: %s, want %s", step.pass, got, step.want)
		}
	}
	m.end()
	next := c.start("two", func(cfg *Config) { cfg.OffsetsRetention = time.Hour })
	next.until("leads", next.Leading)
	next.pass(30 * time.Minute)
	if got := left(next); got != "for ever[7], left[7], two hours[7]" {
		t.Errorf("at the next leader: %s", got)
	}
	next.pass(time.Hour)
	if got := left(next); got != "for ever[7]" {
		t.Errorf("in the end: %s", got)
	}
}
