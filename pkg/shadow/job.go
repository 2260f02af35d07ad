package shadow

import (
	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
)

// SpanJob is one run of batches that a copy must bring, with what proves it.
type SpanJob struct {
	Topic      base.TopicID
	Partition  int32
	Base, Last base.Offset
	Extent     int32 // index in the source object's footer
	FirstBatch int32
	Batches    int32
	Position   int64 // in the source's object
	Length     int64
	// Before and After are the partition's chain heads around the run, as the source's events name them.
	Before, After base.Chain
	// Unchained says that Before is not known, because records before the run were deleted at the source before this
	// region saw them: the batches are proved by the digests in the object's footer alone.
	Unchained bool
}

// CopyJob asks for the wanted runs of one object of the source, or for the payloads that one of its entries names.
type CopyJob struct {
	Seq base.Seq // of the source's entry
	// Blobs asks for these payloads, and for no object. Machine.Fetched reports them.
	Blobs  []metastore.Hash
	Object base.ObjectID
	Size   int64 // bytes
	// Whole says that every run of the object is wanted: it is copied as it is.
	Whole bool
	Spans []SpanJob
}
