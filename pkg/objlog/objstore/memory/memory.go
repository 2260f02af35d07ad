// Package memory is a bucket in memory, for tests and simulations: it is gone with the process. It holds the invariants
// of package objstore but durability. A Store has no goroutine, clock or random, and so is deterministic when its
// callers are.
package memory

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// Store is a bucket in memory. All methods may be called concurrently. Close keeps the objects, so that a simulated
// process may die and its successor find what it stored.
type Store struct {
	mu      sync.RWMutex
	objects map[string][]byte // values are never changed once stored
	keys    []string          // the keys of objects, sorted
}

var _ objstore.Store = (*Store)(nil)

// New returns an empty bucket.
func New() *Store {
	return &Store{objects: make(map[string][]byte)}
}

// String gives "memory:".
func (s *Store) String() string { return "memory:" }

// Put implements objstore.Store.
func (s *Store) Put(ctx context.Context, key string, p objstore.Payload) error {
	if err := check(ctx, "put", key); err != nil {
		return err
	}
	content := p.Bytes()

	s.mu.Lock()
	defer s.mu.Unlock()
	at, taken := slices.BinarySearch(s.keys, key)
	if taken {
		return fmt.Errorf("put %s: %w", key, objstore.ErrExists)
	}
	s.keys = slices.Insert(s.keys, at, key)
	s.objects[key] = content
	return nil
}

// Get implements objstore.Store.
func (s *Store) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	content, err := s.find(ctx, "get", key)
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("get %s: %d bytes, the limit is %d: %w", key, len(content), limit, base.ErrTooLarge)
	}
	return slices.Clone(content), nil
}

// GetRange implements objstore.Store.
func (s *Store) GetRange(ctx context.Context, key string, offset int64, dst []byte) error {
	if err := objstore.ValidateRange(key, offset); err != nil {
		return err
	}
	content, err := s.find(ctx, "get", key)
	if err != nil {
		return err
	}
	if offset > int64(len(content)) || int64(len(dst)) > int64(len(content))-offset {
		return fmt.Errorf("get %s, %d bytes from %d on: the object has %d: %w",
			key, len(dst), offset, len(content), io.ErrUnexpectedEOF)
	}
	copy(dst, content[offset:])
	return nil
}

// Head implements objstore.Store.
func (s *Store) Head(ctx context.Context, key string) (objstore.Info, error) {
	content, err := s.find(ctx, "head", key)
	if err != nil {
		return objstore.Info{}, err
	}
	return objstore.Info{Key: key, Size: int64(len(content))}, nil
}

// List implements objstore.Store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]objstore.Info, error) {
	if err := objstore.ValidatePrefix(prefix); err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list %q: %w: %w", prefix, base.ErrUnavailable, err)
	}

	s.mu.RLock()
	defer s.mu.RUnlock()
	at, _ := slices.BinarySearch(s.keys, prefix)
	if after >= prefix {
		var found bool
		if at, found = slices.BinarySearch(s.keys, after); found {
			at++
		}
	}
	var infos []objstore.Info
	for ; at < len(s.keys) && len(infos) < limit && strings.HasPrefix(s.keys[at], prefix); at++ {
		infos = append(infos, objstore.Info{Key: s.keys[at], Size: int64(len(s.objects[s.keys[at]]))})
	}
	return infos, nil
}

// Delete implements objstore.Store.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := check(ctx, "delete", key); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		if at, found := slices.BinarySearch(s.keys, key); found {
			s.keys = slices.Delete(s.keys, at, at+1)
			delete(s.objects, key)
		}
	}
	return nil
}

// Close does nothing.
func (s *Store) Close() error { return nil }

func (s *Store) find(ctx context.Context, doing, key string) ([]byte, error) {
	if err := check(ctx, doing, key); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	content, found := s.objects[key]
	if !found {
		return nil, fmt.Errorf("%s %s: %w", doing, key, base.ErrNotFound)
	}
	return content, nil
}

func check(ctx context.Context, doing, key string) error {
	if err := objstore.ValidateKey(key); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %s: %w: %w", doing, key, base.ErrUnavailable, err)
	}
	return nil
}
