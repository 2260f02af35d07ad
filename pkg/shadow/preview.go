package shadow

import (
	"context"
	"errors"
	"fmt"

	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// Answers of the source's etcd to a dry run, as the report names them.
const (
	FenceAllowed = "allowed"
	FenceRefused = "refused" // it answers, and does not let this region in, or not write the fence
	FenceUnknown = "unknown" // it could not be asked
)

// preview says what a failover would do now, without doing it.
func (f *failover) preview(ctx context.Context) (*adminpb.FailoverReport, error) {
	rep := &adminpb.FailoverReport{Link: f.r.cfg.Link, Epoch: int32(f.epoch), DryRun: true}
	f.foresee(ctx, rep)
	fenced := rep.Mode == ModeFenced
	if !fenced && f.info.Paused {
		rep.Detail += "; the link is paused: what the source took since then would be lost, and is not counted"
	}
	seen := f.r.look()
	f.r.cfg.Metalog.With(func(st *state.State) {
		if l := st.Link(f.r.cfg.Link); l != nil {
			info := l.Info()
			rep.CutSeq, rep.CutTimeMs, rep.SourceSeq = uint64(info.Position.Seq), info.PositionTime, uint64(max(seen.headSeq, info.Position.Seq))
			rep.RpoSeconds = rpoSeconds(&metalogpb.RegionFlipped{Fenced: fenced, CutTimeMs: info.PositionTime, SourceTimeMs: seen.headTime})
			rep.Partitions = boundaryOfImage(l, endsOf(endsBeyond(l, seen)), fenced)
		}
	})
	return rep, nil
}

// foresee asks the source's etcd what tryFence and drain would meet there.
func (f *failover) foresee(ctx context.Context, rep *adminpb.FailoverReport) {
	ctx, cancel := context.WithTimeout(ctx, f.o.FenceTimeout)
	defer cancel()
	rep.Mode, rep.Fence = ModeCut, FenceUnknown
	log, err := f.r.cfg.Remote.Etcd(ctx, f.info.Config, f.info.SourceCluster)
	if err != nil {
		err = reached(err)
	} else {
		defer func() { _ = log.Close() }()
		f.frozen = log
		if err = log.MayFence(ctx); err != nil {
			err = fmt.Errorf("the source could not be fenced in its etcd (%w)", err)
		}
	}
	switch {
	case errors.Is(err, metastore.ErrRefused):
		rep.Fence, rep.Detail = FenceRefused, fmt.Sprintf("%v: the cut would be taken with --accept-missing only", err)
		return
	case err != nil:
		rep.Detail = fmt.Sprintf("%v: the cut would be taken as it stands", err)
		return
	}
	rep.Fence = FenceAllowed
	if err := f.forked(ctx); err != nil {
		rep.Detail = fmt.Sprintf("the source would be fenced, and could not be drained (%v): the cut would be taken with --accept-missing only", err)
		return
	}
	rep.Mode, rep.Detail = ModeFenced, "the source's etcd is in reach: it would be fenced and drained, nothing acked would be lost"
}
