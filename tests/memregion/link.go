package memregion

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/shadow"
)

// LinkName is the name of a link that Shadow makes.
const LinkName = "link"

// Shadow makes the region a shadow of src. from is src's bucket and to the region's, as the copier sees them. Topics are
// chosen by a prefix; empty means all.
func (r *Region) Shadow(src *Region, from, to objstore.Store, prefix string) *shadow.Runner {
	r.t.Helper()
	filter := &metalogpb.Filter{PatternType: "PREFIX", FilterType: "INCLUDE", Name: prefix}
	if prefix == "" {
		filter = &metalogpb.Filter{PatternType: "LITERAL", FilterType: "INCLUDE", Name: "*"}
	}
	r.Emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkCreated{LinkCreated: &metalogpb.LinkCreated{
		Config:          &metalogpb.LinkConfig{Name: LinkName, TopicFilters: []*metalogpb.Filter{filter}},
		SourceClusterId: src.Cluster[:], SourceRegionNumber: int32(src.Number),
	}}})
	runner := shadow.NewRunner(shadow.Config{
		Link: LinkName, Metalog: links{r.Coord}, Remote: remote{src, from}, Bucket: to,
		Copier: &shadow.ObjectCopier{Cluster: r.Cluster, Bucket: to}, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	r.run("link", runner.Run)
	return runner
}

// Shadowed waits until the image holds all of src's log, and the agent shows it.
func (r *Region) Shadowed(src *Region) {
	r.t.Helper()
	src.CaughtUp()
	want := src.Agent.View().Replica().Applied()
	r.Until("the image has caught up", func() bool {
		var at base.Seq
		r.With(func(st *state.State) {
			if l := st.Link(LinkName); l != nil {
				at = l.Info().Position.Seq
			}
		})
		return at >= want
	})
	r.CaughtUp()
}

// links is the coordinator as its links see it.
type links struct{ *coordinator.Coordinator }

func (m links) Do(ctx context.Context, fn func(shadow.Tx) error) error {
	return m.Coordinator.Do(ctx, func(tx *coordinator.Tx) error { return fn(tx) })
}

func (m links) With(fn func(*state.State)) { m.Replica().With(fn) }

func (m links) Refresh(ctx context.Context) error {
	head, err := m.Head(ctx)
	if err != nil {
		return err
	}
	return m.Replica().WaitFor(ctx, head)
}

// remote is the source without a network.
type remote struct {
	src    *Region
	bucket objstore.Store
}

func (m remote) Source(*metalogpb.LinkConfig) (shadow.Source, error) { return m, nil }

func (m remote) Bucket(context.Context, *metalogpb.LinkConfig) (objstore.Store, error) {
	return m.bucket, nil
}

func (m remote) Etcd(context.Context, *metalogpb.LinkConfig, base.ClusterID) (shadow.FrozenLog, error) {
	return frozen{m.src.Server.Open(nil)}, nil
}

// frozen is a log that knows no users.
type frozen struct{ *memory.Log }

func (frozen) MayFence(context.Context) error { return nil }

func (m remote) Describe(ctx context.Context) (*adminpb.DescribeResponse, error) {
	pos, err := m.src.Server.Open(nil).Position(ctx)
	if err != nil {
		return nil, err
	}
	return &adminpb.DescribeResponse{
		ClusterId: m.src.Cluster[:], HeadSeq: uint64(pos.Head.Seq), Incarnation: pos.Incarnation, Snapshot: pos.Snapshot, Archive: pos.Archive,
	}, nil
}

func (m remote) Follow(ctx context.Context, from base.Seq, _ string, fn func(metastore.RawEntry, base.Seq) error) error {
	return m.src.Coord.Follow(ctx, from, func(raw metastore.RawEntry) error { return fn(raw, max(raw.Seq, m.src.Coord.KnownHead())) })
}

func (m remote) Heads(context.Context) (*adminpb.HeadsResponse, error) {
	return nil, fmt.Errorf("heads: %w", base.ErrUnavailable)
}
