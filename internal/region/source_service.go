package region

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/rpcfault"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// sourceService answers links of other regions, and the peer check of an old primary.
type sourceService struct {
	c       *coordinator.Coordinator
	now     func() time.Time
	version string
}

func (s *sourceService) Describe(ctx context.Context, _ *connect.Request[adminpb.DescribeRequest]) (*connect.Response[adminpb.DescribeResponse], error) {
	known := s.c.KnownHead() // before the question: the log reaches at least as far
	pos, err := s.c.Position(ctx)
	if err == nil && pos.Head.Seq < known {
		// A link would be FAULTED by the answer, though the log may well be restored with all of it.
		err = fmt.Errorf("etcd is at seq %d, this coordinator at %d: the metalog was lost or set back, and is not restored yet: %w", pos.Head.Seq, known, base.ErrUnavailable)
	}
	if err != nil {
		return nil, rpcfault.Connect(err)
	}
	if err := s.c.Replica().WaitFor(ctx, pos.Point()); err != nil {
		return nil, rpcfault.Connect(err)
	}
	out := &adminpb.DescribeResponse{
		Role: string(s.c.Role()), Incarnation: pos.Incarnation, HeadSeq: uint64(pos.Head.Seq), FeatureLevel: state.FeatureLevel,
		ClockMs: s.now().UnixMilli(), Version: s.version, Snapshot: pos.Snapshot, Archive: pos.Archive,
		LinkSources: map[string]string{}, TookOver: map[string]int32{}, LinkPositions: map[string]*adminpb.LinkPosition{},
	}
	s.c.Replica().With(func(st *state.State) {
		r := st.Region()
		out.ClusterId, out.KafkaClusterId = r.ClusterID[:], r.KafkaClusterID
		out.RegionNumber, out.RegionName, out.Epoch = int32(r.Number), r.Name, int32(r.Epoch)
		out.HeadTimeMs = st.Time()
		for _, l := range st.Links() {
			info := l.Info()
			if info.Flip != nil {
				out.TookOver[info.SourceCluster.String()] = info.Flip.Epoch
			} else {
				out.LinkSources[info.SourceCluster.String()] = l.Name()
				out.LinkPositions[info.SourceCluster.String()] = &adminpb.LinkPosition{
					Link: l.Name(), Seq: uint64(info.Position.Seq), Hash: info.Position.Hash[:], Fault: info.Fault,
				}
			}
		}
	})
	return connect.NewResponse(out), nil
}

func (s *sourceService) Follow(ctx context.Context, req *connect.Request[adminpb.FollowRequest], stream *connect.ServerStream[adminpb.FollowResponse]) error {
	pos, err := s.c.Position(ctx)
	if err != nil {
		return rpcfault.Connect(err)
	}
	if req.Msg.Incarnation != pos.Incarnation {
		return connect.NewError(connect.CodeFailedPrecondition,
			fmt.Errorf("the log's incarnation is %q, not %q", pos.Incarnation, req.Msg.Incarnation))
	}
	err = s.c.Follow(ctx, base.Seq(req.Msg.FromSeq), func(raw metastore.RawEntry) error {
		return stream.Send(&adminpb.FollowResponse{
			Seq: uint64(raw.Seq), Entry: raw.Value, HeadSeq: uint64(max(raw.Seq, s.c.KnownHead())),
		})
	})
	return rpcfault.Connect(err)
}

func (s *sourceService) Heads(ctx context.Context, _ *connect.Request[adminpb.HeadsRequest]) (*connect.Response[adminpb.HeadsResponse], error) {
	head, err := s.c.Head(ctx)
	if err != nil {
		return nil, rpcfault.Connect(err)
	}
	if err := s.c.Replica().WaitFor(ctx, head); err != nil {
		return nil, rpcfault.Connect(err)
	}
	out := &adminpb.HeadsResponse{}
	s.c.Replica().With(func(st *state.State) {
		at := st.Head()
		out.Seq, out.Hash = uint64(at.Seq), at.Hash[:]
		for _, t := range st.Topics() {
			id := t.Info().ID
			for i := range t.Partitions() {
				p := t.Partition(i)
				out.Partitions = append(out.Partitions, &adminpb.PartitionHead{
					TopicId: id[:], Partition: i, EndOffset: int64(p.End), Chain: p.Chain[:], LogStart: int64(p.LogStart),
				})
			}
		}
	})
	return connect.NewResponse(out), nil
}
