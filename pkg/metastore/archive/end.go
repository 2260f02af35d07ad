package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

const logRoot = "meta/log/"

// Incarnations returns those of which a bucket has archived entries, one listing each.
func (r *Reader) Incarnations(ctx context.Context) ([]string, error) {
	var out []string
	after := ""
	for {
		keys, err := r.objects.List(ctx, logRoot, after, 1)
		if err != nil {
			return nil, fmt.Errorf("list the archive: %w", err)
		}
		if len(keys) == 0 {
			return out, nil
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(keys[0], logRoot), "/")
		out = append(out, name)
		after = logPrefix(name) + "~" // above all that begins with a digit
	}
}

// End returns the last archived seq of an incarnation, 0 when there is none. Names sort by first seq, so the last object is found by
// doubling and halving steps, some two dozen listings however long the archive is.
func (r *Reader) End(ctx context.Context, incarnation string) (base.Seq, error) {
	last, found, err := r.beginsBehind(ctx, incarnation, 0)
	if err != nil || !found {
		return 0, err
	}
	for step, growing := base.Seq(1), true; step > 0; {
		first, found, err := r.beginsBehind(ctx, incarnation, last+step-1)
		switch {
		case err != nil:
			return 0, err
		case found:
			last = first
		default:
			growing = false
		}
		if growing {
			step *= 2
		} else if !found {
			step /= 2
		}
	}
	entries, err := getLog(ctx, r.objects, incarnation, logKey(incarnation, last))
	if err != nil {
		return 0, err
	}
	return entries[len(entries)-1].Seq, nil
}

// beginsBehind returns the first seq of the first object that begins behind a seq.
func (r *Reader) beginsBehind(ctx context.Context, incarnation string, seq base.Seq) (first base.Seq, found bool, err error) {
	keys, err := r.objects.List(ctx, logPrefix(incarnation), logKey(incarnation, seq), 1)
	if err != nil {
		return 0, false, fmt.Errorf("list the archive: %w", err)
	}
	if len(keys) == 0 {
		return 0, false, nil
	}
	first, err = LogFirst(keys[0])
	return first, err == nil, err
}

// Reach returns the last seq of an incarnation that can be read: of its own entries, or, when none of those is archived, of what it took over
// from its parent; 0 when there is nothing.
func (r *Reader) Reach(ctx context.Context, incarnation string) (base.Seq, error) {
	end, err := r.End(ctx, incarnation)
	if err != nil || end > 0 {
		return end, err
	}
	l, _, err := lineageOf(ctx, r.objects, incarnation)
	return l.ParentSeq, err
}

// FindSnapshots returns the seqs and keys of an incarnation's snapshots, oldest first.
func FindSnapshots(ctx context.Context, o Objects, incarnation string) (seqs []base.Seq, keys []string, err error) {
	prefix, after := "meta/snapshot/"+incarnation+"/", ""
	for {
		page, err := o.List(ctx, prefix, after, listLimit)
		if err != nil {
			return nil, nil, fmt.Errorf("list the snapshots: %w", err)
		}
		for _, key := range page {
			var seq uint64
			if n, err := fmt.Sscanf(path.Base(key), "%016x-", &seq); err == nil && n == 1 {
				seqs, keys = append(seqs, base.Seq(seq)), append(keys, key)
			}
		}
		if len(page) < listLimit {
			return seqs, keys, nil
		}
		after = page[len(page)-1]
	}
}

// OpenSnapshot reads a snapshot by its name alone, which has 64 bits of its SHA-256. The pointer that it returns lacks the hash of
// the entry, which is in the payload.
func OpenSnapshot(ctx context.Context, o Objects, seq base.Seq, key string) (payload []byte, p *metalogpb.Pointer, err error) {
	value, err := o.Get(ctx, key, snapshotMax)
	if err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(value)
	want, err := hex.DecodeString(key[strings.LastIndexByte(key, '-')+1:])
	if err != nil || len(want) < 8 || !bytes.HasPrefix(sum[:], want) {
		return nil, nil, fmt.Errorf("snapshot %s: wrong SHA-256: %w", key, base.ErrCorrupt)
	}
	p = &metalogpb.Pointer{Seq: uint64(seq), Object: key, Sha256: sum[:]}
	payload, err = GetSnapshot(ctx, known{key, value, o}, p)
	return payload, p, err
}

// known answers one Get from memory.
type known struct {
	key   string
	value []byte
	Objects
}

func (k known) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	if key == k.key {
		return k.value, nil
	}
	return k.Objects.Get(ctx, key, limit)
}

// Beyond looks for what a bucket knows of a log that etcd, at a position, does not: entries, or a restore. It returns the incarnation and
// the seq up to which there are entries; "" when there is nothing.
func (r *Reader) Beyond(ctx context.Context, at metastore.Position) (string, base.Seq, error) {
	children, err := Children(ctx, r.objects, at.Incarnation)
	if at.Head.Seq == 0 {
		children, err = r.Incarnations(ctx)
	}
	if err != nil {
		return "", 0, err
	}
	for i := len(children) - 1; i >= 0; i-- {
		// One without an entry is of a restore that broke off.
		if end, err := r.End(ctx, children[i]); err != nil || end > 0 {
			return children[i], end, err
		}
	}
	if at.Head.Seq == 0 {
		return "", 0, nil
	}
	// The pointer is to the end of an object. What begins behind it is what etcd has lost, or of a leader that did not live to move the pointer.
	pointer := base.Seq(at.Archive.GetSeq())
	if _, found, err := r.beginsBehind(ctx, at.Incarnation, pointer); err != nil || !found && pointer <= at.Head.Seq {
		return "", 0, err
	}
	end, err := r.End(ctx, at.Incarnation)
	if err != nil || end <= at.Head.Seq {
		return "", 0, err
	}
	return at.Incarnation, end, nil
}
