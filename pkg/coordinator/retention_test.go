package coordinator

import (
	"fmt"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// What a topic keeps, span by span.
func TestLogStart(t *testing.T) {
	// partition has spans of 10 records and 100 bytes each, with these timestamps.
	partition := func(times ...int64) *state.Partition {
		p := &state.Partition{}
		for _, at := range times {
			p.Spans = append(p.Spans, state.Span{Base: p.End, Last: p.End + 9, MaxTimestamp: at, Length: 100})
			p.End += 10
		}
		return p
	}
	const now = 10_000
	for name, c := range map[string]struct {
		by   retainedBy
		p    *state.Partition
		want base.Offset
	}{
		"nothing there":                           {retainedBy{0, 0}, partition(), 0},
		"all young":                               {retainedBy{1000, -1}, partition(9000, 9500), 0},
		"the first is old":                        {retainedBy{1000, -1}, partition(8999, 9000), 10},
		"all old":                                 {retainedBy{1000, -1}, partition(1, 2, 3), 30},
		"old behind young stays":                  {retainedBy{1000, -1}, partition(9500, 1), 0},
		"no timestamp stays":                      {retainedBy{1000, -1}, partition(-1, 1), 0},
		"for ever":                                {retainedBy{-1, -1}, partition(1, 1), 0},
		"as much as it may be":                    {retainedBy{-1, 200}, partition(1, 1), 0},
		"what is left is large enough":            {retainedBy{-1, 200}, partition(1, 1, 1), 10},
		"what would be left is not":               {retainedBy{-1, 201}, partition(1, 1, 1), 0},
		"nothing may be left":                     {retainedBy{-1, 0}, partition(1, 1), 20},
		"too much, and what is left of it is old": {retainedBy{1000, 200}, partition(9999, 1, 9999), 20},
	} {
		if got := c.by.logStart(c.p, now); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func createdWith(name string, configs ...string) *metalogpb.Event {
	ev := created(name)
	for i := 0; i < len(configs); i += 2 {
		ev.GetTopicCreated().Configs = append(ev.GetTopicCreated().Configs, &metalogpb.ConfigEntry{Name: configs[i], Value: configs[i+1]})
	}
	return ev
}

// startOf a topic's partition 0 in what the replica has applied; -1 when it does not know the topic yet.
func (m *member) startOf(topic string) base.Offset {
	start := base.Offset(-1)
	m.Replica().With(func(st *state.State) {
		if t := st.TopicByName(topic); t != nil {
			start = t.Partition(0).LogStart
		}
	})
	return start
}

// The leader deletes what is too old, in event time, and goes on after a change of the leader; a fenced one deletes nothing.
func TestRetention(t *testing.T) {
	c := newCluster(t)
	fast := func(cfg *Config) { cfg.RetentionEvery = time.Millisecond }
	m := c.start("one", fast)
	m.until("leads", func() bool { return m.Leading() && m.Replica().Applied() > 0 })
	topics := map[string]*metalogpb.Event{
		"minute":  createdWith("minute", "retention.ms", "60000"),
		"default": createdWith("default"),
		"ever":    createdWith("ever", "retention.ms", "-1"),
		"small":   createdWith("small", "retention.ms", "-1", "retention.bytes", "200"),
	}
	session, err := m.OpenSession(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	number := uint64(0)
	write := func(m *member) {
		t.Helper()
		for name := range topics {
			number++
			req := request(session, number, name)
			b := req.Extents[0].Batches[0]
			b.ProducerId, b.BaseSequence, b.MaxTimestampMs, b.Length = -1, -1, c.clock.Now().UnixMilli(), 100
			if _, err := m.commit(req); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, ev := range topics {
		if err := m.emit(ev); err != nil {
			t.Fatal(name, err)
		}
	}
	starts := func(m *member, want map[string]base.Offset) {
		t.Helper()
		m.until(fmt.Sprint("has starts ", want), func() bool {
			for name, start := range want {
				if m.startOf(name) != start {
					return false
				}
			}
			return true
		})
	}
	write(m)
	write(m)
	c.clock.advance(61 * time.Second)
	write(m)
	starts(m, map[string]base.Offset{"minute": 6, "default": 0, "ever": 0, "small": 3})
	m.end()

	m = c.start("two", fast)
	m.until("leads", func() bool { return m.Leading() && m.Replica().Applied() > 0 })
	c.clock.advance(7*24*time.Hour + time.Second)
	starts(m, map[string]base.Offset{"minute": 9, "default": 9, "ever": 0, "small": 3})
	write(m) // at the end of a partition that keeps nothing
	if end := m.endOf("minute"); end != 12 {
		t.Errorf("end %d after the next write, want 12", end)
	}
	starts(m, map[string]base.Offset{"minute": 9})

	c.fence(fenceOf(int32(base.NextEpoch(2))))
	head := c.head()
	c.clock.advance(30 * 24 * time.Hour)
	m.until("is fenced", func() bool { return m.Role() == Fenced })
	time.Sleep(2 * tickEvery) // time for ticks that must do nothing
	if m.startOf("minute") != 9 || c.head() != head {
		t.Error("a fenced region deleted records")
	}
}
