package coordinator

import (
	"context"
	"fmt"
	"sync"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
)

// sharedHead answers many concurrent questions for the head with few requests. A caller may not be given the answer to a
// request that began before it asked: what was confirmed in between would be missing. So it waits for the next one.
type sharedHead struct {
	log     metastore.Log
	mu      sync.Mutex
	running bool
	next    *headAsk
}

type headAsk struct {
	done  chan struct{}
	point metastore.Point
	err   error
}

func newSharedHead(log metastore.Log) *sharedHead { return &sharedHead{log: log} }

func (h *sharedHead) get(ctx context.Context) (metastore.Point, error) {
	h.mu.Lock()
	if h.next == nil {
		h.next = &headAsk{done: make(chan struct{})}
	}
	ask := h.next
	lead := !h.running
	if lead {
		h.running = true
	}
	h.mu.Unlock()
	if lead {
		// Not by whoever asks: it would serve others for as long as any come, and wait for longer than it wants to.
		go h.serve(context.WithoutCancel(ctx))
	}
	select {
	case <-ask.done:
		return ask.point, ask.err
	case <-ctx.Done():
		return metastore.Point{}, fmt.Errorf("ask for the head of the metalog: %w: %w", base.ErrUnavailable, context.Cause(ctx))
	}
}

// serve runs one request for everybody who asked before it began, and then for whoever came meanwhile, until nobody does.
func (h *sharedHead) serve(ctx context.Context) {
	for {
		h.mu.Lock()
		ask := h.next
		h.next = nil
		if ask == nil {
			h.running = false
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
		rctx, cancel := context.WithTimeout(ctx, headTimeout)
		pos, err := h.log.Position(rctx)
		cancel()
		if err == nil && pos.Incarnation == "" {
			err = fmt.Errorf("head of the metalog: %w", metastore.ErrNoLog) // its point would be of any incarnation
		}
		ask.point, ask.err = pos.Point(), err
		close(ask.done)
	}
}
