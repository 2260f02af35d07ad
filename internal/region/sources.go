package region

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
	"github.com/gnomon-stream/gnomon/pkg/agent/remote"
	"github.com/gnomon-stream/gnomon/pkg/metastore/etcd"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/metered"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/open"
	"github.com/gnomon-stream/gnomon/pkg/shadow"
)

// sources reaches what links name: shadow.Remote with the real backends.
type sources struct {
	http   *http.Client // with the region's own certificate, if it has one
	tls    bool         // http has one
	stores *metered.Metrics
	logger *slog.Logger
	now    func() time.Time

	mu      sync.Mutex
	clients map[string]shadow.Source // by their URLs: each remembers which of them answered
}

func (r *sources) Source(cfg *metalogpb.LinkConfig) (shadow.Source, error) {
	files := tlsfiles.Files{
		Cert: cfg.CredentialFiles["coordinator_cert_file"], Key: cfg.CredentialFiles["coordinator_key_file"], CA: cfg.CredentialFiles["coordinator_ca_file"],
	}
	key := strings.Join(append([]string{files.Cert, files.Key, files.CA}, cfg.Coordinators...), " ")
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.clients[key]; c != nil {
		return c, nil
	}
	h := r.http
	if secure := slices.ContainsFunc(cfg.Coordinators, func(u string) bool { return strings.HasPrefix(u, "https:") }); secure && (!r.tls || !files.None()) {
		set, err := tlsfiles.Open(files, r.now, r.logger.With("link", cfg.Name))
		if err != nil {
			return nil, err
		}
		h = remote.NewHTTP(set)
	}
	c, err := shadow.NewClient(h, cfg.Coordinators)
	if err == nil {
		r.clients[key] = c
	}
	return c, err
}

func (r *sources) Bucket(ctx context.Context, cfg *metalogpb.LinkConfig) (objstore.Store, error) {
	bucket, err := open.Open(ctx, cfg.Bucket, open.Options{CredentialsFile: cfg.CredentialFiles["bucket_credentials_file"]})
	if err != nil {
		return nil, err
	}
	return r.stores.Wrap(bucket, metered.Source), nil
}

func (r *sources) Etcd(ctx context.Context, cfg *metalogpb.LinkConfig, source base.ClusterID) (shadow.FrozenLog, error) {
	if len(cfg.EtcdEndpoints) == 0 {
		return nil, fmt.Errorf("the link names no etcd of its source: %w", base.ErrUnavailable)
	}
	if err := knock(ctx, cfg.EtcdEndpoints); err != nil {
		return nil, err
	}
	return etcd.Open(etcd.Config{Endpoints: cfg.EtcdEndpoints, Cluster: source, CallTimeout: time.Second, Logger: r.logger})
}

// knock finds out fast that nobody is there: when every endpoint refuses the connection, waiting for the fence's timeout
// would only make the failover slower. Anything else (no answer, a name that does not resolve just now) may pass.
func knock(ctx context.Context, endpoints []string) error {
	var refused []error
	for _, e := range endpoints {
		u, err := url.Parse(e)
		if err != nil {
			return fmt.Errorf("etcd endpoint %q: %w", e, err)
		}
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", u.Host)
		switch {
		case err == nil:
			return c.Close()
		case errors.Is(err, syscall.ECONNREFUSED):
			refused = append(refused, err)
		}
	}
	if len(refused) == len(endpoints) {
		return fmt.Errorf("%w: %w", base.ErrUnavailable, errors.Join(refused...))
	}
	return nil
}
