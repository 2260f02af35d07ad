package region

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/rpcfault"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/shadow"
)

// shadowService is the operator's API for links.
type shadowService struct {
	r *Coordinator
}

func (s *shadowService) List(context.Context, *connect.Request[adminpb.ListRequest]) (*connect.Response[adminpb.ListResponse], error) {
	out := &adminpb.ListResponse{}
	for _, l := range s.r.coord.Replica().State().Links() {
		info := l.Info()
		sum := &adminpb.LinkSummary{
			Link: l.Name(), State: shadow.Unreachable, Source: info.SourceCluster.String(), AppliedSeq: uint64(info.Position.Seq), Config: info.Config,
		}
		if runner, err := s.r.links.runner(l.Name()); err == nil {
			if st := runner.Status(); st != nil {
				sum.State = st.State
			}
		}
		out.Links = append(out.Links, sum)
	}
	return connect.NewResponse(out), nil
}

func (s *shadowService) Status(_ context.Context, req *connect.Request[adminpb.StatusRequest]) (*connect.Response[adminpb.StatusResponse], error) {
	runner, err := s.r.links.runner(req.Msg.Link)
	if err != nil {
		return nil, rpcfault.Connect(err)
	}
	st := runner.Status()
	if st == nil {
		return nil, rpcfault.Connect(fmt.Errorf("link %q: %w", req.Msg.Link, base.ErrNotFound))
	}
	if s.r.coord.Role() == coordinator.Fenced {
		st.Role = string(coordinator.Fenced)
	}
	return connect.NewResponse(st), nil
}

func (s *shadowService) Verify(ctx context.Context, req *connect.Request[adminpb.VerifyRequest]) (*connect.Response[adminpb.VerifyResponse], error) {
	var out *adminpb.VerifyResponse
	var err error
	if req.Msg.Deep {
		out, err = shadow.VerifyDeep(ctx, s.r.bucket, s.r.coord.Replica().With, req.Msg.Link)
	} else {
		var runner *shadow.Runner
		if runner, err = s.r.links.runner(req.Msg.Link); err == nil {
			out, err = runner.Verify(ctx)
		}
	}
	if err != nil {
		return nil, rpcfault.Connect(err)
	}
	return connect.NewResponse(out), nil
}

func (s *shadowService) Failover(ctx context.Context, req *connect.Request[adminpb.FailoverRequest]) (*connect.Response[adminpb.FailoverResponse], error) {
	runner, err := s.r.links.runner(req.Msg.Link)
	if err != nil {
		return nil, rpcfault.Connect(err)
	}
	rep, err := runner.Failover(ctx, shadow.Options{
		FenceTimeout: time.Duration(req.Msg.FenceTimeoutMs) * time.Millisecond, DryRun: req.Msg.DryRun, AcceptMissing: req.Msg.AcceptMissing,
	})
	if errors.Is(err, shadow.ErrNeedsConsent) {
		return nil, connect.NewError(connect.CodeFailedPrecondition, err)
	}
	if err != nil {
		return nil, rpcfault.Connect(err)
	}
	return connect.NewResponse(&adminpb.FailoverResponse{Report: rep}), nil
}

func (s *shadowService) Pause(ctx context.Context, req *connect.Request[adminpb.PauseRequest]) (*connect.Response[adminpb.PauseResponse], error) {
	err := s.emitForLink(ctx, req.Msg.Link, &metalogpb.Event{Kind: &metalogpb.Event_LinkPaused{
		LinkPaused: &metalogpb.LinkPaused{Link: req.Msg.Link, Paused: req.Msg.Paused},
	}})
	if err != nil {
		return nil, rpcfault.Connect(err)
	}
	if runner, err := s.r.links.runner(req.Msg.Link); err == nil {
		runner.Restart()
	}
	return connect.NewResponse(&adminpb.PauseResponse{}), nil
}

func (s *shadowService) Delete(ctx context.Context, req *connect.Request[adminpb.DeleteRequest]) (*connect.Response[adminpb.DeleteResponse], error) {
	err := s.emitForLink(ctx, req.Msg.Link, &metalogpb.Event{Kind: &metalogpb.Event_LinkDeleted{
		LinkDeleted: &metalogpb.LinkDeleted{Link: req.Msg.Link},
	}})
	if err != nil {
		return nil, rpcfault.Connect(err)
	}
	return connect.NewResponse(&adminpb.DeleteResponse{}), nil
}

func (s *shadowService) emitForLink(ctx context.Context, link string, ev *metalogpb.Event) error {
	return s.do(ctx, func(tx *coordinator.Tx) error {
		if tx.State().Link(link) == nil {
			return fmt.Errorf("link %q: %w", link, base.ErrNotFound)
		}
		return tx.Emit(ev)
	})
}

// do runs a change on the leader. When the term ends under it, the reason may be that the region was fenced just now, which the
// next term finds out: that is what the operator has to know.
func (s *shadowService) do(ctx context.Context, fn func(tx *coordinator.Tx) error) error {
	err := s.r.coord.Do(ctx, fn)
	for until := time.Now().Add(termChange); errors.Is(err, base.ErrNotLeader) && time.Now().Before(until); {
		if s.r.coord.Role() == coordinator.Fenced {
			return fmt.Errorf("another region has taken over, and this one takes no changes: %w", base.ErrFenced)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(linkPoll):
		}
	}
	return err
}

// termChange is how long the next term may take to find out what the region's role is.
const termChange = 2 * time.Second

// Create checks everything that a link needs before it enters it into the log.
func (s *shadowService) Create(ctx context.Context, req *connect.Request[adminpb.CreateRequest]) (*connect.Response[adminpb.CreateResponse], error) {
	cfg := req.Msg.Config
	out, source := s.checkLink(ctx, cfg)
	for _, c := range out.Checks {
		if !c.Ok {
			return connect.NewResponse(out), nil
		}
	}
	if req.Msg.ValidateOnly {
		return connect.NewResponse(out), nil
	}
	err := s.do(ctx, func(tx *coordinator.Tx) error { return createLink(tx, req.Msg, source) })
	if err != nil {
		return nil, rpcfault.Connect(err)
	}
	out.Created = true
	return connect.NewResponse(out), s.awaitLink(ctx, cfg.Name)
}

func createLink(tx *coordinator.Tx, req *adminpb.CreateRequest, source *adminpb.DescribeResponse) error {
	cfg := req.Config
	if tx.State().Link(cfg.Name) != nil {
		return fmt.Errorf("link %q exists: delete it first, or choose another name: %w", cfg.Name, base.ErrReadOnly)
	}
	err := tx.Emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkCreated{LinkCreated: &metalogpb.LinkCreated{
		Config: cfg, SourceClusterId: source.ClusterId, SourceRegionNumber: source.RegionNumber, SourceIncarnation: source.Incarnation,
	}}})
	if err != nil || !req.Paused {
		return err
	}
	return tx.Emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkPaused{LinkPaused: &metalogpb.LinkPaused{Link: cfg.Name, Paused: true}}})
}

// awaitLink waits until the link's runner is there, so that a status right after create finds it.
func (s *shadowService) awaitLink(ctx context.Context, link string) error {
	for {
		if _, err := s.r.links.runner(link); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return rpcfault.Connect(ctx.Err())
		case <-time.After(linkPoll):
		}
	}
}

// clockSkewMax is how far the clocks of two regions may differ: lag in seconds is no better than this.
const clockSkewMax = 5 * time.Second

// checkLink checks reach, identity, versions, clock, loops and permissions. It stops where nothing further can be asked.
func (s *shadowService) checkLink(ctx context.Context, cfg *metalogpb.LinkConfig) (*adminpb.CreateResponse, *adminpb.DescribeResponse) {
	out := &adminpb.CreateResponse{}
	check := func(name string, err error, detail string) bool {
		c := &adminpb.CheckResult{Name: name, Ok: err == nil, Detail: detail}
		if err != nil {
			c.Detail = err.Error()
		}
		out.Checks = append(out.Checks, c)
		return err == nil
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	src, err := s.r.links.remote.Source(cfg)
	if !check("source addresses", err, fmt.Sprint(cfg.Coordinators)) {
		return out, nil
	}
	d, err := src.Describe(ctx)
	if !check("source in reach", err, "") {
		return out, nil
	}
	out.Checks[len(out.Checks)-1].Detail = fmt.Sprintf("region %s, cluster %x, seq %d, version %s", d.RegionName, d.ClusterId, d.HeadSeq, d.Version)
	check("identity", s.identity(d), "another region of the same Kafka cluster id")
	check("version", featureLevel(d), fmt.Sprintf("feature level %d", d.FeatureLevel))
	skew := time.Duration(s.r.cfg.Now().UnixMilli()-d.ClockMs) * time.Millisecond
	check("clock", clockOK(skew), fmt.Sprintf("differs by %v", skew.Abs()))
	check("bucket", s.sourceBucket(ctx, cfg), "readable")
	check("etcd", s.sourceEtcd(ctx, cfg, base.ClusterID(d.ClusterId)), "in reach: a failover can fence the source and lose nothing")
	return out, d
}

func (s *shadowService) identity(d *adminpb.DescribeResponse) error {
	own := s.r.cfg.Identity
	switch {
	case len(d.ClusterId) != len(base.ClusterID{}) || base.ClusterID(d.ClusterId) == own.ClusterID:
		return fmt.Errorf("the addresses lead to this cluster itself")
	case base.RegionNumber(d.RegionNumber) == own.Region:
		return fmt.Errorf("the source has region number %d, as this region: their ids would collide", d.RegionNumber)
	case d.LinkSources[own.ClusterID.String()] != "":
		return fmt.Errorf("the source shadows this region by link %q: two links in opposite directions are not supported yet", d.LinkSources[own.ClusterID.String()])
	}
	for _, l := range s.r.coord.Replica().State().Links() {
		if l.Active() && l.Info().SourceCluster == base.ClusterID(d.ClusterId) {
			return fmt.Errorf("link %q shadows this source already", l.Name())
		}
	}
	return nil
}

func featureLevel(d *adminpb.DescribeResponse) error {
	if d.FeatureLevel > state.FeatureLevel {
		return fmt.Errorf("the source is at feature level %d, this build knows %d: upgrade this region first", d.FeatureLevel, state.FeatureLevel)
	}
	return nil
}

func clockOK(skew time.Duration) error {
	if skew.Abs() > clockSkewMax {
		return fmt.Errorf("the clocks differ by %v, at most %v: synchronise them (NTP)", skew.Abs(), clockSkewMax)
	}
	return nil
}

func (s *shadowService) sourceBucket(ctx context.Context, cfg *metalogpb.LinkConfig) error {
	b, err := s.r.links.remote.Bucket(ctx, cfg)
	if err != nil {
		return err
	}
	_, err = b.List(ctx, "meta/", "", 1)
	return errors.Join(err, b.Close())
}

func (s *shadowService) sourceEtcd(ctx context.Context, cfg *metalogpb.LinkConfig, cluster base.ClusterID) error {
	if len(cfg.EtcdEndpoints) == 0 {
		return nil // allowed: such a link always fails over at its cut
	}
	l, err := s.r.links.remote.openEtcd(ctx, cfg, cluster)
	if err != nil {
		return err
	}
	if _, err = l.Position(ctx); err == nil {
		err = l.MayFence(ctx)
	}
	return errors.Join(err, l.Close())
}
