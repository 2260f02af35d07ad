package shadow

import (
	"context"
	"log/slog"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/trace"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// Tx is a hold on the shadow's working state while one command runs.
type Tx interface {
	State() *state.State // read only
	Now() int64          // Unix milliseconds
	Emit(ev *metalogpb.Event, blobs ...[]byte) error
}

// Metalog is the shadow's own coordinator leader.
type Metalog interface {
	// Do runs fn on the leader loop and returns once the log has confirmed what it emitted.
	Do(ctx context.Context, fn func(tx Tx) error) error
	// OpenLinkSession opens a writer session for the link's copies and fences the one before.
	OpenLinkSession(ctx context.Context, link string) (base.SessionID, error)
	// With lends the confirmed state between two applies.
	With(fn func(st *state.State))
	// WaitFor waits until the confirmed state holds everything up to the head of the log as it is now.
	Refresh(ctx context.Context) error
}

// Source is the other region, as far as its processes answer.
type Source interface {
	Describe(ctx context.Context) (*adminpb.DescribeResponse, error)
	// Follow calls fn for each entry from seq on, with the newest seq that the source knows, until ctx ends or fn fails.
	Follow(ctx context.Context, from base.Seq, incarnation string, fn func(raw metastore.RawEntry, head base.Seq) error) error
	Heads(ctx context.Context) (*adminpb.HeadsResponse, error)
}

// FrozenLog is the source's metalog itself, reached in its etcd when its processes are gone: fenced, then drained.
type FrozenLog interface {
	// MayFence asks whether this region may write the fence, and writes nothing: metastore.ErrRefused when it may not.
	MayFence(ctx context.Context) error
	WriteFence(ctx context.Context, fence *metalogpb.Fence) error
	Position(ctx context.Context) (metastore.Position, error)
	Read(ctx context.Context, from base.Seq, maxBytes int) ([]metastore.RawEntry, error)
	Close() error
}

// Remote reaches what a link's configuration names. The wiring provides it: this package names no backend.
type Remote interface {
	Source(cfg *metalogpb.LinkConfig) (Source, error)
	// Bucket opens the source's bucket.
	Bucket(ctx context.Context, cfg *metalogpb.LinkConfig) (objstore.Store, error)
	// Etcd opens the source's etcd; base.ErrUnavailable at once when every endpoint refuses.
	Etcd(ctx context.Context, cfg *metalogpb.LinkConfig, sourceCluster base.ClusterID) (FrozenLog, error)
}

// Copier brings objects over.
type Copier interface {
	// Copy reads the job's object from the source's bucket, proves it, and puts it (or the wanted part of it) into this
	// region's bucket as object local. base.ErrCorrupt: the bytes are not what the source's log names. base.ErrNotFound:
	// the source no longer has it. base.ErrUnavailable: try again, under the same or another number.
	Copy(ctx context.Context, source objstore.Store, job CopyJob, local base.ObjectID) (*metalogpb.Placement, error)
}

// Config of a Runner.
type Config struct {
	Link    string
	Metalog Metalog
	Remote  Remote
	Bucket  objstore.Store // this region's
	Copier  Copier
	// CopiesMax is how many objects are copied at a time (64), CopyBytesMax how many bytes of them are in memory (128 MiB).
	CopiesMax    int
	CopyBytesMax int64
	Now          func() time.Time
	Logger       *slog.Logger
	Metrics      *Metrics
	Trace        *trace.Tracer // nil means none
}
