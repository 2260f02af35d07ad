package coordinator

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

const (
	// lagSeriesMax bounds how many pairs of group and topic have their lag told: each is a series in Prometheus, for as long as it
	// keeps data. Those that lag most are told.
	lagSeriesMax = 1000
	// lagEvery is how old an answer may be: with many offsets it takes a while, and several may scrape.
	lagEvery = 5 * time.Second
)

// groupLag is what consumer groups lag, kept for a moment.
type groupLag struct {
	mu      sync.Mutex
	at      time.Time
	lags    []lagOf
	leftOut int
}

type lagOf struct {
	group, topic string
	offsets      int64
}

func (g *groupLag) get(c *Coordinator) (lags []lagOf, leftOut int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := c.cfg.Now(); now.Sub(g.at) >= lagEvery {
		g.lags, g.leftOut, g.at = nil, 0, now
		g.look(c)
	}
	return g.lags, g.leftOut
}

// look borrows the state for one group at a time: applies go on in between.
func (g *groupLag) look(c *Coordinator) {
	var names []string
	c.replica.With(func(st *state.State) { names = st.Groups() })
	for _, name := range names {
		c.replica.With(func(st *state.State) { g.lags = append(g.lags, lagsOf(st, name)...) })
		if len(g.lags) >= 2*lagSeriesMax {
			g.cut()
		}
	}
	g.cut()
	slices.SortFunc(g.lags, func(a, b lagOf) int { return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.topic, b.topic)) })
}

// cut keeps those that lag most.
func (g *groupLag) cut() {
	if n := len(g.lags) - lagSeriesMax; n > 0 {
		slices.SortFunc(g.lags, func(a, b lagOf) int {
			return cmp.Or(cmp.Compare(b.offsets, a.offsets), cmp.Compare(a.group, b.group), cmp.Compare(a.topic, b.topic))
		})
		g.lags = g.lags[:lagSeriesMax]
		g.leftOut += n
	}
}

func lagsOf(st *state.State, name string) []lagOf {
	group := st.Group(name)
	if group == nil {
		return nil
	}
	byTopic := map[string]int64{}
	for tp, committed := range group.Offsets {
		t, shown := st.Show(tp.Topic)
		if !shown {
			continue
		}
		if p := t.Partition(tp.Partition); p != nil { // what was deleted before it was read is no lag
			byTopic[t.Info().Name] += max(0, int64(p.End)-max(int64(committed.Offset), int64(p.LogStart)))
		}
	}
	var out []lagOf
	for topic, n := range byTopic {
		out = append(out, lagOf{name, topic, n})
	}
	return out
}
