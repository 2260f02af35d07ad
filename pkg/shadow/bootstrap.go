package shadow

import (
	"context"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// adopt makes the source's newest snapshot the image of a link that has none yet, so that the tail can begin at once
// however long the source's history is. A source that has no snapshot is followed from its first entry.
//
// The walk: (1) The snapshot's object is read and proved by its pointer's SHA-256. (2) Its payload is put into this
// region's bucket as a blob: nothing refers to it yet. (3) One append names it; every replica loads the blob and builds the
// image. A runner that dies between 2 and 3 leaves a blob that the next one writes again, or that nobody needs.
func (t *tailing) adopt(ctx context.Context) error {
	if t.info.Position.Seq > 0 {
		return nil
	}
	pointer, incarnation, err := t.newestSnapshot(ctx)
	if err != nil || pointer == nil {
		return err
	}
	if len(pointer.Hash) == 0 || pointer.Seq == 0 {
		return fmt.Errorf("the source's snapshot pointer names no entry: %w", base.ErrCorrupt)
	}
	payload, err := archive.GetSnapshot(ctx, objstore.AsObjects(t.source), pointer)
	if err != nil {
		return fmt.Errorf("read it at seq %d: %w", pointer.Seq, err)
	}
	blob, err := archive.PutBlob(ctx, objstore.AsObjects(t.r.cfg.Bucket), payload)
	if err != nil {
		return fmt.Errorf("keep it in this region's bucket: %w", err)
	}
	err = t.r.cfg.Metalog.Do(ctx, func(tx Tx) error {
		l := tx.State().Link(t.r.cfg.Link)
		switch {
		case l == nil || !l.Active():
			return errLinkOver
		case l.Image().Head().Seq > 0:
			return nil // another runner was faster
		}
		return tx.Emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkAdopted{LinkAdopted: &metalogpb.LinkAdopted{
			Link: t.r.cfg.Link, SourceIncarnation: incarnation, SourceSeq: pointer.Seq, SourceHash: pointer.Hash, SnapshotBlob: blob[:],
		}}}, payload)
	})
	if err != nil {
		return err
	}
	t.r.cfg.Logger.Info("shadow link adopted the source's snapshot", "link", t.r.cfg.Link, "seq", pointer.Seq, "bytes", len(payload))
	return t.r.cfg.Metalog.Refresh(ctx)
}

// newestSnapshot asks the source's coordinator, or in a failover its frozen log; nil when there is none.
func (t *tailing) newestSnapshot(ctx context.Context) (*metalogpb.Pointer, string, error) {
	if t.drain != nil {
		pos, err := t.drain.Position(ctx)
		return pos.Snapshot, pos.Incarnation, err
	}
	d, err := t.describe(ctx)
	if err != nil {
		return nil, "", err
	}
	return d.Snapshot, d.Incarnation, nil
}
