package shadow

import (
	"context"
	"sync"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// gate lets verify and failover hold the applier: nobody is inside an append while it is shut, and it can be opened up
// to one seq only.
type gate struct {
	mu     sync.Mutex
	shut   bool
	limit  base.Seq // 0: no limit
	inside bool
	change chan struct{}
}

func (g *gate) open() { g.set(false, 0) }

func (g *gate) set(shut bool, limit base.Seq) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut, g.limit = shut, limit
	g.signal()
}

func (g *gate) signal() {
	if g.change != nil {
		close(g.change)
	}
	g.change = make(chan struct{})
}

func (g *gate) changed() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.change
}

// enter asks to append; with true comes the limit, and leave must follow.
func (g *gate) enter() (base.Seq, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return 0, false
	}
	g.inside = true
	return g.limit, true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside {
		g.inside = false
		if g.shut {
			g.signal()
		}
	}
}

// hold shuts the gate and waits until nobody is inside.
func (g *gate) hold(ctx context.Context) error {
	g.set(true, 0)
	for {
		g.mu.Lock()
		inside, change := g.inside, g.change
		g.mu.Unlock()
		if !inside {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			g.open()
			return ctx.Err()
		}
	}
}
