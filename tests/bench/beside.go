package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/open"
)

// What the broker that discards does beside: nothing, or a raw operation of 8 MiB for each 8 MiB that pass through it.
const (
	besideNothing = "nothing"
	besidePuts    = "puts"
	besideGets    = "gets"
)

// getsKept is how many objects are there to be read.
const getsKept = 8

// beside makes raw operations for the bytes that pass: their cost, and the store's, is what the load has to live with in any
// broker that keeps its data in the store. No more are under way than putsAtOnce; who would start another one waits.
type beside struct {
	op      func(ctx context.Context, n int64) error
	pending atomic.Int64 // bytes for which no operation was made
	count   atomic.Int64
	slots   chan struct{}
	fail    context.CancelCauseFunc
}

func newBeside(ctx context.Context, what, url string, fail context.CancelCauseFunc) (*beside, error) {
	b := &beside{slots: make(chan struct{}, putsAtOnce), fail: fail}
	if what == besideNothing {
		return b, nil
	}
	store, err := open.Open(ctx, url, open.Options{})
	if err != nil {
		return nil, err
	}
	payload := payloadOf(putBytes)
	switch what {
	case besidePuts:
		b.op = func(ctx context.Context, n int64) error { return store.Put(ctx, fmt.Sprintf("beside/%d", n), payload) }
	case besideGets:
		b.op = func(ctx context.Context, n int64) error {
			return store.GetRange(ctx, getKey(n), 0, make([]byte, putBytes))
		}
	default:
		return nil, fmt.Errorf("nothing is known that is called %q", what)
	}
	return b, nil
}

func getKey(n int64) string { return fmt.Sprintf("gets/%d", n%getsKept) }

// putGets stores what rawGets and the broker read.
func putGets(ctx context.Context, store objstore.Store) error {
	payload := payloadOf(putBytes)
	for i := range int64(getsKept) {
		if err := store.Put(ctx, getKey(i), payload); err != nil {
			return err
		}
	}
	return nil
}

// passed notes bytes that passed.
func (b *beside) passed(ctx context.Context, n int) {
	if b.op == nil {
		return
	}
	for left := b.pending.Add(int64(n)); left >= putBytes; left = b.pending.Load() {
		if !b.pending.CompareAndSwap(left, left-putBytes) {
			continue
		}
		select {
		case b.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		go func() { // ends with its operation; there are no more than slots
			defer func() { <-b.slots }()
			if err := b.op(ctx, b.count.Add(1)); err != nil {
				b.fail(err)
			}
		}()
	}
}
