package region

import (
	"context"
	"log/slog"
	"time"

	"github.com/gnomon-stream/gnomon/pkg/shadow"
)

const (
	changesLook = 500 * time.Millisecond
	// settleTime is how long a link may take to reach its source before that is worth a line: at its start it has not yet.
	settleTime = 3 * time.Second
)

// tellChanges logs a line whenever the region's role or a link's state is another one: what an operator looks for first. The line of
// the leader comes from the coordinator.
func (c *Coordinator) tellChanges(ctx context.Context) error {
	tick := time.NewTicker(changesLook)
	defer tick.Stop()
	role, links, since := "", map[string]string{}, map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if is := string(c.coord.Role()); c.informed() && is != role {
			c.cfg.Logger.Info("role of the region", "role", is, "was", role, "epoch", c.coord.Replica().State().Region().Epoch)
			role = is
		}
		running := c.links.states()
		for name := range links {
			if _, runs := running[name]; !runs { // another coordinator leads, or the link is deleted
				delete(links, name)
				delete(since, name)
			}
		}
		for name, now := range running {
			if since[name].IsZero() {
				since[name] = c.cfg.Now()
			}
			fresh := links[name] == "" && now.is == shadow.Unreachable && c.cfg.Now().Sub(since[name]) < settleTime
			if now.is == "" || now.is == links[name] || fresh {
				continue
			}
			level := slog.LevelInfo
			if now.is == shadow.Unreachable || now.is == shadow.Faulted {
				level = slog.LevelWarn
			}
			c.cfg.Logger.Log(ctx, level, "state of a link", "link", name, "state", now.is, "was", links[name], "reason", now.reason)
			links[name] = now.is
		}
	}
}

type linkState struct{ is, reason string }

// states are those of the links that run here.
func (m *linkManager) states() map[string]linkState {
	m.mu.Lock()
	runners := make(map[string]*shadow.Runner, len(m.runners))
	for name, r := range m.runners {
		runners[name] = r.runner
	}
	m.mu.Unlock()
	out := make(map[string]linkState, len(runners))
	for name, r := range runners {
		is, reason := r.State()
		out[name] = linkState{is, reason}
	}
	return out
}
