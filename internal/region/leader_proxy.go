package region

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/rpcfault"
)

// forwarded marks a request that another coordinator has passed on, so that two that disagree do not play with it.
const forwarded = "Gnomon-Forwarded-By"

// atLeader serves an API at the leader, wherever it is asked: a standby passes requests on. When nobody leads, or the
// leader just changes, the request is answered here, by an error that says so.
func (c *Coordinator) atLeader(path string, here http.Handler) (string, http.Handler) {
	return path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := ""
		if !c.coord.Leading() && r.Header.Get(forwarded) == "" {
			to = c.leaderURL(r.Context())
		}
		target, err := url.Parse(to)
		if to == "" || to == c.URL() || err != nil {
			here.ServeHTTP(w, r)
			return
		}
		proxy := &httputil.ReverseProxy{Transport: c.http.Transport, Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Header.Set(forwarded, c.cfg.ID)
		}, ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			c.cfg.Logger.Warn("a request could not be passed on to the leader", "leader", to, "error", err)
			_ = connect.NewErrorWriter().Write(w, r, rpcfault.Connect(fmt.Errorf("the leader at %s does not answer: %w: %w", to, base.ErrNotLeader, err)))
		}}
		proxy.ServeHTTP(w, r)
	})
}

// leaderURL asks etcd who leads; "" when nobody does, or etcd does not answer.
func (c *Coordinator) leaderURL(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	pos, err := c.coord.Position(ctx)
	if err != nil || pos.Leader == nil {
		return ""
	}
	return pos.Leader.Address
}
