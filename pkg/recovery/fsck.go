package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// Kinds of findings.
const (
	FindHole    = "hole"    // offsets between log start and end that no span has
	FindOverlap = "overlap" // offsets that two spans have
	FindRange   = "range"   // a span that lies outside of its object
	FindCount   = "count"   // a reference count that is not that of the spans
	FindMissing = "missing" // an object that events name is not in the bucket
	FindSize    = "size"    // an object has another size than events say
	FindUnknown = "unknown" // an object that is no session's, or of a session that no log opened
	FindDamaged = "damaged" // an object's bytes are not what its footer or the index says
	FindChain   = "chain"   // a partition's batches do not give its chain head
	FindArchive = "archive" // the archive has a hole, or an entry or snapshot that is damaged
	FindEtcd    = "etcd"    // etcd and the archive contradict each other
)

const (
	findingsShown = 1000            // beyond that they are counted only
	checkStep     = 1000            // objects between two lines of progress
	catchUpWait   = time.Second     // between two looks for a later state
	catchUpMax    = 6 * catchUpWait // see CheckOptions
)

// Finding is one thing that is wrong.
type Finding struct {
	Kind   string `json:"kind"`
	Where  string `json:"where"` // a key, or topic/partition
	Detail string `json:"detail"`
}

// CheckReport is what fsck found.
type CheckReport struct {
	Clean       bool   `json:"clean"`
	ClusterID   string `json:"cluster_id"`
	Region      string `json:"region"`
	Incarnation string `json:"incarnation"`
	// Seq is of the state that was checked.
	Seq        uint64 `json:"seq"`
	Deep       bool   `json:"deep"`
	Topics     int    `json:"topics"`
	Partitions int    `json:"partitions"`
	Spans      int64  `json:"spans"`
	// Objects are those below data/, by what they are to the state.
	Objects      map[state.ObjectClass]ObjectCount `json:"objects"`
	ArchiveFiles int                               `json:"archive_objects"`
	BytesRead    int64                             `json:"bytes_read"`
	Findings     []Finding                         `json:"findings"`
	// More is how many findings are not listed.
	More int `json:"more"`
}

// ObjectCount counts objects.
type ObjectCount struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

// CheckOptions of a check.
type CheckOptions struct {
	Bucket objstore.Store
	Log    metastore.Log // nil: etcd is not looked at
	Deep   bool
	Now    func() time.Time
	Say    func(string)
	// CatchUp is how long to wait for a later state of a region that runs, to look again at what seems wrong; 0 means 6 s.
	CatchUp time.Duration
}

// Check compares the index with the bucket. It reads the archive, so it needs no process of the region and disturbs none; the state is then
// up to a second old. What seems wrong about objects is looked at again in a later state (Y7): meanwhile an object may have been
// committed, or collected.
func Check(ctx context.Context, o CheckOptions) (*CheckReport, error) {
	if o.CatchUp == 0 {
		o.CatchUp = catchUpMax
	}
	c := &checking{CheckOptions: o, objects: objstore.AsObjects(o.Bucket), report: &CheckReport{
		Deep: o.Deep, Objects: map[state.ObjectClass]ObjectCount{}, Findings: []Finding{},
	}}
	for _, step := range []func(context.Context) error{c.load, c.checkArchive, c.checkEtcd, c.checkIndex, c.list, c.deep, c.again} {
		err := step(ctx)
		switch {
		case errors.Is(err, errStop):
			return c.done(), nil
		case err != nil:
			return nil, err
		}
	}
	return c.done(), nil
}

// errStop ends a check early: without a state there is nothing to compare with.
var errStop = errors.New("nothing further can be checked")

type checking struct {
	CheckOptions
	objects archive.Objects
	report  *CheckReport

	loaded *Loaded
	listed time.Time
	// doubts are what seems wrong, by key, until it was looked at again.
	doubts map[string]Finding
	// seen are the named objects that the listing had.
	seen map[base.ObjectID]bool
}

func (c *checking) find(kind, where, format string, args ...any) {
	if len(c.report.Findings) >= findingsShown {
		c.report.More++
		return
	}
	c.report.Findings = append(c.report.Findings, Finding{kind, where, fmt.Sprintf(format, args...)})
}

func (c *checking) doubt(kind, key, format string, args ...any) {
	if c.doubts == nil {
		c.doubts = map[string]Finding{}
	}
	c.doubts[key] = Finding{kind, key, fmt.Sprintf(format, args...)}
}

func (c *checking) done() *CheckReport {
	c.report.Clean = len(c.report.Findings) == 0
	return c.report
}

func (c *checking) load(ctx context.Context) error {
	claim, err := objstore.ReadClaim(ctx, c.Bucket)
	if err != nil {
		return err
	}
	c.report.ClusterID = claim.ClusterID.String()
	c.loaded, err = Load(ctx, c.objects, "", c.Say)
	switch {
	case errors.Is(err, base.ErrCorrupt), errors.Is(err, base.ErrNotFound):
		c.find(FindArchive, "meta/", "%v", err)
		return errStop
	case err != nil:
		return err
	}
	for _, note := range c.loaded.Notes {
		c.find(FindArchive, "meta/snapshot/", "%s", note)
	}
	st := c.loaded.State
	c.report.Region, c.report.Incarnation, c.report.Seq = st.Region().Name, c.loaded.Incarnation, uint64(st.Head().Seq)
	if st.Region().ClusterID != claim.ClusterID {
		c.find(FindArchive, "meta/", "the archive is of cluster %s, the bucket of %s", st.Region().ClusterID, claim.ClusterID)
	}
	return nil
}

// checkEtcd holds etcd against the archive. A region that runs is ahead of its archive.
func (c *checking) checkEtcd(ctx context.Context) error {
	if c.Log == nil {
		return nil
	}
	pos, err := c.Log.Position(ctx)
	if err != nil {
		return err
	}
	head := c.loaded.State.Head()
	switch {
	case pos.Incarnation != c.loaded.Incarnation || pos.Head.Seq < head.Seq:
		c.find(FindEtcd, "head", "etcd is at seq %d of incarnation %q, the archive at %d of %s: etcd lost its data or was set back; see `gnomon metastore restore`",
			pos.Head.Seq, pos.Incarnation, head.Seq, c.loaded.Incarnation)
		return nil
	case pos.Head.Seq == head.Seq && pos.Head.Hash != head.Hash:
		c.find(FindEtcd, "head", "entry %d is not the archive's", head.Seq)
	}
	if p := pos.Snapshot; p != nil {
		if _, err := archive.GetSnapshot(ctx, c.objects, p); err != nil {
			c.find(FindEtcd, "snapshot", "%v", err)
		}
	}
	return nil
}
