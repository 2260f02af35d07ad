package shadow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// blobs are payloads by their hash.
type blobs map[metastore.Hash][]byte

// fetchBlobs brings the payloads that an entry of the source names into this region's bucket: each replica of this region
// loads them from there when it applies the entry. It tries again what may pass by itself; base.ErrCorrupt: the source
// has not, or not any more, what its log names.
func (t *tailing) fetchBlobs(ctx context.Context, job CopyJob) (blobs, error) {
	out := blobs{}
	for wait := retryMin; ; wait = min(2*wait, retryMax) {
		err := t.fetchOnce(ctx, job.Blobs, out)
		switch {
		case err == nil:
			return out, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, base.ErrNotFound):
			return nil, fmt.Errorf("entry %d of the source: %w: %w", job.Seq, err, base.ErrCorrupt)
		case errors.Is(err, base.ErrCorrupt):
			return nil, fmt.Errorf("entry %d of the source: %w", job.Seq, err)
		}
		t.r.problem(fmt.Errorf("copy the blobs of entry %d: %w", job.Seq, err))
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (t *tailing) fetchOnce(ctx context.Context, hashes []metastore.Hash, out blobs) error {
	for _, h := range hashes {
		if out[h] != nil {
			continue
		}
		payload, err := archive.GetBlob(ctx, objstore.AsObjects(t.source), h)
		if err != nil {
			return fmt.Errorf("read blob %x: %w", h, err)
		}
		if _, err := archive.PutBlob(ctx, objstore.AsObjects(t.r.cfg.Bucket), payload); err != nil {
			return fmt.Errorf("write blob %x: %w", h, err)
		}
		out[h] = payload
	}
	return nil
}

// fetched takes an entry's payloads; they are held until the entry is applied.
func (t *tailing) fetched(c copyDone) error {
	if c.err != nil {
		return c.err
	}
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	t.held[c.job.Seq] = c.blobs
	t.m.Fetched(c.job.Seq)
	t.r.seen.problem = ""
	return nil
}

// payloads takes the payloads that go with an event out of what is held.
func (t *tailing) payloads(ev *metalogpb.Event) ([][]byte, error) {
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	if len(t.held) == 0 {
		return nil, nil // nearly always: nothing is decoded a second time
	}
	e, err := metastore.DecodeEntry(ev.GetLinkApplied().GetEntry())
	if err != nil {
		return nil, err
	}
	seq := base.Seq(e.Seq)
	out := slices.Collect(maps.Values(t.held[seq]))
	delete(t.held, seq)
	return out, nil
}
