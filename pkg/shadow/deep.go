package shadow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/segment"
)

// deepPartition is one partition as verify --deep found it.
type deepPartition struct {
	name string
	id   base.TopicPartition
	part *state.Partition
	runs [][]deepBatch // parallel to part.Spans
	bad  bool
}

// deepBatch is one batch as it was read back.
type deepBatch struct {
	records int32
	digest  base.Digest
}

// spanRef points at one span of one partition.
type spanRef struct {
	p    *deepPartition
	span int
}

// VerifyDeep re-reads this region's bucket: every object that the link's visible topics lie in is read whole, each batch
// digest is recomputed from the bytes, and the digests are chained from the first offset to the partition's head. It
// needs nothing of the source, and works after a failover too.
func VerifyDeep(ctx context.Context, bucket objstore.Store, with func(func(*state.State)), link string) (*adminpb.VerifyResponse, error) {
	out := &adminpb.VerifyResponse{}
	partitions, err := deepPartitions(with, link, out)
	if err != nil {
		return nil, err
	}
	refs := map[base.ObjectID][]spanRef{}
	for _, p := range partitions {
		out.Partitions++
		p.runs = make([][]deepBatch, len(p.part.Spans))
		if missing := notHere(p.name, p.id.Partition, p.part); missing != nil {
			p.fail(out, missing.Offset, missing.Reason)
		}
		for i, sp := range p.part.Spans {
			if sp.Residency == state.Local {
				refs[sp.Object] = append(refs[sp.Object], spanRef{p, i})
			}
		}
	}
	for _, id := range sortedObjects(refs) {
		if err := deepObject(ctx, bucket, id, refs[id], out); err != nil {
			return nil, err
		}
	}
	for _, p := range partitions {
		p.chain(out)
	}
	out.Equal = len(out.Mismatches) == 0
	return out, nil
}

func sortedObjects(refs map[base.ObjectID][]spanRef) []base.ObjectID {
	ids := make([]base.ObjectID, 0, len(refs))
	for id := range refs {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, base.ObjectID.Compare)
	return ids
}

func deepPartitions(with func(func(*state.State)), link string, out *adminpb.VerifyResponse) ([]*deepPartition, error) {
	var list []*deepPartition
	err := fmt.Errorf("link %q: %w", link, base.ErrNotFound)
	with(func(st *state.State) {
		l := st.Link(link)
		if l == nil {
			return
		}
		err = nil
		out.AtSeq = uint64(l.Info().Position.Seq)
		topics := l.Image().Topics()
		switch {
		case l.Info().Flip != nil:
			topics = flippedTopics(st, l.Info())
		case l.Info().Fault != "":
			out.Mismatches = append(out.Mismatches, linkFault(l.Info()))
		case out.AtSeq == 0:
			out.Mismatches = append(out.Mismatches, &adminpb.Mismatch{Partition: -1, Offset: -1, Reason: "nothing of the source is here yet"})
		}
		for _, t := range topics {
			info := t.Info()
			if !info.Visible {
				continue
			}
			if info.Fault != "" {
				out.Mismatches = append(out.Mismatches, topicFault(info))
			}
			for i := range t.Partitions() {
				list = append(list, &deepPartition{name: info.Name, id: base.TopicPartition{Topic: info.ID, Partition: i}, part: t.Partition(i)})
			}
		}
	})
	slices.SortFunc(list, func(a, b *deepPartition) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.id.Partition, b.id.Partition))
	})
	return list, err
}

func (p *deepPartition) fail(out *adminpb.VerifyResponse, offset int64, reason string) {
	p.bad = true
	out.Mismatches = append(out.Mismatches, &adminpb.Mismatch{Topic: p.name, Partition: p.id.Partition, Offset: offset, Reason: reason})
}

// deepObject reads one object and recomputes the digests of the spans that lie in it.
func deepObject(ctx context.Context, bucket objstore.Store, id base.ObjectID, refs []spanRef, out *adminpb.VerifyResponse) error {
	object, err := bucket.Get(ctx, id.Key(), objectBytesMax)
	if errors.Is(err, base.ErrNotFound) {
		for _, r := range refs {
			r.p.fail(out, int64(r.p.part.Spans[r.span].Base), fmt.Sprintf("object %s is not in the bucket", id))
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read object %s: %w", id, err)
	}
	out.BytesRead += int64(len(object))
	_, err = segment.ParseHeader(object) // nobody reads it, but one flipped bit in it is damage all the same
	var extents []segment.Extent
	if err == nil {
		extents, err = segment.ParseFooter(object)
	}
	if err != nil {
		for _, r := range refs {
			r.p.fail(out, int64(r.p.part.Spans[r.span].Base), fmt.Sprintf("object %s: %v", id, err))
		}
		return nil
	}
	for _, r := range refs {
		deepSpan(object, extents, id, r, out)
	}
	return nil
}

func deepSpan(object []byte, extents []segment.Extent, id base.ObjectID, r spanRef, out *adminpb.VerifyResponse) {
	sp := r.p.part.Spans[r.span]
	offset := sp.Base
	for _, e := range extents {
		if e.Topic != r.p.id.Topic || e.Partition != r.p.id.Partition {
			continue
		}
		at := e.Position
		for _, x := range e.Batches {
			if at >= sp.Position && at < sp.Position+sp.Length {
				if err := segment.VerifyBatch(object[at:at+int64(x.Length)], x); err != nil {
					r.p.fail(out, int64(offset), fmt.Sprintf("object %s, byte %d: %v", id, at, err))
				}
				r.p.runs[r.span] = append(r.p.runs[r.span], deepBatch{x.Records, x.Digest})
				offset += base.Offset(x.Records)
			}
			at += int64(x.Length)
		}
	}
	if offset != sp.Last+1 && !r.p.bad {
		r.p.fail(out, int64(offset), fmt.Sprintf("object %s holds offsets %d to %d of a span that ends at %d", id, sp.Base, offset-1, sp.Last))
	}
}

// chain links the digests from the first offset on and compares with the head.
func (p *deepPartition) chain(out *adminpb.VerifyResponse) {
	if p.bad || p.part.LogStart > 0 {
		return // the chain begins at offset 0; what was deleted below the log start cannot be read back
	}
	var chain base.Chain
	offset := base.Offset(0)
	for _, run := range p.runs {
		for _, b := range run {
			chain = chain.Next(offset, b.digest)
			offset += base.Offset(b.records)
		}
	}
	if chain != p.part.Chain || offset != p.part.End {
		p.fail(out, int64(offset), fmt.Sprintf("the bytes give chain head %s at offset %d, the log names %s at %d", chain, offset, p.part.Chain, p.part.End))
	}
}
