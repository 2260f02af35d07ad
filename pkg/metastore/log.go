package metastore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// Errors of an append, besides base.ErrFenced and base.ErrUnavailable.
var (
	// ErrDeposed says that another process leads, or may lead: the term is over.
	ErrDeposed = errors.New("deposed: the term is over")
	// ErrConflict says that the head is not what the caller believed: reload.
	ErrConflict = errors.New("the head of the metalog has moved")
	// ErrAmbiguous says that nobody knows whether the entry was appended: throw the working state away and reload.
	// The entry may still appear later, but only at the place it was meant for.
	ErrAmbiguous = errors.New("it is unknown whether the entry was appended")
	// ErrRefused says that the backend answers, and does not let this process do what it asks: its user, password or
	// certificate is not the right one. It may be alive and well for others.
	ErrRefused = errors.New("refused")
	// ErrTrimmed says that entries asked for are no longer in etcd: read the archive.
	ErrTrimmed = errors.New("entries have been trimmed")
	// ErrLapse, as the cause for which a ctx ended, leaves a registration to its lease.
	ErrLapse = errors.New("left to its lease")
	// ErrChain says that an entry does not continue the one before: the log was set back, or is of another incarnation.
	ErrChain = errors.New("the metalog's hash chain is broken")
	// ErrNoLog says that there is no incarnation yet: the first election makes it. It may pass by itself.
	ErrNoLog = fmt.Errorf("the cluster has had no leader yet: %w", base.ErrUnavailable)
)

// Hash is the SHA-256 of an encoded entry.
type Hash [sha256.Size]byte

// RawEntry is an entry as it stands in the log: see EncodeEntry.
type RawEntry struct {
	Seq   base.Seq
	Value []byte
}

// Head is the last entry of a log: Seq 0 and a zero Hash before the first.
type Head struct {
	Seq  base.Seq
	Hash Hash
}

// Position is a linearizable reading of everything in the metastore that is not an entry.
type Position struct {
	Incarnation string // empty until a first leader was elected
	Head        Head
	Fence       *metalogpb.Fence // nil when never written
	// FenceRevision changes with each write of the fence key; 0 when never written.
	FenceRevision int64
	Snapshot      *metalogpb.Pointer // nil when there is none
	Archive       *metalogpb.Pointer // nil when there is none; Seq is the last archived
	Leader        *metalogpb.Leader  // nil when nobody leads
}

// Point is a place in the metalog of one incarnation: after a restore the same seq is another entry. An empty incarnation stands for
// any; only a coordinator of before HeadResponse.incarnation, and who does not care, leave it out.
type Point struct {
	Incarnation string
	Seq         base.Seq
}

// Point is where the log ends.
func (p Position) Point() Point { return Point{p.Incarnation, p.Head.Seq} }

// Log is the metalog of one cluster together with the small keys beside it. All methods may be called concurrently.
// Every method returns base.ErrUnavailable (wrapped) when the backend is out of reach.
type Log interface {
	// Campaign blocks until this process leads, or ctx ends. The first campaign of a cluster creates its incarnation.
	// The term ends with ctx, with Resign, or when the lease is lost.
	Campaign(ctx context.Context, id, address string) (Term, error)

	// Position is linearizable: it sees every append that was confirmed before the call.
	Position(ctx context.Context) (Position, error)

	// Read returns entries from seq `from` on, contiguous, at most maxBytes of values (but at least one entry if there
	// is one). None when from is above the head; ErrTrimmed when from is below the first entry kept.
	Read(ctx context.Context, from base.Seq, maxBytes int) ([]RawEntry, error)

	// Follow calls fn for each entry from seq `from` on, in order, without a gap, as they are appended, until ctx ends
	// or fn fails. It returns ErrTrimmed as Read does, and base.ErrUnavailable when it lost the backend: call again
	// from where it stopped. It requires a backend with a leader: a cut-off member does not look idle.
	Follow(ctx context.Context, from base.Seq, fn func(RawEntry) error) error

	// WriteFence sets the fence key if the fence there is of a lower epoch, or of the same epoch and equal but for its
	// time. base.ErrFenced when a higher epoch, or another region's equal one, is there. It freezes the log at once:
	// appends check the key's revision.
	WriteFence(ctx context.Context, fence *metalogpb.Fence) error

	// Register publishes an agent under a lease until ctx ends, then takes it away, unless ctx ends with ErrLapse as its
	// cause: then the lease does, so that the agent can be registered elsewhere meanwhile. stands is called once the
	// agent is in the list. It ends early with base.ErrUnavailable when the lease is lost, and with base.ErrFenced when
	// the node id belongs to another instance; a fresh one takes it over.
	Register(ctx context.Context, agent *metalogpb.Agent, fresh bool, stands func()) error
	// FollowAgents calls fn with the list of agents, sorted by node id, first as it stands, then at each change, until
	// ctx ends. While the backend is away the last list stands: it keeps trying and does not call fn.
	FollowAgents(ctx context.Context, fn func([]*metalogpb.Agent)) error

	Close() error
}

// Guard is what an append is conditional on, besides the term.
type Guard struct {
	Head          Head
	FenceRevision int64
}

// Term is one leadership. One Append at a time.
type Term interface {
	// Nonce is this term's random value; it is in every entry that the term appends.
	Nonce() []byte

	// Append puts value (an encoded entry) at seq guard.Head.Seq+1, in one transaction, if this term leads, the head is
	// guard.Head and the fence key is at guard.FenceRevision. It must not return nil before the entry is durable. It
	// settles lost answers by itself while ctx lasts: nil means appended once; base.ErrFenced, ErrDeposed and
	// ErrConflict mean not appended and never will be by this call; ErrAmbiguous means unknown.
	Append(ctx context.Context, guard Guard, value []byte) error

	// SetSnapshot and SetArchive move the pointers, if this term leads.
	SetSnapshot(ctx context.Context, p *metalogpb.Pointer) error
	SetArchive(ctx context.Context, p *metalogpb.Pointer) error

	// Trim deletes entries up to and including seq and compacts the backend's history.
	Trim(ctx context.Context, upTo base.Seq) error

	// Lost is closed once the lease is lost or resigned.
	Lost() <-chan struct{}

	// Resign gives the leadership up, so that the next campaigner need not wait for the lease.
	Resign(ctx context.Context) error
}
