package archive

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// LineagePrefix is where objects say which incarnation came of which: LineagePrefix + parent + "-" + child.
const LineagePrefix = "meta/incarnation/"

const (
	lineageVersion  = 1
	lineageBytesMax = 64 << 10
)

// Lineage says where an incarnation came from: it goes on behind an entry of its parent. It is written before the restore that
// begins the incarnation, so that nobody ever serves one whose past cannot be read. A restore that breaks off leaves one
// of an incarnation that nobody has archived an entry of: it never was.
type Lineage struct {
	Version     int      `json:"version"`
	Incarnation string   `json:"incarnation"`
	Parent      string   `json:"parent"`
	ParentSeq   base.Seq `json:"parentSeq"`
	// ParentHash is the hash of the parent's last entry that was taken over, in hex.
	ParentHash string     `json:"parentHash"`
	Epoch      base.Epoch `json:"epoch"` // that the incarnation begins with
	TimeMs     int64      `json:"timeMs"`
}

// LineageKey names a lineage's object.
func LineageKey(parent, child string) string { return LineagePrefix + parent + "-" + child }

// PutLineage stores a lineage.
func PutLineage(ctx context.Context, o Objects, l Lineage) error {
	l.Version = lineageVersion
	b, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return fmt.Errorf("encode a lineage: %w", err)
	}
	if err := put(ctx, o, LineageKey(l.Parent, l.Incarnation), append(b, '\n')); err != nil {
		return fmt.Errorf("write where incarnation %s comes from: %w", l.Incarnation, err)
	}
	return nil
}

// Children returns the incarnations that restores made of one, those that broke off too.
func Children(ctx context.Context, o Objects, parent string) ([]string, error) {
	keys, err := o.List(ctx, LineagePrefix+parent+"-", "", listLimit)
	if err != nil {
		return nil, fmt.Errorf("list what became of incarnation %s: %w", parent, err)
	}
	for i, key := range keys {
		keys[i] = strings.TrimPrefix(key, LineagePrefix+parent+"-")
	}
	return keys, nil
}

// Lineages returns all of a bucket.
func Lineages(ctx context.Context, o Objects) ([]Lineage, error) {
	keys, err := o.List(ctx, LineagePrefix, "", listLimit)
	if err != nil {
		return nil, fmt.Errorf("list the incarnations' lineages: %w", err)
	}
	var out []Lineage
	for _, key := range keys {
		l, err := getLineage(ctx, o, key)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

// lineageOf returns an incarnation's lineage; false for the first one of a cluster.
func lineageOf(ctx context.Context, o Objects, incarnation string) (l Lineage, found bool, err error) {
	keys, err := o.List(ctx, LineagePrefix, "", listLimit)
	if err != nil {
		return l, false, fmt.Errorf("list the incarnations' lineages: %w", err)
	}
	for _, key := range keys {
		if strings.HasSuffix(key, "-"+incarnation) {
			l, err := getLineage(ctx, o, key)
			return l, err == nil, err
		}
	}
	return l, false, nil
}

func getLineage(ctx context.Context, o Objects, key string) (l Lineage, err error) {
	b, err := o.Get(ctx, key, lineageBytesMax)
	if err != nil {
		return l, fmt.Errorf("read a lineage: %w", err)
	}
	if err := json.Unmarshal(b, &l); err != nil {
		return l, fmt.Errorf("object %s: %w: %w", key, err, base.ErrCorrupt)
	}
	switch {
	case l.Version != lineageVersion:
		return l, fmt.Errorf("object %s has version %d, this build knows %d: %w", key, l.Version, lineageVersion, base.ErrVersion)
	case path.Base(key) != l.Parent+"-"+l.Incarnation || l.ParentSeq == 0:
		return l, fmt.Errorf("object %s is of incarnation %s: %w", key, l.Incarnation, base.ErrCorrupt)
	}
	return l, nil
}
