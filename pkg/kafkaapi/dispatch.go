package kafkaapi

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/trace"
)

// handleAll starts the connection's requests in order.
func (c *conn) handleAll() {
	defer close(c.replies)
	// The Produce requests that were started since the last request of another kind.
	var started []*reply
	hungUp := false
	for fr := range c.frames {
		r := &reply{frame: fr, ready: make(chan struct{})}
		c.replies <- r
		if hungUp {
			r.finish(silence{hangUp: true})
			continue
		}
		if fr.api.start == nil {
			for _, p := range started {
				c.settled(p)
			}
			started = started[:0]
		} else {
			started = append(forget(started), r)
		}
		if err := c.handle(fr, r); err != nil {
			// The answers before this one still leave: the writer hangs up when it comes to it.
			c.refuse(reasonGarbage, err)
			r.finish(silence{hangUp: true})
			hungUp = true
		}
	}
}

// forget drops the replies at the front that are settled.
func forget(started []*reply) []*reply {
	for len(started) > 0 {
		select {
		case <-started[0].ready:
			started = started[1:]
			continue
		default:
		}
		break
	}
	return started
}

// handle decodes one request and has it answered. The error says why it is no request.
func (c *conn) handle(fr *frame, r *reply) error {
	defer func() {
		if p := recover(); p != nil {
			// Whoever was given parts of the frame may still read them.
			fr.pooled = false
			c.panicked(fr.api, p)
			r.finish(silence{hangUp: true})
		}
	}()
	q, err := c.decode(fr, r)
	if err != nil {
		return err
	}
	if q == nil {
		r.finish(c.server.apiVersionsUnknown())
		return nil
	}
	if fr.api.start != nil {
		r.note = c.server.deps.Trace.Note()
		fr.api.start(trace.WithNote(c.work, r.note), q, r.finish)
		return nil
	}
	ctx, cancel := c.gone, context.CancelFunc(func() {})
	if !fr.api.waits {
		ctx, cancel = context.WithTimeoutCause(c.work, c.server.limits.Forward, errNoAnswer)
	}
	defer cancel()
	r.finish(fr.api.handle(ctx, q))
	return nil
}

// errNoAnswer is why a request is given up that took too long.
var errNoAnswer = fmt.Errorf("no answer in time: %w", base.ErrUnavailable)

// decode reads header and body. It returns nil for an ApiVersions request that is newer than this server.
func (c *conn) decode(fr *frame, r *reply) (*request, error) {
	s, a := c.server, fr.api
	elements := s.limits.RequestElements
	unknown := fr.version > a.max
	body := a.new()
	body.SetVersion(fr.version)
	h, b, err := parseHeader(fr.body, body.IsFlexible(), elements)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.name, err)
	}
	r.correlation = h.correlation
	if unknown {
		return nil, nil
	}
	// The answer to ApiVersions has the old header in all versions: the client does not know yet what the server knows.
	r.tagged = body.IsFlexible() && a.key != keyAPIVersions
	if err := checkShape(a.shape, b, fr.version, body.IsFlexible(), elements); err != nil {
		return nil, fmt.Errorf("%s version %d of client %q: %w", a.name, fr.version, h.clientID, err)
	}
	if err := body.ReadFrom(b); err != nil {
		return nil, fmt.Errorf("%s version %d of client %q: %w: %w", a.name, fr.version, h.clientID, err, base.ErrCorrupt)
	}
	return &request{
		server: s, api: a, version: fr.version, body: body,
		client: Client{ID: h.clientID, Host: c.host, Zone: zoneOf(h.clientID)},
	}, nil
}

// panicked logs a caught panic: a bug that costs one connection.
func (c *conn) panicked(a *api, p any) {
	c.server.metrics.panics.Inc()
	c.server.log.Error("panic in a handler", "api", a.name, "client", c.host, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
}
