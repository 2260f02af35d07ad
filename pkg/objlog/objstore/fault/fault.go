// Package fault wraps a store and lets a hook break its calls: before the inner call, so that nothing happened, and
// after it, so that it happened and nobody knows.
//
// # Invariants
//
//  1. An error after a Put is ErrAmbiguous, whatever the hook returns: the wrapper keeps objstore's invariant 4.
//  2. The hook is called once a phase and key, one call at a time, in the order of the calls: driven by one goroutine
//     and a seeded hook, a run repeats exactly. There is no goroutine, clock or random here but what the caller gives.
//
// # Failure
//
// A Delete of many keys asks the hook for each key and stops at the first error: the keys before it are gone, the rest
// stay, as when a store dies in the middle.
package fault

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// Phase tells whether the inner call has happened.
type Phase int

// The phases of a call.
const (
	Before Phase = iota
	After
)

// String gives "before" or "after".
func (p Phase) String() string {
	if p == Before {
		return "before"
	}
	return "after"
}

// ErrInjected is for hooks that want any transient error. It is a base.ErrUnavailable.
var ErrInjected = fmt.Errorf("injected fault: %w", base.ErrUnavailable)

// ErrLate, returned before a Put, makes a request that was delayed on the way: the caller gets ErrAmbiguous at once, and
// the object is stored, if its key is then free, when the test calls Land.
var ErrLate = errors.New("the request is still on its way")

// Hook decides on one phase of one call: nil lets it pass, an error is what the caller gets. For List, key is the
// prefix. A hook must not call the store.
type Hook func(op objstore.Op, key string, phase Phase) error

// Options are the hooks; each may be nil.
type Options struct {
	Hook Hook
	// Latency is how long a phase takes.
	Latency func(op objstore.Op, key string, phase Phase) time.Duration
	// Sleep waits for a latency; nil means real time.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Store is the wrapper. All methods may be called concurrently.
type Store struct {
	inner objstore.Store
	sleep func(ctx context.Context, d time.Duration) error

	hookMu  sync.Mutex // one hook at a time
	hook    Hook
	latency func(op objstore.Op, key string, phase Phase) time.Duration

	lateMu sync.Mutex
	late   []latePut
}

type latePut struct {
	key     string
	content []byte
}

var _ objstore.Store = (*Store)(nil)

// New wraps inner.
func New(inner objstore.Store, o Options) *Store {
	s := &Store{inner: inner, hook: o.Hook, latency: o.Latency, sleep: o.Sleep}
	if s.sleep == nil {
		s.sleep = objstore.Sleep
	}
	return s
}

// SetHook replaces the hook; nil lets everything pass.
func (s *Store) SetHook(h Hook) {
	s.hookMu.Lock()
	defer s.hookMu.Unlock()
	s.hook = h
}

// Land delivers the Puts that were late, in the order they were sent, and returns how many found their key free.
func (s *Store) Land(ctx context.Context) (int, error) {
	s.lateMu.Lock()
	late := s.late
	s.late = nil
	s.lateMu.Unlock()

	stored := 0
	for _, l := range late {
		err := s.inner.Put(ctx, l.key, objstore.Payload{l.content})
		switch {
		case err == nil:
			stored++
		case !errors.Is(err, objstore.ErrExists):
			return stored, fmt.Errorf("land %s: %w", l.key, err)
		}
	}
	return stored, nil
}

// String names the inner store.
func (s *Store) String() string { return objstore.Describe(s.inner) }

// Put implements objstore.Store.
func (s *Store) Put(ctx context.Context, key string, p objstore.Payload) error {
	if err := s.ask(ctx, objstore.OpPut, key, Before); err != nil {
		if !errors.Is(err, ErrLate) {
			return err
		}
		s.lateMu.Lock()
		s.late = append(s.late, latePut{key: key, content: p.Bytes()})
		s.lateMu.Unlock()
		return fmt.Errorf("%w: %w", objstore.ErrAmbiguous, err)
	}
	err := s.inner.Put(ctx, key, p)
	if lost := s.ask(ctx, objstore.OpPut, key, After); lost != nil {
		if errors.Is(lost, objstore.ErrAmbiguous) {
			return lost
		}
		return fmt.Errorf("%w: %w", objstore.ErrAmbiguous, lost)
	}
	return err
}

// Get implements objstore.Store.
func (s *Store) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	var content []byte
	err := s.around(ctx, objstore.OpGet, key, func() (err error) {
		content, err = s.inner.Get(ctx, key, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	return content, nil
}

// GetRange implements objstore.Store.
func (s *Store) GetRange(ctx context.Context, key string, offset int64, dst []byte) error {
	return s.around(ctx, objstore.OpGetRange, key, func() error {
		return s.inner.GetRange(ctx, key, offset, dst)
	})
}

// Head implements objstore.Store.
func (s *Store) Head(ctx context.Context, key string) (objstore.Info, error) {
	var info objstore.Info
	err := s.around(ctx, objstore.OpHead, key, func() (err error) {
		info, err = s.inner.Head(ctx, key)
		return err
	})
	if err != nil {
		return objstore.Info{}, err
	}
	return info, nil
}

// List implements objstore.Store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]objstore.Info, error) {
	var infos []objstore.Info
	err := s.around(ctx, objstore.OpList, prefix, func() (err error) {
		infos, err = s.inner.List(ctx, prefix, after, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	return infos, nil
}

// Delete implements objstore.Store.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	for i, key := range keys {
		if err := s.ask(ctx, objstore.OpDelete, key, Before); err != nil {
			if innerErr := s.inner.Delete(ctx, keys[:i]...); innerErr != nil {
				return innerErr
			}
			return err
		}
	}
	err := s.inner.Delete(ctx, keys...)
	for _, key := range keys {
		if lost := s.ask(ctx, objstore.OpDelete, key, After); lost != nil {
			return lost
		}
	}
	return err
}

// Close closes the inner store. Puts that are late stay where they are: see Land.
func (s *Store) Close() error { return s.inner.Close() }

// around runs a call that stores nothing between the two phases.
func (s *Store) around(ctx context.Context, op objstore.Op, key string, call func() error) error {
	if err := s.ask(ctx, op, key, Before); err != nil {
		return err
	}
	err := call()
	if lost := s.ask(ctx, op, key, After); lost != nil {
		return lost
	}
	return err
}

// ask asks the hooks, and waits.
func (s *Store) ask(ctx context.Context, op objstore.Op, key string, phase Phase) error {
	s.hookMu.Lock()
	var wait time.Duration
	if s.latency != nil {
		wait = s.latency(op, key, phase)
	}
	var err error
	if s.hook != nil {
		err = s.hook(op, key, phase)
	}
	s.hookMu.Unlock()

	if wait > 0 {
		if sleepErr := s.sleep(ctx, wait); sleepErr != nil {
			return fmt.Errorf("%s %s: %w: %w", op, key, base.ErrUnavailable, sleepErr)
		}
	}
	if err != nil {
		return fmt.Errorf("%s %s, %s the call: %w", op, key, phase, err)
	}
	return nil
}
