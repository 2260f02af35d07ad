package region

import (
	"context"
	"errors"
	"fmt"
	"io"

	"connectrpc.com/connect"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/rpcfault"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/coordinatorpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// agentService answers agents in other processes. pkg/agent/remote is the other end, and has the walks.
type agentService struct{ r *Coordinator }

// Identify answers from etcd who leads: a leader that was deposed does not take itself for one.
func (s *agentService) Identify(ctx context.Context, _ *connect.Request[coordinatorpb.IdentifyRequest]) (*connect.Response[coordinatorpb.IdentifyResponse], error) {
	id := s.r.cfg.Identity
	out := &coordinatorpb.IdentifyResponse{
		ClusterId: id.ClusterID[:], KafkaClusterId: id.KafkaClusterID, RegionNumber: int32(id.Region), RegionName: id.RegionName, Version: s.r.cfg.Version,
	}
	pos, err := s.r.coord.Position(ctx)
	if err != nil {
		return nil, rpcfault.Connect(err)
	}
	if pos.Leader != nil {
		out.LeaderUrl, out.LeaderId = pos.Leader.Address, pos.Leader.Id
	}
	return connect.NewResponse(out), nil
}

func (s *agentService) Position(ctx context.Context, _ *connect.Request[coordinatorpb.PositionRequest]) (*connect.Response[coordinatorpb.PositionResponse], error) {
	pos, err := s.r.coord.Position(ctx)
	if err != nil {
		return nil, rpcfault.Connect(err)
	}
	return connect.NewResponse(&coordinatorpb.PositionResponse{
		Incarnation: pos.Incarnation, HeadSeq: uint64(pos.Head.Seq), HeadHash: pos.Head.Hash[:], Snapshot: pos.Snapshot, Archive: pos.Archive,
	}), nil
}

func (s *agentService) Head(ctx context.Context, _ *connect.Request[coordinatorpb.HeadRequest]) (*connect.Response[coordinatorpb.HeadResponse], error) {
	head, err := s.r.coord.Head(ctx)
	if err != nil {
		return nil, rpcfault.Connect(err)
	}
	return connect.NewResponse(&coordinatorpb.HeadResponse{Seq: uint64(head.Seq), Incarnation: head.Incarnation}), nil
}

func (s *agentService) OpenSession(ctx context.Context, req *connect.Request[coordinatorpb.OpenSessionRequest]) (*connect.Response[coordinatorpb.OpenSessionResponse], error) {
	id, err := s.r.coord.OpenSession(ctx, req.Msg.NodeId)
	if err != nil {
		return nil, rpcfault.Connect(err)
	}
	return connect.NewResponse(&coordinatorpb.OpenSessionResponse{Session: uint64(id)}), nil
}

// Forward answers a Kafka request. A coordinator that does not lead says so before it does anything.
func (s *agentService) Forward(ctx context.Context, in *connect.Request[coordinatorpb.ForwardRequest]) (*connect.Response[coordinatorpb.ForwardResponse], error) {
	m := in.Msg
	if !s.r.coord.Leading() {
		return nil, rpcfault.Untouched(fmt.Errorf("coordinator %s does not lead: %w", s.r.cfg.ID, base.ErrNotLeader))
	}
	req := kmsg.RequestForKey(int16(m.ApiKey))
	if req == nil || m.Version < 0 || m.Version > int32(req.MaxVersion()) {
		return nil, rpcfault.Untouched(fmt.Errorf("forwarded API %d, version %d: %w", m.ApiKey, m.Version, base.ErrVersion))
	}
	req.SetVersion(int16(m.Version))
	if err := req.ReadFrom(m.Body); err != nil {
		return nil, rpcfault.Untouched(fmt.Errorf("%s of an agent: %w: %w", kmsg.NameForKey(int16(m.ApiKey)), base.ErrCorrupt, err))
	}
	resp, err := s.r.coord.Forward(ctx, coordinator.Client{ID: m.ClientId, Host: m.ClientHost}, req)
	if err != nil {
		return nil, rpcfault.Connect(err)
	}
	resp.SetVersion(int16(m.Version))
	return connect.NewResponse(&coordinatorpb.ForwardResponse{Body: resp.AppendTo(nil)}), nil
}

// commitsInFlight bounds the commits of one agent that wait for the log; the stream is not read beyond.
const commitsInFlight = 1024

// Commit hands an agent's commits to the sequencer in the order in which they come. Answers are sent as the log confirms
// them; the sequencer never waits for a slow agent, since there is room for every answer that may be outstanding.
func (s *agentService) Commit(ctx context.Context, stream *connect.BidiStream[coordinatorpb.CommitRequest, coordinatorpb.CommitResponse]) error {
	ctx, cancel := context.WithCancel(ctx)
	slots := make(chan struct{}, commitsInFlight)
	answers := make(chan *coordinatorpb.CommitResponse, commitsInFlight)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		defer cancel()
		for {
			select {
			case <-ctx.Done():
				return
			case a := <-answers:
				<-slots
				if stream.Send(a) != nil {
					return
				}
			}
		}
	}()
	defer func() { cancel(); <-sent }()
	for {
		m, err := stream.Receive()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		s.r.coord.CommitAsync(ctx, m.Commit, func(res *metalogpb.CommitResult, err error) {
			answers <- &coordinatorpb.CommitResponse{Id: m.Id, Result: res, Fault: rpcfault.Of(err)}
		})
	}
}
