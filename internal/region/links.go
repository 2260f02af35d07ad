package region

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/metered"
	"github.com/gnomon-stream/gnomon/pkg/shadow"
)

// linkManager runs a runner for each link while this process leads.
type linkManager struct {
	c       *coordinator.Coordinator
	bucket  objstore.Store
	cfg     CoordinatorConfig
	remote  *sources
	metrics *shadow.Metrics

	mu      sync.Mutex
	runners map[string]*running
}

type running struct {
	runner *shadow.Runner
	stop   context.CancelFunc
	ended  chan struct{}
}

func newLinkManager(c *coordinator.Coordinator, bucket objstore.Store, cfg CoordinatorConfig, h *http.Client, stores *metered.Metrics, m *shadow.Metrics) *linkManager {
	return &linkManager{
		c: c, bucket: bucket, cfg: cfg, metrics: m, runners: map[string]*running{},
		remote: &sources{http: h, stores: stores, tls: cfg.Security.TLS != nil, logger: cfg.Logger, now: cfg.Now, getenv: getenv(cfg), clients: map[string]shadow.Source{}},
	}
}

// linkPoll is how soon a created link starts, and a deleted one ends.
const linkPoll = 20 * time.Millisecond

// run keeps the set of runners equal to the set of links, and empty while somebody else leads.
func (m *linkManager) run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	tick := time.NewTicker(linkPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return g.Wait()
		case <-tick.C:
		}
		want := map[string]bool{}
		if m.c.Leading() && m.c.Role() != coordinator.Fenced {
			for _, l := range m.c.Replica().State().Links() {
				want[l.Name()] = true
			}
		}
		m.settle(gctx, g, want)
	}
}

func (m *linkManager) settle(ctx context.Context, g *errgroup.Group, want map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, r := range m.runners {
		if !want[name] {
			r.stop()
			select {
			case <-r.ended:
				delete(m.runners, name)
			default:
			}
		}
	}
	for name := range want {
		if m.runners[name] != nil {
			continue
		}
		rctx, stop := context.WithCancel(ctx)
		r := &running{runner: m.newRunner(name), stop: stop, ended: make(chan struct{})}
		m.runners[name] = r
		g.Go(func() error {
			defer close(r.ended)
			return r.runner.Run(rctx)
		})
	}
}

func (m *linkManager) newRunner(link string) *shadow.Runner {
	return shadow.NewRunner(shadow.Config{
		Link: link, Metalog: metalog{m.c}, Remote: m.remote, Bucket: m.bucket,
		Copier: &shadow.ObjectCopier{Cluster: m.cfg.Identity.ClusterID, Bucket: m.bucket, Trace: m.cfg.Trace, Now: m.cfg.Now},
		Now:    m.cfg.Now, Logger: m.cfg.Logger, Metrics: m.metrics, Trace: m.cfg.Trace,
	})
}

// runner returns the runner of a link; base.ErrNotFound when there is no such link, base.ErrNotLeader when this process
// does not run it.
func (m *linkManager) runner(link string) (*shadow.Runner, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.runners[link]; r != nil {
		return r.runner, nil
	}
	known := false
	m.c.Replica().With(func(st *state.State) { known = st.Link(link) != nil })
	if !known {
		return nil, fmt.Errorf("link %q: %w", link, base.ErrNotFound)
	}
	return nil, fmt.Errorf("link %q is run by the coordinator leader: %w", link, base.ErrNotLeader)
}

func getenv(cfg CoordinatorConfig) func(string) string {
	if cfg.Getenv != nil {
		return cfg.Getenv
	}
	return os.Getenv
}
