package metered

import (
	"context"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// Store is the wrapper. All methods may be called concurrently.
type Store struct {
	inner objstore.Store
	m     *Metrics
	of    Bucket
}

var _ objstore.Store = (*Store)(nil)

// Wrap has the calls of a store told.
func (m *Metrics) Wrap(inner objstore.Store, of Bucket) *Store {
	return &Store{inner: inner, m: m, of: of}
}

// String names the inner store.
func (s *Store) String() string { return objstore.Describe(s.inner) }

// Unwrap returns the inner store.
func (s *Store) Unwrap() objstore.Store { return s.inner }

// Put implements objstore.Store.
func (s *Store) Put(ctx context.Context, key string, p objstore.Payload) error {
	sent := p.Size() // before the call: afterwards the payload is the caller's again
	start := s.m.now()
	err := s.inner.Put(ctx, key, p)
	s.m.note(ctx, s.of, objstore.OpPut, start, err, sent, 0, 0)
	return err
}

// Get implements objstore.Store.
func (s *Store) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	start := s.m.now()
	content, err := s.inner.Get(ctx, key, limit)
	s.m.note(ctx, s.of, objstore.OpGet, start, err, 0, int64(len(content)), 0)
	return content, err
}

// GetRange implements objstore.Store.
func (s *Store) GetRange(ctx context.Context, key string, offset int64, dst []byte) error {
	start := s.m.now()
	err := s.inner.GetRange(ctx, key, offset, dst)
	s.m.note(ctx, s.of, objstore.OpGetRange, start, err, 0, int64(len(dst)), 0)
	return err
}

// Head implements objstore.Store.
func (s *Store) Head(ctx context.Context, key string) (objstore.Info, error) {
	start := s.m.now()
	info, err := s.inner.Head(ctx, key)
	s.m.note(ctx, s.of, objstore.OpHead, start, err, 0, 0, 0)
	return info, err
}

// List implements objstore.Store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]objstore.Info, error) {
	start := s.m.now()
	infos, err := s.inner.List(ctx, prefix, after, limit)
	s.m.note(ctx, s.of, objstore.OpList, start, err, 0, 0, len(infos))
	return infos, err
}

// Delete implements objstore.Store.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	start := s.m.now()
	err := s.inner.Delete(ctx, keys...)
	s.m.note(ctx, s.of, objstore.OpDelete, start, err, 0, 0, 0)
	return err
}

// Close closes the inner store.
func (s *Store) Close() error { return s.inner.Close() }
