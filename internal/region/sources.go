package region

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
	"github.com/gnomon-stream/gnomon/pkg/agent/remote"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
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
	getenv func(string) string

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
	if secure(cfg.Coordinators) && (!r.tls || !files.None()) {
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
	return r.openEtcd(ctx, cfg, source)
}

// openEtcd opens the source's etcd as the user that the link names.
func (r *sources) openEtcd(ctx context.Context, cfg *metalogpb.LinkConfig, source base.ClusterID) (*etcd.Log, error) {
	access, err := r.etcdAccess(cfg)
	if err != nil { // whether the source is alive cannot be asked: a failover must not take that for its death
		return nil, fmt.Errorf("%w: %w", metastore.ErrRefused, err)
	}
	if err := knock(ctx, cfg.EtcdEndpoints, access.TLS); err != nil {
		return nil, err
	}
	return etcd.Open(access.config(etcd.Config{Endpoints: cfg.EtcdEndpoints, Cluster: source, CallTimeout: time.Second, Logger: r.logger}))
}

// etcdAccess reads what the link's files and variables hold now.
func (r *sources) etcdAccess(cfg *metalogpb.LinkConfig) (a EtcdAccess, err error) {
	named := cfg.CredentialFiles
	if secure(cfg.EtcdEndpoints) {
		files := tlsfiles.Files{Cert: named["etcd_cert_file"], Key: named["etcd_key_file"], CA: named["etcd_ca_file"]}
		if a.TLS, err = tlsfiles.Open(files, r.now, r.logger.With("link", cfg.Name)); err != nil {
			return a, err
		}
	}
	if a.User, err = r.secret(named, "etcd_username"); err != nil {
		return a, err
	}
	a.Password, err = r.secret(named, "etcd_password")
	return a, err
}

// secret reads a credential of a link; "" when the link names none.
func (r *sources) secret(named map[string]string, name string) (string, error) {
	if path := named[name+"_file"]; path != "" {
		text, err := tlsfiles.ReadSecret(path)
		if err != nil {
			return "", fmt.Errorf("%s_file: %w", name, err)
		}
		return text, nil
	}
	variable := named[name+"_env"]
	if variable == "" {
		return "", nil
	}
	text := strings.TrimSpace(r.getenv(variable))
	if text == "" {
		return "", fmt.Errorf("%s_env names the variable %s, which is not set at this coordinator", name, variable)
	}
	return text, nil
}

func secure(urls []string) bool {
	return slices.ContainsFunc(urls, func(u string) bool { return strings.HasPrefix(u, "https:") })
}
