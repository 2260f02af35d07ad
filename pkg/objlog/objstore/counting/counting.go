// Package counting wraps a store and counts its calls, failures, bytes and objects: for metrics, and for golden tests
// that show a change of request cost in review. Counters are atomic; nothing is locked.
//
// A call is a call of the interface. What a backend makes of it (a repeated GET, a page of a LIST, a batch of deletes)
// is not seen here.
package counting

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// Counts are the totals of one operation.
type Counts struct {
	Calls int64
	// Errors is how many calls failed, an object that was not there or was there included.
	Errors int64
	// Bytes is what a put sent, or what a get, if it succeeded, received.
	Bytes int64
	// Objects is how many objects a list returned, or how many keys a delete named.
	Objects int64
}

// Snapshot is the totals of all operations.
type Snapshot [objstore.OpCount]Counts

// Of returns the totals of one operation.
func (s Snapshot) Of(op objstore.Op) Counts { return s[op] }

// Sub returns what was added since earlier.
func (s Snapshot) Sub(earlier Snapshot) Snapshot {
	for op := range s {
		s[op].Calls -= earlier[op].Calls
		s[op].Errors -= earlier[op].Errors
		s[op].Bytes -= earlier[op].Bytes
		s[op].Objects -= earlier[op].Objects
	}
	return s
}

// String gives one line for each operation that was called, zero totals left out: "put calls=2 errors=1 bytes=10".
func (s Snapshot) String() string {
	var b strings.Builder
	for op, c := range s {
		if c.Calls == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s calls=%d", objstore.Op(op), c.Calls)
		for _, total := range []struct {
			name  string
			value int64
		}{{"errors", c.Errors}, {"bytes", c.Bytes}, {"objects", c.Objects}} {
			if total.value != 0 {
				fmt.Fprintf(&b, " %s=%d", total.name, total.value)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Store is the wrapper. All methods may be called concurrently.
type Store struct {
	inner    objstore.Store
	counters [objstore.OpCount]counter
}

type counter struct {
	calls, errors, bytes, objects atomic.Int64
}

var _ objstore.Store = (*Store)(nil)

// New wraps inner.
func New(inner objstore.Store) *Store { return &Store{inner: inner} }

// Snapshot returns the totals since New. Calls that are under way may be in it in part.
func (s *Store) Snapshot() Snapshot {
	var out Snapshot
	for op := range s.counters {
		c := &s.counters[op]
		out[op] = Counts{
			Calls: c.calls.Load(), Errors: c.errors.Load(), Bytes: c.bytes.Load(), Objects: c.objects.Load(),
		}
	}
	return out
}

// String names the inner store.
func (s *Store) String() string { return objstore.Describe(s.inner) }

// Put implements objstore.Store.
func (s *Store) Put(ctx context.Context, key string, p objstore.Payload) error {
	sent := p.Size() // before the call: afterwards the payload is the caller's again
	err := s.inner.Put(ctx, key, p)
	s.count(objstore.OpPut, err, sent, 0)
	return err
}

// Get implements objstore.Store.
func (s *Store) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	content, err := s.inner.Get(ctx, key, limit)
	s.count(objstore.OpGet, err, int64(len(content)), 0)
	return content, err
}

// GetRange implements objstore.Store.
func (s *Store) GetRange(ctx context.Context, key string, offset int64, dst []byte) error {
	err := s.inner.GetRange(ctx, key, offset, dst)
	received := int64(len(dst))
	if err != nil {
		received = 0
	}
	s.count(objstore.OpGetRange, err, received, 0)
	return err
}

// Head implements objstore.Store.
func (s *Store) Head(ctx context.Context, key string) (objstore.Info, error) {
	info, err := s.inner.Head(ctx, key)
	s.count(objstore.OpHead, err, 0, 0)
	return info, err
}

// List implements objstore.Store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]objstore.Info, error) {
	infos, err := s.inner.List(ctx, prefix, after, limit)
	s.count(objstore.OpList, err, 0, len(infos))
	return infos, err
}

// Delete implements objstore.Store.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	err := s.inner.Delete(ctx, keys...)
	s.count(objstore.OpDelete, err, 0, len(keys))
	return err
}

// Close closes the inner store.
func (s *Store) Close() error { return s.inner.Close() }

func (s *Store) count(op objstore.Op, err error, bytes int64, objects int) {
	c := &s.counters[op]
	c.calls.Add(1)
	if err != nil {
		c.errors.Add(1)
	}
	c.bytes.Add(bytes)
	c.objects.Add(int64(objects))
}
