package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// ErrNoArchive says that a bucket has no archived entry of any log.
var ErrNoArchive = errors.New("the bucket has no archive of a metalog")

// Loaded is the state at the end of a bucket's archive.
type Loaded struct {
	State       *state.State
	Incarnation string
	Lineages    []archive.Lineage
	// Snapshot and Archive are pointers as etcd had them: nil without a snapshot; the last archived entry.
	Snapshot, Archive *metalogpb.Pointer
	// Notes are of what was damaged and could be done without.
	Notes []string

	reader  *archive.Reader
	objects archive.Objects
}

// Load replays the archive of the incarnation that a bucket's log goes on as, or of the one that is named, from its newest sound
// snapshot to its end.
func Load(ctx context.Context, objects archive.Objects, incarnation string, say func(string)) (*Loaded, error) {
	l := &Loaded{reader: archive.NewReader(objects), objects: objects}
	var err error
	if l.Lineages, err = archive.Lineages(ctx, objects); err != nil {
		return nil, err
	}
	if l.Incarnation, err = l.tip(ctx, incarnation); err != nil {
		return nil, err
	}
	end, err := l.reader.End(ctx, l.Incarnation)
	if err != nil {
		return nil, err
	}
	if err := l.begin(ctx, end); err != nil {
		return nil, err
	}
	say(fmt.Sprintf("replay of incarnation %s from seq %d to %d", l.Incarnation, l.State.Head().Seq, end))
	return l, l.Advance(ctx, end)
}

// tip is the incarnation that was not restored into another one that has entries.
func (l *Loaded) tip(ctx context.Context, want string) (string, error) {
	all, err := l.reader.Incarnations(ctx)
	if err != nil {
		return "", err
	}
	if want != "" {
		if !slices.Contains(all, want) {
			return "", fmt.Errorf("the bucket has no archive of incarnation %q, but of %s: %w", want, strings.Join(all, ", "), base.ErrNotFound)
		}
		return want, nil
	}
	var tips []string
	for _, x := range all {
		over := func(y archive.Lineage) bool { return y.Parent == x && slices.Contains(all, y.Incarnation) }
		if !slices.ContainsFunc(l.Lineages, over) {
			tips = append(tips, x)
		}
	}
	switch len(tips) {
	case 0:
		return "", ErrNoArchive
	case 1:
		return tips[0], nil
	}
	return "", fmt.Errorf("the bucket has archives of several logs that none of them continues (incarnations %s): name the one that is meant with --incarnation", strings.Join(tips, ", "))
}

// begin takes the newest sound snapshot at or below end, of the incarnation or of those that it came from. A snapshot can be a little
// ahead of the archive; such a one is of no use, as nobody could read the entries in between.
func (l *Loaded) begin(ctx context.Context, end base.Seq) error {
	for incarnation, limit := l.Incarnation, end; incarnation != ""; {
		seqs, keys, err := archive.FindSnapshots(ctx, l.objects, incarnation)
		if err != nil {
			return err
		}
		for i := len(keys) - 1; i >= 0; i-- {
			if seqs[i] > limit {
				continue
			}
			switch err := l.take(ctx, seqs[i], keys[i]); {
			case err == nil:
				return nil
			case errors.Is(err, base.ErrCorrupt), errors.Is(err, base.ErrNotFound):
				l.Notes = append(l.Notes, fmt.Sprintf("snapshot %s cannot be used (%v): an older one was taken", keys[i], err))
			default:
				return err
			}
		}
		i := slices.IndexFunc(l.Lineages, func(x archive.Lineage) bool { return x.Incarnation == incarnation })
		incarnation = ""
		if i >= 0 {
			incarnation, limit = l.Lineages[i].Parent, l.Lineages[i].ParentSeq
		}
	}
	l.State, l.Snapshot = state.New(), nil
	return nil
}

// take loads one snapshot, and proves by the archive that it is of the entry that it says.
func (l *Loaded) take(ctx context.Context, seq base.Seq, key string) error {
	payload, pointer, err := archive.OpenSnapshot(ctx, l.objects, seq, key)
	if err != nil {
		return err
	}
	st, err := state.Restore(payload)
	if err != nil {
		return err
	}
	entry, err := l.reader.Read(ctx, l.Incarnation, seq, 1)
	if err != nil {
		return err
	}
	if head := st.Head(); head.Seq != seq || len(entry) == 0 || metastore.HashOf(entry[0].Value) != head.Hash {
		return fmt.Errorf("it is not of the archived entry %d: %w", seq, base.ErrCorrupt)
	}
	hash := st.Head().Hash
	pointer.Hash = hash[:]
	l.State, l.Snapshot = st, pointer
	return nil
}

const readBytes = 16 << 20

// Advance replays the archive up to seq `to`; 0 means to its end.
func (l *Loaded) Advance(ctx context.Context, to base.Seq) error {
	if to == 0 {
		var err error
		if to, err = l.reader.End(ctx, l.Incarnation); err != nil {
			return err
		}
	}
	for l.State.Head().Seq < to {
		from := l.State.Head().Seq + 1
		entries, err := l.reader.Read(ctx, l.Incarnation, from, readBytes)
		if err != nil {
			return fmt.Errorf("read the archive from seq %d: %w", from, err)
		}
		if len(entries) == 0 {
			return fmt.Errorf("the archive has no entry %d, though it reaches %d: %w", from, to, base.ErrCorrupt)
		}
		for _, raw := range entries {
			if raw.Seq > to {
				break
			}
			in, err := replica.Prepare(ctx, l.objects, raw)
			if err == nil {
				_, err = l.State.Apply(in)
			}
			if err != nil {
				return fmt.Errorf("replay the archive: %w", err)
			}
		}
	}
	l.State.SetIncarnation(l.Incarnation)
	head := l.State.Head()
	l.Archive = &metalogpb.Pointer{Seq: uint64(head.Seq), Object: "meta/log/" + l.Incarnation, Hash: head.Hash[:]}
	return nil
}

// HashAt returns the hash of an archived entry; false when there is none.
func (l *Loaded) HashAt(ctx context.Context, seq base.Seq) (metastore.Hash, bool, error) {
	if head := l.State.Head(); head.Seq == seq {
		return head.Hash, true, nil
	}
	entries, err := l.reader.Read(ctx, l.Incarnation, seq, 1)
	if err != nil || len(entries) == 0 {
		return metastore.Hash{}, false, err
	}
	return metastore.HashOf(entries[0].Value), true, nil
}
