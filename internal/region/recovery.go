package region

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/rpcfault"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/adminpb/adminpbconnect"
	"github.com/gnomon-stream/gnomon/pkg/agent/remote"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/etcd"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/open"
	"github.com/gnomon-stream/gnomon/pkg/recovery"
)

// Stores are the bucket and the etcd of a region, for commands that work on them without its processes.
type Stores struct {
	Bucket objstore.Store
	Claim  objstore.Claim
	Log    metastore.Restorer // nil without etcd
	// Warnings are what an operator has to know of the two.
	Warnings []string
}

// OpenStores opens a region's bucket, and its etcd if endpoints are given. Whose they are, the bucket's claim says.
func OpenStores(ctx context.Context, bucketURL string, etcdEndpoints []string, access EtcdAccess, logger *slog.Logger) (*Stores, error) {
	bucket, err := open.Open(ctx, bucketURL, open.Options{MustExist: true})
	if err != nil {
		return nil, err
	}
	s := &Stores{Bucket: bucket}
	if s.Claim, err = objstore.ReadClaim(ctx, bucket); err != nil {
		return nil, errors.Join(err, bucket.Close())
	}
	if len(etcdEndpoints) > 0 {
		if err := s.openEtcd(ctx, etcdEndpoints, access, logger); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

func (s *Stores) openEtcd(ctx context.Context, endpoints []string, access EtcdAccess, logger *slog.Logger) error {
	if access.TLS != nil {
		if err := knock(ctx, endpoints, access.TLS); err != nil {
			return err
		}
	}
	log, err := etcd.Open(access.config(etcd.Config{Endpoints: endpoints, Cluster: s.Claim.ClusterID, Logger: logger}))
	if err != nil {
		return err
	}
	s.Log = log
	unguarded, err := log.Unguarded(ctx)
	if unguarded {
		s.Warnings = append(s.Warnings, warnUnguarded)
	}
	return err
}

// Close closes both.
func (s *Stores) Close() error {
	err := s.Bucket.Close()
	if s.Log != nil {
		err = errors.Join(err, s.Log.Close())
	}
	return err
}

// NewPeer asks the other region's coordinators what they know of a cluster, with what the set holds where they have TLS; nil
// without URLs.
func NewPeer(urls []string, cluster base.ClusterID, set *tlsfiles.Set) recovery.Peer {
	if len(urls) == 0 {
		return nil
	}
	return restorePeer{urls, cluster, remote.NewHTTP(set)}
}

type restorePeer struct {
	urls    []string
	cluster base.ClusterID
	http    *http.Client
}

// Ask implements recovery.Peer: the first coordinator that answers counts.
func (p restorePeer) Ask(ctx context.Context) (recovery.PeerReport, error) {
	failures := []error{base.ErrUnavailable}
	for _, url := range p.urls {
		cctx, cancel := context.WithTimeout(ctx, healthTimeout)
		resp, err := adminpbconnect.NewSourceServiceClient(p.http, url).Describe(cctx, connect.NewRequest(&adminpb.DescribeRequest{}))
		cancel()
		if err != nil {
			failures = append(failures, err)
			continue
		}
		out := recovery.PeerReport{TookOver: base.Epoch(resp.Msg.TookOver[p.cluster.String()])}
		if at := resp.Msg.LinkPositions[p.cluster.String()]; at != nil {
			out.Link, out.Fault, out.Position.Seq = at.Link, at.Fault, base.Seq(at.Seq)
			copy(out.Position.Hash[:], at.Hash)
		}
		return out, nil
	}
	return recovery.PeerReport{}, errors.Join(failures...)
}

// metastoreService answers gnomon metastore, as far as a region has to be asked.
type metastoreService struct{ c *coordinator.Coordinator }

func (s *metastoreService) ReleaseQuarantine(ctx context.Context, req *connect.Request[adminpb.ReleaseQuarantineRequest]) (*connect.Response[adminpb.ReleaseQuarantineResponse], error) {
	err := s.c.Do(ctx, func(tx *coordinator.Tx) error { return releaseQuarantine(tx, req.Msg.Incarnation) })
	if err != nil {
		return nil, rpcfault.Connect(err)
	}
	return connect.NewResponse(&adminpb.ReleaseQuarantineResponse{}), nil
}

func releaseQuarantine(tx *coordinator.Tx, incarnation string) error {
	for _, x := range tx.State().Restores() {
		switch {
		case x.ID != incarnation:
			continue
		case x.Released:
			return nil
		}
		return tx.Emit(&metalogpb.Event{Kind: &metalogpb.Event_QuarantineReleased{QuarantineReleased: &metalogpb.QuarantineReleased{Incarnation: incarnation}}})
	}
	return errNoRestore(incarnation, tx.State().Restores())
}

func errNoRestore(incarnation string, restores []state.Incarnation) error {
	if len(restores) == 0 {
		return errors.Join(errors.New("this region was never restored"), base.ErrNotFound)
	}
	return errors.Join(errors.New("no restore began incarnation "+incarnation), base.ErrNotFound)
}
