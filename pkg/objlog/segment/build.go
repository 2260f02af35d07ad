package segment

import (
	"cmp"
	"iter"
	"slices"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// Batch is one record batch on its way into a segment. Bytes are referred to, not copied.
type Batch struct {
	Topic     base.TopicID
	Partition int32
	Header    batch.Header
	Digest    base.Digest
	Bytes     []byte
}

// Place is where a batch went: the index of its extent, and its index in that extent.
type Place struct{ Extent, Batch int32 }

// Built is a segment ready for the bucket.
type Built struct {
	Payload objstore.Payload // refers to the batches' bytes
	Size    int64
	Extents []*metalogpb.ExtentMeta // for the commit
	Order   []Place                 // parallel to the batches given
}

// Each gives the extents, and the bytes of their batches in the payload.
func (out *Built) Each() iter.Seq2[*metalogpb.ExtentMeta, objstore.Payload] {
	return func(yield func(*metalogpb.ExtentMeta, objstore.Payload) bool) {
		rest := out.Payload[1:] // behind the header
		for _, e := range out.Extents {
			n := len(e.Batches)
			if !yield(e, rest[:n:n]) {
				return
			}
			rest = rest[n:]
		}
	}
}

// Build lays the batches out: sorted by topic id and partition, those of one partition in the order given.
func Build(h Header, batches []Batch) Built {
	order := make([]int, len(batches))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := &batches[a], &batches[b]
		return cmp.Or(x.Topic.Compare(y.Topic), cmp.Compare(x.Partition, y.Partition))
	})
	out := Built{Payload: make(objstore.Payload, 0, len(batches)+2), Order: make([]Place, len(batches))}
	out.Payload = append(out.Payload, appendHeader(make([]byte, 0, HeaderSize), h))
	var extents []Extent
	position := int64(HeaderSize)
	for _, i := range order {
		b := &batches[i]
		if n := len(extents); n == 0 || extents[n-1].Topic != b.Topic || extents[n-1].Partition != b.Partition {
			extents = append(extents, Extent{Topic: b.Topic, Partition: b.Partition, Position: position})
		}
		e := &extents[len(extents)-1]
		out.Order[i] = Place{Extent: int32(len(extents) - 1), Batch: int32(len(e.Batches))}
		e.Batches = append(e.Batches, entryOf(b.Header, len(b.Bytes), b.Digest))
		e.Length += int64(len(b.Bytes))
		position += int64(len(b.Bytes))
		out.Payload = append(out.Payload, b.Bytes)
	}
	out.finish(extents, position)
	return out
}

func entryOf(h batch.Header, length int, digest base.Digest) BatchEntry {
	return BatchEntry{
		Length: int32(length), Records: h.Records, ProducerID: h.ProducerID, ProducerEpoch: h.ProducerEpoch,
		BaseSequence: h.BaseSequence, Attributes: h.Attributes, BaseTimestamp: h.BaseTimestamp,
		MaxTimestamp: h.MaxTimestamp, Digest: digest,
	}
}

// finish appends footer and trailer and describes the extents for the commit.
func (out *Built) finish(extents []Extent, position int64) {
	footer := appendFooter(nil, extents)
	n := len(footer)
	out.Payload = append(out.Payload, appendTrailer(footer, footer, position))
	out.Size = position + int64(n) + TrailerSize
	for _, e := range extents {
		out.Extents = append(out.Extents, e.Meta())
	}
}

// Meta is the extent as a commit names it.
func (e *Extent) Meta() *metalogpb.ExtentMeta {
	m := &metalogpb.ExtentMeta{TopicId: append([]byte(nil), e.Topic[:]...), Partition: e.Partition, Position: e.Position, Length: e.Length}
	for i := range e.Batches {
		x := &e.Batches[i]
		m.Batches = append(m.Batches, &metalogpb.BatchMeta{
			Length: x.Length, Records: x.Records, ProducerId: x.ProducerID, ProducerEpoch: int32(x.ProducerEpoch),
			BaseSequence: x.BaseSequence, Transactional: x.Attributes&batch.Transactional != 0, MaxTimestampMs: x.MaxTimestamp,
			Digest: append([]byte(nil), x.Digest[:]...),
		})
	}
	return m
}

// Run is a run of batches to keep: see Subset.
type Run struct {
	Extent     int32
	FirstBatch int32
	Batches    int32
}

// Subset lays some runs of an object's batches out as an object of their own, without copying their bytes. Extents are
// what Verify returned for the object; runs must lie within them and be in their order, which the caller has checked.
// positions are where the runs lie in the new object, parallel to runs.
func Subset(h Header, object []byte, extents []Extent, runs []Run) (out Built, positions []int64) {
	out.Payload = append(out.Payload, appendHeader(make([]byte, 0, HeaderSize), h))
	var kept []Extent
	position := int64(HeaderSize)
	for _, r := range runs {
		from := &extents[r.Extent]
		if n := len(kept); n == 0 || kept[n-1].Topic != from.Topic || kept[n-1].Partition != from.Partition {
			kept = append(kept, Extent{Topic: from.Topic, Partition: from.Partition, Position: position})
		}
		e := &kept[len(kept)-1]
		start := from.Position
		for _, x := range from.Batches[:r.FirstBatch] {
			start += int64(x.Length)
		}
		length := int64(0)
		for _, x := range from.Batches[r.FirstBatch : r.FirstBatch+r.Batches] {
			length += int64(x.Length)
			e.Batches = append(e.Batches, x)
		}
		positions = append(positions, position)
		out.Payload = append(out.Payload, object[start:start+length])
		e.Length += length
		position += length
	}
	out.finish(kept, position)
	return out, positions
}
