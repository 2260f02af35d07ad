package shadow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/trace"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/segment"
)

// objectBytesMax bounds a source's object: a segment is flushed at 8 MiB, one request more may be in it.
const objectBytesMax = 256 << 20

// ObjectCopier implements Copier: it reads an object whole, proves it, and puts it whole or in part. The bytes are held
// in memory until they are proved, so that no unproved object is ever in this region's bucket; Config.CopyBytesMax
// bounds how many are.
type ObjectCopier struct {
	Cluster base.ClusterID // of this region
	Bucket  objstore.Store // of this region
	// Backoff repeats a write that failed; its zero value goes on until ctx ends.
	Backoff objstore.Backoff
	// Trace and Now tell how long a traced copy takes; a nil Trace means none.
	Trace *trace.Tracer
	Now   func() time.Time
}

// Copy implements Copier.
func (c *ObjectCopier) Copy(ctx context.Context, source objstore.Store, job CopyJob, local base.ObjectID) (*metalogpb.Placement, error) {
	told := c.begin(ctx, "gnomon.shadow.get")
	object, err := source.Get(ctx, job.Object.Key(), objectBytesMax)
	told(int64(len(object)))
	if err != nil {
		return nil, fmt.Errorf("read object %s of the source: %w", job.Object, err)
	}
	extents, err := prove(object, job)
	if err != nil {
		return nil, fmt.Errorf("object %s of the source: %w", job.Object, err)
	}
	placement := &metalogpb.Placement{
		SourceSession: uint64(job.Object.Session), SourceNumber: uint64(job.Object.Number), Number: uint64(local.Number), Size: int64(len(object)),
	}
	payload := objstore.Payload{object}
	if !job.Whole {
		payload = c.part(object, extents, job, local, placement)
	}
	told = c.begin(ctx, "gnomon.shadow.put")
	err = c.Backoff.PutSettled(ctx, c.Bucket, local.Key(), payload)
	told(placement.Size)
	if errors.Is(err, objstore.ErrExists) {
		// An earlier attempt under this number: the caller takes another one.
		return nil, fmt.Errorf("object %s is there already: %w", local, base.ErrUnavailable)
	}
	if err != nil {
		return nil, fmt.Errorf("write object %s: %w", local, err)
	}
	return placement, nil
}

// prove checks the object's identity, every digest, and that the digests of each wanted run lead from the chain head
// before it to the chain head that the source's log names after it (L2).
func prove(object []byte, job CopyJob) ([]segment.Extent, error) {
	h, extents, err := segment.Verify(object)
	if err != nil {
		return nil, err
	}
	if h.Session != job.Object.Session || h.Number != job.Object.Number {
		// A copy that the source itself made keeps the header of the region that wrote it; its chain is proof enough.
		if h.Session == 0 {
			return nil, fmt.Errorf("its header names no session: %w", base.ErrCorrupt)
		}
	}
	for _, sp := range job.Spans {
		if err := proveRun(extents, sp); err != nil {
			return nil, err
		}
	}
	return extents, nil
}

func proveRun(extents []segment.Extent, sp SpanJob) error {
	what := func(problem string) error {
		return fmt.Errorf("offsets %d to %d of %s-%d: %s: %w", sp.Base, sp.Last, sp.Topic, sp.Partition, problem, base.ErrCorrupt)
	}
	if sp.Extent < 0 || int(sp.Extent) >= len(extents) {
		return what("no such extent")
	}
	e := &extents[sp.Extent]
	if e.Topic != sp.Topic || e.Partition != sp.Partition || sp.FirstBatch < 0 || sp.Batches < 1 || int(sp.FirstBatch)+int(sp.Batches) > len(e.Batches) {
		return what("the extent is of another partition, or has too few batches")
	}
	position, offset, chain := e.Position, sp.Base, sp.Before
	for _, x := range e.Batches[:sp.FirstBatch] {
		position += int64(x.Length)
	}
	length := int64(0)
	for _, x := range e.Batches[sp.FirstBatch : sp.FirstBatch+sp.Batches] {
		chain = chain.Next(offset, x.Digest)
		offset += base.Offset(x.Records)
		length += int64(x.Length)
	}
	switch {
	case position != sp.Position || length != sp.Length:
		return what("the run lies elsewhere in the object")
	case offset != sp.Last+1:
		return what("the run has another number of records")
	case chain != sp.After && !sp.Unchained:
		return what(fmt.Sprintf("the batches give chain head %s, the source's log names %s", chain, sp.After))
	}
	return nil
}

// part lays the wanted runs out as an object of this region's own, and notes where each lies.
func (c *ObjectCopier) part(object []byte, extents []segment.Extent, job CopyJob, local base.ObjectID, placement *metalogpb.Placement) objstore.Payload {
	runs := make([]segment.Run, len(job.Spans))
	for i, sp := range job.Spans {
		runs[i] = segment.Run{Extent: sp.Extent, FirstBatch: sp.FirstBatch, Batches: sp.Batches}
	}
	built, positions := segment.Subset(segment.Header{Cluster: c.Cluster, Session: local.Session, Number: local.Number}, object, extents, runs)
	placement.Size = built.Size
	for i, sp := range job.Spans {
		placement.Spans = append(placement.Spans, &metalogpb.PlacedSpan{
			TopicId: append([]byte(nil), sp.Topic[:]...), Partition: sp.Partition, BaseOffset: int64(sp.Base), Position: positions[i], Length: sp.Length,
		})
	}
	return built.Payload
}
