package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// checkArchive looks at the names of the archive's objects, through all incarnations. They tell where each begins, not where it ends: so a hole is
// seen where an incarnation should begin, or when it is longer than an object can be. What lies behind the newest snapshot was proved
// when it was loaded; a deep check replays all from the first entry, which proves that there is no hole, hash chain, blobs and snapshots.
func (c *checking) checkArchive(ctx context.Context) error {
	c.Say("archive of the metalog")
	parts := c.lineage()
	next := base.Seq(1)
	for _, p := range parts {
		reach, prefix := next, "meta/log/"+p.incarnation+"/" // an object has to begin at or before reach
		err := listAll(ctx, c.Bucket, prefix, "", func(info objstore.Info) error {
			c.report.ArchiveFiles++
			first, err := archive.LogFirst(info.Key)
			if err != nil {
				c.find(FindArchive, info.Key, "no archived log")
				return nil
			}
			if first > reach && reach <= p.upTo {
				c.find(FindArchive, info.Key, "entries %d to %d are in no object", reach, min(first-1, p.upTo))
			}
			reach = first + archive.EntriesMax
			return nil
		})
		if err != nil {
			return err
		}
		if reach <= p.upTo {
			c.find(FindArchive, prefix, "entries %d to %d are in no object", reach, p.upTo)
		}
		next = p.upTo + 1
	}
	if !c.Deep {
		return nil
	}
	return c.replay(ctx, parts)
}

// stretch is what a log has of one incarnation.
type stretch struct {
	incarnation string
	upTo        base.Seq
}

// lineage is the log's incarnations, oldest first.
func (c *checking) lineage() []stretch {
	out := []stretch{{c.loaded.Incarnation, c.loaded.State.Head().Seq}}
	for {
		i := slices.IndexFunc(c.loaded.Lineages, func(l archive.Lineage) bool { return l.Incarnation == out[0].incarnation })
		if i < 0 {
			return out
		}
		l := c.loaded.Lineages[i]
		out = slices.Insert(out, 0, stretch{l.Parent, l.ParentSeq})
	}
}

// replay applies every archived entry to an empty state, and compares it with each snapshot on the way.
func (c *checking) replay(ctx context.Context, parts []stretch) error {
	snapshots := map[base.Seq][]string{}
	for _, p := range parts {
		seqs, keys, err := archive.FindSnapshots(ctx, c.objects, p.incarnation)
		if err != nil {
			return err
		}
		for i, seq := range seqs {
			snapshots[seq] = append(snapshots[seq], keys[i])
		}
	}
	st, end := state.New(), c.loaded.State.Head()
	for st.Head().Seq < end.Seq {
		c.Say(fmt.Sprintf("replay of the archive: seq %d of %d", st.Head().Seq, end.Seq))
		entries, err := c.loaded.reader.Read(ctx, c.loaded.Incarnation, st.Head().Seq+1, readBytes)
		if err == nil && len(entries) == 0 {
			err = fmt.Errorf("entry %d is in no object: %w", st.Head().Seq+1, base.ErrCorrupt)
		}
		if err != nil {
			return c.damage(err)
		}
		for _, raw := range entries {
			if raw.Seq > end.Seq {
				break
			}
			c.report.BytesRead += int64(len(raw.Value))
			in, err := replica.Prepare(ctx, c.objects, raw)
			if err == nil {
				_, err = st.Apply(in)
			}
			if err != nil {
				return c.damage(err)
			}
			for _, key := range snapshots[raw.Seq] {
				if err := c.compareSnapshot(ctx, st, raw.Seq, key); err != nil {
					return err
				}
			}
		}
	}
	if st.Head() != end {
		c.find(FindArchive, "meta/log/"+c.loaded.Incarnation+"/", "the replay from the first entry ends at another entry %d than that from the newest snapshot", end.Seq)
	}
	return nil
}

// damage makes a finding of what cannot be read; other errors end the check.
func (c *checking) damage(err error) error {
	if errors.Is(err, base.ErrCorrupt) || errors.Is(err, base.ErrNotFound) || strings.Contains(err.Error(), "hash chain") {
		c.find(FindArchive, "meta/log/", "%v", err)
		return nil
	}
	return err
}

func (c *checking) compareSnapshot(ctx context.Context, st *state.State, seq base.Seq, key string) error {
	payload, _, err := archive.OpenSnapshot(ctx, c.objects, seq, key)
	var other *state.State
	if err == nil {
		c.report.BytesRead += int64(len(payload))
		other, err = state.Restore(payload)
	}
	switch {
	case errors.Is(err, base.ErrCorrupt), errors.Is(err, base.ErrNotFound):
		c.find(FindArchive, key, "%v", err)
		return nil
	case err != nil:
		return err
	}
	other.SetIncarnation(st.Incarnation())
	x, err := st.Digest()
	if err != nil {
		return err
	}
	y, err := other.Digest()
	if err != nil {
		return err
	}
	if x != y {
		c.find(FindArchive, key, "the snapshot is not what the entries up to seq %d add up to", seq)
	}
	return nil
}
