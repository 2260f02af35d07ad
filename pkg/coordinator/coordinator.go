package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/trace"
	"github.com/gnomon-stream/gnomon/pkg/coordinator/groups"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// commandsQueued bounds how many commands wait for the leader loop; senders block beyond it.
const commandsQueued = 4096

// Identity is what a new cluster becomes, and an existing one must be.
type Identity struct {
	ClusterID      base.ClusterID
	KafkaClusterID string
	Region         base.RegionNumber
	RegionName     string
}

// Peer is the other region as an old primary asks it before it serves.
type Peer interface {
	// TookOver returns the epoch at which the peer took this cluster's role over, 0 if it never did;
	// base.ErrUnavailable when it cannot be reached.
	TookOver(ctx context.Context) (base.Epoch, error)
}

// Config of a Coordinator.
type Config struct {
	ID       string // names the process in the election
	Address  string // where other processes reach it
	Log      metastore.Log
	Objects  archive.Objects
	Identity Identity
	Groups   groups.Config
	Limits   Limits
	Peer     Peer // nil when there is no other region
	// PeerEvery is how often the leader asks the peer for its epoch; 0 means each second.
	PeerEvery  time.Duration
	Now        func() time.Time
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Trace      *trace.Tracer // nil means none
	// SnapshotEvery is how many entries lie between two snapshots; 0 means 20,000.
	SnapshotEvery base.Seq
	// RetentionEvery is how often the leader looks for records that their topics keep no longer; 0 means RetentionEveryDefault.
	RetentionEvery time.Duration
	// OffsetsRetention is how long committed offsets of a group without members are kept; 0 means OffsetsRetentionDefault.
	OffsetsRetention time.Duration
	// KeepEntries is how many archived entries etcd keeps for followers that lag a little; 0 means a quarter of
	// SnapshotEvery.
	KeepEntries base.Seq
}

// Role is what a region may do now.
type Role string

// Roles as status and metrics show them.
const (
	Primary Role = "primary"
	Shadow  Role = "shadow"
	Fenced  Role = "fenced"
)

// Coordinator is one coordinator process: a follower of the metalog that campaigns for leadership.
type Coordinator struct {
	cfg      Config
	replica  *replica.Replica
	feed     *feed
	commands chan command
	metrics  *metrics
	leading  atomic.Bool
	fenced   atomic.Bool
	settled  atomic.Uint64 // how many terms have begun to settle the role
	heads    *sharedHead
	// confirmed outlives terms.
	confirmed confirmed
	// over is closed when the present term ends, after all its answers were released.
	over atomic.Pointer[chan struct{}]
}

// New returns a coordinator that does nothing until Run.
func New(cfg Config) *Coordinator {
	if cfg.SnapshotEvery == 0 {
		cfg.SnapshotEvery = 20_000
	}
	if cfg.KeepEntries == 0 {
		cfg.KeepEntries = max(1, cfg.SnapshotEvery/4)
	}
	if cfg.RetentionEvery == 0 {
		cfg.RetentionEvery = RetentionEveryDefault
	}
	if cfg.OffsetsRetention == 0 {
		cfg.OffsetsRetention = OffsetsRetentionDefault
	}
	if cfg.PeerEvery == 0 {
		cfg.PeerEvery = time.Second
	}
	c := &Coordinator{
		cfg: cfg, commands: make(chan command, commandsQueued), feed: newFeed(), metrics: newMetrics(cfg.Registerer),
	}
	c.heads = newSharedHead(cfg.Log)
	c.replica = replica.New(replica.Config{
		Source: cfg.Log, Objects: cfg.Objects, Logger: cfg.Logger,
		Applied: func(raw metastore.RawEntry, _ *metalogpb.Entry, _ state.Changes) {
			c.feed.add(raw)
			c.metrics.applied.Set(float64(raw.Seq))
		},
		Reset: func(st *state.State) { c.feed.reset(st.Head().Seq) },
		Lost:  c.keepTail,
	})
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(&stateCollector{c: c})
	}
	return c
}

// Replica is the confirmed state, for status and reads.
func (c *Coordinator) Replica() *replica.Replica { return c.replica }

// Leading tells whether this process leads just now.
func (c *Coordinator) Leading() bool { return c.leading.Load() }

// Role returns what the region may do, as this process knows it.
func (c *Coordinator) Role() Role {
	if c.fenced.Load() {
		return Fenced
	}
	for _, l := range c.replica.State().Links() {
		if l.Active() {
			return Shadow
		}
	}
	return Primary
}

// termOver is closed when the term that leads now has ended.
func (c *Coordinator) termOver() <-chan struct{} {
	if over := c.over.Load(); over != nil {
		return *over
	}
	return nil
}

// Run follows the log and leads whenever it is elected, until ctx ends.
func (c *Coordinator) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.replica.Run(ctx) })
	g.Go(func() error { return c.campaign(ctx) })
	g.Go(func() error { return c.refuse(ctx) })
	g.Go(func() error { return c.watchFence(ctx) })
	err := g.Wait()
	c.saveTail(err)
	return err
}

// refuse answers commands while nobody leads here, so that callers look elsewhere or try again.
func (c *Coordinator) refuse(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for !c.leading.Load() {
			select {
			case cmd := <-c.commands:
				cmd(nil)
				continue
			default:
			}
			break
		}
	}
}

func (c *Coordinator) campaign(ctx context.Context) error {
	for ctx.Err() == nil {
		err := c.lead(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, base.ErrVersion), errors.Is(err, base.ErrCorrupt), errors.Is(err, errIdentity):
			return fmt.Errorf("coordinator halts: %w", err)
		case err != nil:
			c.cfg.Logger.Warn("coordinator's term ended", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

// lead waits to be elected and leads one term.
func (c *Coordinator) lead(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := c.recall(ctx); err != nil {
		return fmt.Errorf("before the campaign: %w", err)
	}
	term, err := c.cfg.Log.Campaign(ctx, c.cfg.ID, c.cfg.Address)
	if err != nil {
		return fmt.Errorf("campaign: %w", err)
	}
	defer func() {
		bye, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer stop()
		if err := term.Resign(bye); err != nil {
			c.cfg.Logger.Debug("resign", "error", err)
		}
	}()
	l, err := c.newLeader(ctx, term)
	if err != nil {
		return err
	}
	over := make(chan struct{})
	c.over.Store(&over)
	defer close(over)
	c.metrics.archivedAt.Store(c.cfg.Now().UnixNano()) // how old the archive is is not known: from now on it is
	c.leading.Store(true)
	defer c.leading.Store(false)
	c.metrics.leading.Set(1)
	defer c.metrics.leading.Set(0)
	c.cfg.Logger.Info("leads", "seq", l.guard.Head.Seq, "role", c.Role())

	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return stopGroup(l.run(gctx)) })
	g.Go(func() error { return stopGroup(c.archiveLoop(gctx, term)) })
	g.Go(func() error { return stopGroup(c.watchPeer(gctx)) })
	return g.Wait()
}

// recall looks, before another leads, whether etcd still has what it has confirmed to this process.
func (c *Coordinator) recall(ctx context.Context) error {
	if !c.confirmed.any() {
		return nil
	}
	pos, err := c.cfg.Log.Position(ctx)
	if err != nil {
		return err
	}
	return c.confirmed.check(ctx, c.cfg.Log, pos)
}

var errTermOver = errors.New("the term is over")

// stopGroup makes the end of one part of the term the end of all.
func stopGroup(err error) error {
	if err == nil {
		return errTermOver
	}
	return err
}

// newLeader reads the log to its end under the new term and builds the working state.
func (c *Coordinator) newLeader(ctx context.Context, term metastore.Term) (*leader, error) {
	pos, err := c.cfg.Log.Position(ctx)
	if err != nil {
		return nil, err
	}
	if err := replica.CheckArchive(ctx, c.cfg.Log, c.cfg.Objects); err != nil {
		return nil, err // before anything is served, and before an empty etcd is taken for a new cluster's
	}
	if err := c.confirmed.check(ctx, c.cfg.Log, pos); err != nil {
		return nil, err
	}
	if err := c.replica.WaitFor(ctx, pos.Point()); err != nil {
		return nil, err
	}
	if err := c.mayFound(ctx, pos); err != nil {
		return nil, err
	}
	l := &leader{c: c, term: term, incarnation: pos.Incarnation, guard: metastore.Guard{Head: pos.Head, FenceRevision: pos.FenceRevision}, done: make(chan error, 1)}
	var st *state.State
	c.replica.With(func(r *state.State) { st = r.Clone() })
	if st.Head() != pos.Head {
		return nil, fmt.Errorf("state at seq %d, log at %d: %w", st.Head().Seq, pos.Head.Seq, metastore.ErrConflict)
	}
	l.seq = NewSequencer(st, term.Nonce())
	l.seq.SetLimits(c.cfg.Limits)
	if err := c.settleRole(ctx, st, pos); err != nil {
		return nil, err
	}
	return l, c.start(l)
}

// mayFound refuses to found a cluster where there was one. The walk: (1) A cluster is founded, and agents store records. (2) Within its first
// second, before anything of the log is archived, etcd loses its data, and the coordinators die with it. (3) Nothing is known of the
// cluster but the objects: a new one would give out their sessions again.
func (c *Coordinator) mayFound(ctx context.Context, pos metastore.Position) error {
	if pos.Head.Seq > 0 || c.fenced.Load() {
		return nil
	}
	keys, err := c.cfg.Objects.List(ctx, base.DataPrefix, "", 1)
	if err == nil && len(keys) > 0 {
		err = fmt.Errorf("etcd is empty, and the bucket has records (%s) but no archive of a metalog: etcd lost its data within the first second of the cluster, and nothing can be restored; begin a new cluster with an empty bucket or prefix: %w",
			keys[0], base.ErrCorrupt)
	}
	return err
}

// start founds a new cluster, or checks that an existing one is what was configured, and restores the groups.
func (c *Coordinator) start(l *leader) error {
	st, now := l.seq.State(), c.cfg.Now()
	id := c.cfg.Identity
	if st.Head().Seq == 0 && !c.fenced.Load() {
		created := &metalogpb.ClusterCreated{
			ClusterId: id.ClusterID[:], KafkaClusterId: id.KafkaClusterID, RegionNumber: int32(id.Region),
			RegionName: id.RegionName, Epoch: int32(base.NextEpoch(id.Region)),
		}
		if err := l.seq.Emit(now.UnixMilli(), &metalogpb.Event{Kind: &metalogpb.Event_ClusterCreated{ClusterCreated: created}}); err != nil {
			return err
		}
	} else if r := st.Region(); r.ClusterID != id.ClusterID || r.Number != id.Region {
		return fmt.Errorf("the metalog is of cluster %s, region %d; this process is configured as cluster %s, region %d: %w",
			r.ClusterID, r.Number, id.ClusterID, id.Region, errIdentity)
	}
	l.restoreGroups(now)
	return nil
}

var errIdentity = errors.New("wrong cluster")
