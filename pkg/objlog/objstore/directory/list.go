package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// List implements objstore.Store. It reads each folder that may hold such keys, whole.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]objstore.Info, error) {
	if err := objstore.ValidatePrefix(prefix); err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	if err := s.usable(ctx, "list", prefix); err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, nil
	}
	l := lister{store: s, prefix: prefix, after: after, limit: limit}
	// Begin as deep as the prefix allows.
	if err := l.walk(ctx, parent(prefix)); err != nil {
		return nil, wrap("list", prefix, err)
	}
	return l.found, nil
}

type lister struct {
	store         *Store
	prefix, after string
	limit         int
	found         []objstore.Info
}

// walk adds the objects below dir, in byte order of their keys, until there are enough. Whatever is deleted meanwhile is
// left out.
func (l *lister) walk(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", base.ErrUnavailable, err)
	}
	entries, err := l.read(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil // deleted meanwhile, or the prefix leads nowhere
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if len(l.found) == l.limit {
			return nil
		}
		key := path.Join(dir, e.Name())
		if e.IsDir() {
			if l.mayHold(key + "/") {
				if err := l.walk(ctx, key); err != nil {
					return err
				}
			}
			continue
		}
		if !e.Type().IsRegular() || !strings.HasPrefix(key, l.prefix) || key <= l.after ||
			objstore.ValidateKey(key) != nil {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		l.found = append(l.found, objstore.Info{Key: key, Size: info.Size()})
	}
	return nil
}

// read returns the entries of a folder in the order of the keys that they stand for: a folder stands for keys that begin
// with its name and a slash, so "a-b" comes before what is in "a".
func (l *lister) read(dir string) ([]fs.DirEntry, error) {
	f, err := l.store.root.Open(dir)
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(-1)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(sortName(a), sortName(b)) })
	return entries, nil
}

func sortName(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}

// mayHold tells whether a key that begins with the folder (which ends in a slash) can match.
func (l *lister) mayHold(folder string) bool {
	if folder == privateDir+"/" {
		return false
	}
	if !strings.HasPrefix(folder, l.prefix) && !strings.HasPrefix(l.prefix, folder) {
		return false
	}
	return folder > l.after || strings.HasPrefix(l.after, folder)
}

// parent is the folder that a key or prefix is in: "." for the root.
func parent(key string) string {
	at := strings.LastIndexByte(key, '/')
	if at < 0 {
		return "."
	}
	return key[:at]
}
