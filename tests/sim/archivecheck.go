package sim

import (
	"bytes"
	"context"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// archived holds K24: the archive of each incarnation of a region is one history, in objects without gap or overlap, and is what the log has had.
func (c *checker) archived(r *Region) {
	ctx, w, objects := context.Background(), c.w, objstore.AsObjects(r.bucket)
	all, err := archive.NewReader(objects).Incarnations(ctx)
	if err != nil {
		w.fail("K24: %v", err)
	}
	pos, err := r.truth.Position(ctx)
	if err != nil {
		w.fail("read the truth: %v", err)
	}
	for _, incarnation := range all {
		had := c.book(r).lineOf(incarnation, pos.Incarnation)
		keys, err := objects.List(ctx, "meta/log/"+incarnation+"/", "", 1_000_000)
		if err != nil {
			w.fail("K24: %v", err)
		}
		var at metastore.Head
		for _, key := range keys {
			first, err := archive.LogFirst(key)
			if err != nil || at.Seq > 0 && first != at.Seq+1 {
				w.fail("K24: the archive of region %s, incarnation %s, ends at seq %d before object %s (%v)", r.name, incarnation, at.Seq, key, err)
				return
			}
			if at = c.archivedObject(r, incarnation, had, first, at); w.problem != nil {
				return
			}
		}
	}
}

// archivedObject compares one object, behind a head, with what the log has had, and returns the head that it makes.
func (c *checker) archivedObject(r *Region, incarnation string, had []metastore.RawEntry, first base.Seq, at metastore.Head) metastore.Head {
	w := c.w
	entries, err := archive.NewReader(objstore.AsObjects(r.bucket)).Read(context.Background(), incarnation, first, 1)
	if err != nil || len(entries) == 0 {
		w.fail("K24: the archive of region %s, incarnation %s, cannot be read at seq %d: %v", r.name, incarnation, first, err)
		return at
	}
	for _, raw := range entries {
		e, err := metastore.DecodeEntry(raw.Value)
		if err == nil && at.Seq > 0 {
			err = metastore.CheckNext(at, raw, e)
		}
		if err != nil || w.lossy && (raw.Seq > base.Seq(len(had)) || !bytes.Equal(raw.Value, had[raw.Seq-1].Value)) {
			w.fail("K24: entry %d of the archive of region %s, incarnation %s, is not what its log has had, %d entries (%v)", raw.Seq, r.name, incarnation, len(had), err)
			return at
		}
		at = metastore.Head{Seq: raw.Seq, Hash: metastore.HashOf(raw.Value)}
	}
	return at
}
