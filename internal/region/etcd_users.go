package region

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
	"github.com/gnomon-stream/gnomon/pkg/metastore/etcd"
)

// EtcdUsers are what InitEtcdUsers makes. Without a link's name there is none.
type EtcdUsers struct {
	RootPassword, Region, RegionPassword, Link, LinkPassword string
}

// ParseClusterID reads 32 hexadecimal digits.
func ParseClusterID(text string) (id base.ClusterID, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("use %d hexadecimal digits, those of the coordinators' cluster-id", 2*len(id))
	}
	return base.ClusterID(b), nil
}

// InitEtcdUsers makes the users of a region's etcd and turns authentication on; it waits for etcd until ctx ends. True when
// authentication was on before.
func InitEtcdUsers(ctx context.Context, endpoints []string, set *tlsfiles.Set, id base.ClusterID, u EtcdUsers) (bool, error) {
	users := etcd.Users{
		Root: etcd.User{Name: "root", Password: u.RootPassword}, Region: etcd.User{Name: u.Region, Password: u.RegionPassword},
		Link: etcd.User{Name: u.Link, Password: u.LinkPassword},
	}
	cfg := EtcdAccess{TLS: set}.config(etcd.Config{Endpoints: endpoints, Cluster: id, Logger: slog.New(slog.DiscardHandler)})
	for {
		err := knock(ctx, endpoints, set)
		already := false
		if err == nil {
			already, err = etcd.InitUsers(ctx, cfg, users)
		}
		if err == nil || !errors.Is(err, base.ErrUnavailable) {
			return already, err
		}
		select {
		case <-ctx.Done():
			return false, err
		case <-time.After(etcdRetry):
		}
	}
}
