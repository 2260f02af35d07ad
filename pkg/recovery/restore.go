package recovery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// Why a restore does nothing.
var (
	// ErrNotLost says that etcd has all that the archive has.
	ErrNotLost = errors.New("nothing is lost")
	// ErrAlive says that a coordinator goes on archiving: with another etcd.
	ErrAlive = errors.New("the log goes on")
	// ErrNeedsConsent says that the operator has to agree by an option.
	ErrNeedsConsent = errors.New("the restore needs consent")
	// ErrPeerAhead says that the other region has more than the archive.
	ErrPeerAhead = errors.New("the other region has more than the archive")
)

// Peer is a region that may shadow this one.
type Peer interface {
	// Ask returns what the region knows of this one; base.ErrUnavailable when it cannot be reached.
	Ask(ctx context.Context) (PeerReport, error)
}

// PeerReport is what the other region says.
type PeerReport struct {
	TookOver base.Epoch // at which it took over from this region; 0 when it did not
	Link     string     // that shadows this region; empty when there is none
	Position metastore.Head
	Fault    string
}

// Options of a restore.
type Options struct {
	Bucket objstore.Store
	Log    metastore.Restorer
	Peer   Peer // nil when there is no other region, or it is not to be asked
	// FromIncarnation chooses one where the bucket has archives of several logs; empty otherwise.
	FromIncarnation string
	// FromArchive replaces what etcd has: it was set back to a backup.
	FromArchive bool
	// AcceptDivergence goes on although the other region has more than the archive: its link will be FAULTED.
	AcceptDivergence bool
	// WithoutPeer goes on although the other region does not answer.
	WithoutPeer bool
	DryRun      bool
	// Settle is how long the archive must stand still; 0 means 4 s, longer than a leader's lease and than it takes to archive.
	Settle time.Duration
	Now    func() time.Time
	Say    func(string) // progress, a line each
	Random io.Reader    // of the incarnation's name and nonce; nil means crypto/rand
}

const settleDefault = 4 * time.Second

// Restore restores the metalog from the bucket's archive into an etcd that has lost it, or reports what it would do.
func Restore(ctx context.Context, o Options) (*Report, error) {
	if o.Settle == 0 {
		o.Settle = settleDefault
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	r := &restoring{Options: o, objects: objstore.AsObjects(o.Bucket), began: o.Now()}
	for _, step := range []func(context.Context) error{r.load, r.lookAtEtcd, r.lookForTakeover, r.askPeer, r.compose, r.hold} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	r.fill()
	if o.DryRun {
		return r.report, nil
	}
	for _, step := range []func(context.Context) error{r.still, r.write} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	r.report.Restored = true
	return r.report, nil
}

// restoring is one run.
type restoring struct {
	Options
	objects archive.Objects
	began   time.Time

	*Loaded
	etcd     metastore.Position
	etcdWas  string // in words
	takenBy  string // who took over, empty for nobody
	takenAt  base.Epoch
	peerSays PeerReport
	warnings []string

	end     metastore.Head // of the archive
	endTime int64          // its event time
	event   *metalogpb.IncarnationBegun
	first   metastore.RawEntry
	held    []HeldObject

	report *Report
}

func (r *restoring) warn(format string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(format, args...))
}

func (r *restoring) load(ctx context.Context) error {
	claim, err := objstore.ReadClaim(ctx, r.Bucket)
	if err != nil {
		return err
	}
	if r.Loaded, err = Load(ctx, r.objects, r.FromIncarnation, r.Say); err != nil {
		return err
	}
	r.warnings = append(r.warnings, r.Notes...)
	if region := r.State.Region(); region.ClusterID != claim.ClusterID || region.Number != claim.Region {
		return fmt.Errorf("the bucket is of cluster %s, region %d, its archive of cluster %s, region %d: %w",
			claim.ClusterID, claim.Region, region.ClusterID, region.Number, base.ErrCorrupt)
	}
	r.end, r.endTime = r.State.Head(), r.State.Time()
	return nil
}

// lookAtEtcd decides whether there is anything to restore, and whether what etcd has may go.
func (r *restoring) lookAtEtcd(ctx context.Context) error {
	var err error
	if r.etcd, err = r.Log.Position(ctx); err != nil {
		return err
	}
	at := r.etcd.Head
	known := false // an incarnation that the archive's came from
	for _, l := range r.Lineages {
		known = known || l.Parent == r.etcd.Incarnation
		if l.Parent == r.Loaded.Incarnation && l.Incarnation == r.etcd.Incarnation && at.Seq > 0 {
			return fmt.Errorf("etcd was restored already, as incarnation %s, and is at seq %d: %w", l.Incarnation, at.Seq, ErrNotLost)
		}
	}
	switch {
	case at.Seq == 0:
		r.etcdWas = "empty"
		return nil
	case r.etcd.Incarnation == r.Loaded.Incarnation && at.Seq >= r.end.Seq:
		return fmt.Errorf("etcd is at seq %d, the archive at %d: %w", at.Seq, r.end.Seq, ErrNotLost)
	case r.etcd.Incarnation == r.Loaded.Incarnation || known:
		r.etcdWas = fmt.Sprintf("set back to seq %d of incarnation %s", at.Seq, r.etcd.Incarnation)
	default:
		r.etcdWas = fmt.Sprintf("at seq %d of incarnation %s, of which the archive knows nothing", at.Seq, r.etcd.Incarnation)
	}
	if !r.FromArchive {
		return fmt.Errorf("etcd is not empty, but %s, and the archive reaches seq %d of %s: with --from-archive what etcd has is dropped and the archive restored: %w",
			r.etcdWas, r.end.Seq, r.Loaded.Incarnation, ErrNeedsConsent)
	}
	return nil
}

// compose makes the entry that begins the incarnation, and proves it by applying it.
func (r *restoring) compose(ctx context.Context) error {
	id, nonce := make([]byte, 8), make([]byte, 16)
	for _, b := range [][]byte{id, nonce} {
		if _, err := io.ReadFull(r.Random, b); err != nil {
			return fmt.Errorf("name the incarnation: %w", err)
		}
	}
	epoch, producers, session, err := r.fresh(ctx)
	if err != nil {
		return err
	}
	r.event = &metalogpb.IncarnationBegun{
		Incarnation: fmt.Sprintf("%x", id), Parent: r.Loaded.Incarnation, Epoch: int32(epoch), NextProducerId: producers, FirstSession: session,
	}
	return r.seal(nonce)
}

// still proves that nobody leads with another etcd: a leader ticks each second, and archives each second.
func (r *restoring) still(ctx context.Context) error {
	if wait := r.Settle - r.Now().Sub(r.began); wait > 0 {
		r.Say("watch whether the archive stands still")
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	end, err := r.reader.End(ctx, r.Loaded.Incarnation)
	if err != nil {
		return err
	}
	if end > r.end.Seq {
		return fmt.Errorf("the archive went on from seq %d to %d while it was restored: a coordinator leads, with another etcd; stop it, or point the region at that etcd: %w", r.end.Seq, end, ErrAlive)
	}
	return nil
}

// write is the walk of the package comment: lineage, report, etcd, archive.
func (r *restoring) write(ctx context.Context) error {
	err := archive.PutLineage(ctx, r.objects, archive.Lineage{
		Incarnation: r.event.Incarnation, Parent: r.event.Parent, ParentSeq: r.end.Seq, ParentHash: fmt.Sprintf("%x", r.end.Hash),
		Epoch: base.Epoch(r.event.Epoch), TimeMs: r.Now().UnixMilli(),
	})
	if err != nil {
		return err
	}
	if err := r.putReport(ctx); err != nil {
		return err
	}
	in := metastore.Restoration{Replaces: r.etcd, Incarnation: r.event.Incarnation, First: r.first, Snapshot: r.Snapshot, Archive: r.Archive}
	if r.takenBy != "" && r.etcd.Fence.GetEpoch() < int32(r.takenAt) {
		in.Fence = &metalogpb.Fence{Epoch: int32(r.takenAt), Role: "fenced", By: r.takenBy, TimeMs: r.Now().UnixMilli()}
	}
	if err := r.Log.Restore(ctx, in); err != nil {
		return err
	}
	if _, err := archive.NewWriter(r.objects, r.event.Incarnation).Archive(ctx, []metastore.RawEntry{r.first}); err != nil {
		r.report.Warnings = append(r.report.Warnings, fmt.Sprintf("the first entry of the incarnation is not archived yet (%v): the first leader does it", err))
	}
	return nil
}
