package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// Source is where entries come from: a metastore.Log, or a coordinator that streams one.
type Source interface {
	Position(ctx context.Context) (metastore.Position, error)
	Follow(ctx context.Context, from base.Seq, fn func(metastore.RawEntry) error) error
}

// Config of a Replica.
type Config struct {
	Source  Source
	Objects archive.Objects // the bucket: snapshots, archive, blobs
	// Serving leaves groups, producers and sessions out: an agent's view.
	Serving bool
	// Applied, if set, is called after each entry, on the applying goroutine.
	Applied func(raw metastore.RawEntry, e *metalogpb.Entry, c state.Changes)
	// Reset, if set, is called after a load, with the new state.
	Reset  func(*state.State)
	Logger *slog.Logger
	// Lost, if set, is called when the log turns out to lack entries that the replica has applied, before it starts over: the last
	// chance to keep them.
	Lost func(ctx context.Context)
	// AwaitRestore has a replica stay as it is while the bucket's archive knows more of the log than etcd does (ErrAhead), until etcd was
	// restored: an agent's, which serves reads meanwhile. Without it Run fails: a coordinator must not lead.
	AwaitRestore bool
	// LookEvery is how long the log may be silent before the replica looks whether it is still the same; 0 means 3 s.
	LookEvery time.Duration
}

// Replica is a state that follows a log.
type Replica struct {
	cfg Config

	mu      sync.Mutex
	st      *state.State
	applied base.Seq
	changed chan struct{} // closed and replaced at each apply
	loaded  bool
	broken  bool // the log is not the one that the state is of: see distrust
}

// New returns a replica that has loaded nothing yet.
func New(cfg Config) *Replica {
	if cfg.LookEvery == 0 {
		cfg.LookEvery = lookEveryDefault
	}
	r := &Replica{cfg: cfg, changed: make(chan struct{})}
	r.st = r.fresh()
	return r
}

func (r *Replica) fresh() *state.State {
	if r.cfg.Serving {
		return state.NewServing()
	}
	return state.New()
}

// State returns the present state for what readers may look at. A reload replaces it.
func (r *Replica) State() *state.State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.st
}

// Applied returns the seq of the last entry applied.
func (r *Replica) Applied() base.Seq {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.applied
}

// Loaded tells whether a first load has finished.
func (r *Replica) Loaded() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.loaded
}

// With calls fn with the state while no entry is being applied.
func (r *Replica) With(fn func(*state.State)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fn(r.st)
}

// WaitFor waits until the state is of the point's incarnation and its entry is applied, or ctx ends (base.ErrUnavailable).
//
// The walk: (1) Entry 9 of a is applied, and etcd is lost. (2) It is restored from the archive, which reaches entry 7, as b, and b takes
// entries 8 to 9. (3) A client has an answer from b, and asks here. The head is entry 9 of b, and here nobody has noticed anything
// yet: 9 alone would do. (4) The replica is loaded anew, or, had it applied no more than 7, follows to entry 8, which says that b
// begins. Both wake who waits. Who waits for a point of a then is told to ask again: no state will be of a any more.
func (r *Replica) WaitFor(ctx context.Context, point metastore.Point) error {
	for {
		r.mu.Lock()
		done, over, changed := r.holds(point), r.outlived(point), r.changed
		r.mu.Unlock()
		switch {
		case done:
			return nil
		case over:
			return fmt.Errorf("wait for seq %d of the metalog: incarnation %s was lost: %w", point.Seq, point.Incarnation, base.ErrUnavailable)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for seq %d of the metalog: %w: %w", point.Seq, base.ErrUnavailable, context.Cause(ctx))
		}
	}
}

// holds tells whether the state has all up to the point. Called with mu held.
func (r *Replica) holds(point metastore.Point) bool {
	return r.loaded && !r.broken && r.applied >= point.Seq && (point.Incarnation == "" || point.Incarnation == r.st.Incarnation())
}

// outlived tells whether the state is of an incarnation that came from the point's. Called with mu held.
func (r *Replica) outlived(point metastore.Point) bool {
	return point.Incarnation != "" && slices.ContainsFunc(r.st.Restores(), func(i state.Incarnation) bool { return i.Parent == point.Incarnation })
}

// Run loads and follows until ctx ends. It retries what may pass by itself and fails only on a log that this build
// cannot understand (base.ErrVersion) or on corruption.
func (r *Replica) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		err, pause, level := r.loadAndFollow(ctx), retryAfter, slog.LevelWarn
		switch {
		case ctx.Err() != nil:
			return nil
		case r.cfg.AwaitRestore && errors.Is(err, ErrAhead):
			pause = restoreAfter
		case errors.Is(err, metastore.ErrNoLog):
			pause, level = foundedAfter, slog.LevelDebug // so begins each new cluster
		case errors.Is(err, base.ErrVersion), errors.Is(err, base.ErrCorrupt) && !errors.Is(err, metastore.ErrChain):
			return fmt.Errorf("metalog replica halts: %w", err)
		}
		r.cfg.Logger.Log(ctx, level, "metalog replica starts over", "error", err, "applied", r.Applied())
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}

const (
	retryAfter = 200 * time.Millisecond
	// foundedAfter is how often it is looked whether a new cluster has had its first election.
	foundedAfter = 20 * time.Millisecond
	// restoreAfter is how often it is looked whether etcd was restored.
	restoreAfter = 2 * time.Second
)

func (r *Replica) loadAndFollow(ctx context.Context) error {
	if err := r.load(ctx); err != nil {
		return err
	}
	for {
		err := r.follow(ctx)
		if ctx.Err() != nil || !errors.Is(err, base.ErrUnavailable) {
			return err
		}
		r.cfg.Logger.Debug("metalog stream broke off", "error", err, "applied", r.Applied())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retryAfter):
		}
	}
}

// load brings the state up to the archive's end: the newest snapshot if it is ahead of what the replica has, then
// archived entries.
func (r *Replica) load(ctx context.Context) error {
	pos, err := r.cfg.Source.Position(ctx)
	if err != nil {
		return fmt.Errorf("load the metalog: %w", err)
	}
	st := r.fresh()
	if pos.Snapshot != nil {
		payload, err := archive.GetSnapshot(ctx, r.cfg.Objects, pos.Snapshot)
		if err != nil {
			return fmt.Errorf("load snapshot at seq %d: %w", pos.Snapshot.Seq, err)
		}
		if r.cfg.Serving {
			st, err = state.RestoreServing(payload)
		} else {
			st, err = state.Restore(payload)
		}
		if err != nil {
			return err
		}
	}
	if err := r.replayArchive(ctx, st, pos); err != nil {
		return err
	}
	st.SetIncarnation(pos.Incarnation) // the archive may tell of earlier restores
	if err := CheckArchive(ctx, r.cfg.Source, r.cfg.Objects); err != nil {
		return fmt.Errorf("load the metalog: %w", err)
	}
	if err := r.replaced(ctx, pos); err != nil {
		return err
	}
	r.mu.Lock()
	r.st, r.applied, r.loaded, r.broken = st, st.Head().Seq, true, false
	r.signal()
	r.mu.Unlock()
	if r.cfg.Reset != nil {
		r.cfg.Reset(st)
	}
	return nil
}

func (r *Replica) replayArchive(ctx context.Context, st *state.State, pos metastore.Position) error {
	if pos.Archive == nil {
		return nil
	}
	reader := archive.NewReader(r.cfg.Objects)
	for st.Head().Seq < base.Seq(pos.Archive.Seq) {
		entries, err := reader.Read(ctx, pos.Incarnation, st.Head().Seq+1, archiveReadBytes)
		if err != nil {
			return fmt.Errorf("read the archive from seq %d: %w", st.Head().Seq+1, err)
		}
		if len(entries) == 0 {
			return fmt.Errorf("the archive ends at seq %d, its pointer says %d: %w", st.Head().Seq, pos.Archive.Seq, base.ErrCorrupt)
		}
		for _, raw := range entries {
			in, err := Prepare(ctx, r.cfg.Objects, raw)
			if err != nil {
				return err
			}
			if _, err := st.Apply(in); err != nil {
				return err
			}
		}
	}
	return nil
}

const archiveReadBytes = 16 << 20

func (r *Replica) apply(ctx context.Context, raw metastore.RawEntry) error {
	in, err := Prepare(ctx, r.cfg.Objects, raw)
	if err != nil {
		return err
	}
	r.mu.Lock()
	c, err := r.st.Apply(in)
	if err == nil {
		r.applied = raw.Seq
		r.signal()
	}
	r.mu.Unlock()
	if err == nil && r.cfg.Applied != nil {
		r.cfg.Applied(raw, in.Entry, c)
	}
	return err
}

// signal wakes the waiters. Called with mu held.
func (r *Replica) signal() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Prepare decodes an entry and loads the blobs that it names.
func Prepare(ctx context.Context, objects archive.Objects, raw metastore.RawEntry) (state.Input, error) {
	in, err := state.Decode(raw)
	if err != nil || len(in.Entry.Blobs) == 0 {
		return in, err
	}
	in.Blobs = make(map[metastore.Hash][]byte, len(in.Entry.Blobs))
	for _, h := range in.Entry.Blobs {
		if len(h) != len(metastore.Hash{}) {
			return in, fmt.Errorf("entry %d names a blob by %d bytes: %w", raw.Seq, len(h), base.ErrCorrupt)
		}
		payload, err := archive.GetBlob(ctx, objects, metastore.Hash(h))
		if err != nil {
			return in, fmt.Errorf("load a blob of entry %d: %w", raw.Seq, err)
		}
		in.Blobs[metastore.Hash(h)] = payload
	}
	return in, nil
}
