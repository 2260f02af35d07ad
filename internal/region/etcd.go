package region

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/etcd"
)

// EtcdAccess is what an etcd is shown.
type EtcdAccess struct {
	TLS            *tlsfiles.Set // nil: plain connections
	User, Password string        // empty: none
}

func (a EtcdAccess) config(cfg etcd.Config) etcd.Config {
	cfg.Username, cfg.Password = a.User, a.Password
	if a.TLS != nil {
		cfg.TLS = func(name string) *tls.Config { return a.TLS.Client(name, tlsfiles.AnyServer) }
	}
	return cfg
}

// warnUnguarded is for an etcd without users, although its client has one: they are lost with etcd's data.
const warnUnguarded = "etcd has no users, so whoever reaches it may write: make them by `gnomon etcd users`"

const (
	etcdRetry = 500 * time.Millisecond
	etcdWarn  = 20 // attempts between two warnings
)

// openLog opens the region's etcd, and waits for it where a user must be checked: as without one, the order of starts does
// not matter. That etcd refuses this coordinator is an error at once.
func (c *Coordinator) openLog(ctx context.Context) (*etcd.Log, error) {
	cfg := c.cfg.Etcd.config(etcd.Config{Endpoints: c.cfg.EtcdEndpoints, Cluster: c.cfg.Identity.ClusterID, Logger: c.cfg.Logger})
	for n := 0; ; n++ {
		l, err := c.tryLog(ctx, cfg)
		if err == nil || !errors.Is(err, base.ErrUnavailable) {
			return l, err
		}
		if n%etcdWarn == 0 {
			c.cfg.Logger.Warn("waits for etcd", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("etcd at %v did not answer: %w: %w", c.cfg.EtcdEndpoints, base.ErrUnavailable, ctx.Err())
		case <-time.After(etcdRetry):
		}
	}
}

// tryLog opens etcd once. A coordinator without a user waits for its etcd later, as it follows the log.
func (c *Coordinator) tryLog(ctx context.Context, cfg etcd.Config) (*etcd.Log, error) {
	if cfg.TLS != nil {
		if err := knock(ctx, cfg.Endpoints, c.cfg.Etcd.TLS); err != nil {
			return nil, err
		}
	}
	l, err := etcd.Open(cfg)
	if err != nil {
		return nil, err
	}
	if _, err := l.Position(ctx); errors.Is(err, metastore.ErrRefused) {
		return nil, errors.Join(err, l.Close())
	}
	if unguarded, err := l.Unguarded(ctx); err == nil && unguarded {
		c.cfg.Logger.Warn(warnUnguarded)
	}
	return l, nil
}

// knock finds out fast what cannot go well. base.ErrUnavailable when every endpoint refuses the connection: waiting for the
// fence's timeout would only make a failover slower. metastore.ErrRefused when one is there and the two do not accept
// each other's certificates, and no other is better. Anything else (no answer, a name that does not resolve just now) may pass.
func knock(ctx context.Context, endpoints []string, set *tlsfiles.Set) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan error, len(endpoints))
	for _, e := range endpoints {
		go func() { answers <- tlsfiles.Probe(ctx, e, set, tlsfiles.AnyServer) }() // ends with ctx
	}
	var away, refused []error
	for range endpoints {
		err := <-answers
		var strange *tlsfiles.RefusedError
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.ECONNREFUSED):
			away = append(away, err)
		case errors.As(err, &strange) && ctx.Err() == nil:
			refused = append(refused, err)
		}
	}
	switch {
	case len(refused) > 0:
		return fmt.Errorf("etcd: %w: %w", metastore.ErrRefused, errors.Join(refused...))
	case len(away) == len(endpoints):
		return fmt.Errorf("%w: %w", base.ErrUnavailable, errors.Join(away...))
	}
	return nil
}
