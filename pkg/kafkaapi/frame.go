package kafkaapi

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// frame is one request in memory, without its size prefix, and the budget that it holds.
type frame struct {
	api      *api
	version  int16
	body     []byte // header and body
	pooled   bool
	charged  int64 // of the server's budget
	chargedC int64 // of the connection's
	read     time.Time
}

// framePrefix is what says how large a request is and of which API: size, key, version.
const framePrefix = 8

// firstStep is how many bytes of a request are made room for at first; then growth times as many as have come (K3). With 7, a request
// of 8 MiB is moved once, by its first eighth; and a client that announces much has sent an eighth of what it holds.
const (
	firstStep = 1 << 20
	growth    = 7
)

// errSlow says that a client did not send the rest of a request in time.
var errSlow = errors.New("the rest of a request did not arrive in time")

// frameReader cuts requests off a socket.
type frameReader struct {
	server *Server
	nc     net.Conn
	r      *bufio.Reader
	budget *budget // of the connection
}

// awaitPrefix waits for the next request. busy tells whether requests are in flight: then the client may keep silent.
// It returns io.EOF when the client is done, os.ErrDeadlineExceeded when it was idle for too long.
func (f *frameReader) awaitPrefix(ctx context.Context, busy func() bool) ([]byte, error) {
	for {
		if err := f.deadline(ctx, f.server.limits.Idle); err != nil {
			return nil, err
		}
		_, err := f.r.Peek(1)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && busy() && ctx.Err() == nil:
			continue
		case err != nil:
			return nil, err
		}
		break
	}
	if err := f.deadline(ctx, f.server.limits.FrameRead); err != nil {
		return nil, err
	}
	prefix, err := f.r.Peek(framePrefix)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, errSlow
	}
	return prefix, err
}

// deadline gives the socket time to deliver. A stop that comes at any moment is not overlooked: the stopper ends ctx and
// then sets a deadline in the past; this sets its own and then looks at ctx. Whichever deadline was set last, either it
// is the one in the past or ctx is seen to have ended.
func (f *frameReader) deadline(ctx context.Context, d time.Duration) error {
	if err := f.nc.SetReadDeadline(f.server.now().Add(d)); err != nil {
		return err
	}
	return ctx.Err()
}

// next reads one request. Errors wrap base.ErrCorrupt for what is no request, base.ErrVersion for one that is not
// served, base.ErrTooLarge for one above the limits.
func (f *frameReader) next(ctx context.Context, prefix []byte) (*frame, error) {
	size := int64(int32(binary.BigEndian.Uint32(prefix)))
	key, version := int16(binary.BigEndian.Uint16(prefix[4:])), int16(binary.BigEndian.Uint16(prefix[6:]))
	if size < requestHeaderMin {
		return nil, fmt.Errorf("request of %d bytes: %w", size, base.ErrCorrupt)
	}
	a := f.server.apis[key]
	if a == nil {
		return nil, fmt.Errorf("request of %d bytes with key %d, version %d: %w", size, key, version, base.ErrVersion)
	}
	if (version < a.min || version > a.max) && key != keyAPIVersions || version < 0 {
		return nil, fmt.Errorf("%s request of version %d, served are %d to %d: %w", a.name, version, a.min, a.max, base.ErrVersion)
	}
	if limit := f.sizeMax(key); size > int64(limit) {
		return nil, fmt.Errorf("%s request of %d bytes, at most %d: %w", a.name, size, limit, base.ErrTooLarge)
	}
	if _, err := f.r.Discard(4); err != nil {
		return nil, err
	}
	// Group members keep parts of their requests; what only this package sees is recycled.
	fr := &frame{api: a, version: version, pooled: key == keyProduce || key == keyFetch || key == keyMetadata}
	if err := f.fill(ctx, fr, int(size)); err != nil {
		f.discard(fr)
		return nil, err
	}
	fr.read = f.server.now()
	f.server.metrics.received.Add(float64(size + 4))
	return fr, nil
}

func (f *frameReader) sizeMax(key int16) int {
	if key == keyProduce {
		return f.server.limits.RequestBytes
	}
	return min(f.server.limits.ControlRequestBytes, f.server.limits.RequestBytes)
}

// fill reads size bytes, and makes room for them as they come.
//
// A client that announces much must send the first step of it before the rest is charged, so that mere announcements hold little. But
// requests that hold a part and wait for the rest could wait for each other for ever:
//
//  1. Sixteen requests of 20 MiB have 7 MiB each, which is all that there is. Each waits for more, and none is ever complete.
//
// So a large request holds no more than its first step while it waits, only largeRequestsMax of them do so at a time, and the rest is charged at
// once, for one request after the other. What all of those hold is left out of what one may ask for, so there is always enough in the end.
func (f *frameReader) fill(ctx context.Context, fr *frame, size int) (err error) {
	if fr.chargedC, err = f.budget.acquire(ctx, size); err != nil {
		fr.chargedC = 0
		return err
	}
	first, leave := min(size, firstStep), func() {}
	if size > first {
		if err := f.server.large.enter(ctx); err != nil {
			return err
		}
		leave = sync.OnceFunc(f.server.large.leave)
	}
	defer leave()
	if err := f.charge(ctx, fr, room(fr, first)); err != nil {
		return err
	}
	if err := f.read(ctx, fr, 0, first, size); err != nil || size == first {
		return err
	}
	if err := f.fund(ctx, fr, size); err != nil {
		return err
	}
	leave()
	for got := first; got < size; {
		step := min(size-got, growth*got)
		if err := f.read(ctx, fr, got, got+step, size); err != nil {
			return err
		}
		got += step
	}
	return nil
}

// read reads the bytes from got to n of a request.
func (f *frameReader) read(ctx context.Context, fr *frame, got, n, size int) error {
	f.grow(fr, got, n)
	if err := f.deadline(ctx, f.server.limits.FrameRead); err != nil {
		return err
	}
	more, err := io.ReadFull(f.r, fr.body[got:n])
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%d of %d bytes of a %s request: %w", got+more, size, fr.api.name, errSlow)
	}
	return fmt.Errorf("%d of %d bytes of a %s request: %w", got+more, size, fr.api.name, err)
}

// fund charges what a large request needs beyond its first step.
func (f *frameReader) fund(ctx context.Context, fr *frame, size int) error {
	select {
	case f.server.large.funding <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-f.server.large.funding }()
	most := f.server.budget.max - largeRequestsMax*firstStep
	n := min(int64(room(fr, size)), most) - fr.charged
	// For a while small requests go before: they need what there is, while this one waits for much.
	for end := f.server.now().Add(fundPatience); f.server.now().Before(end); {
		if n <= 0 || f.server.budget.tryAcquire(n) {
			fr.charged += max(n, 0)
			return nil
		}
		if !sleep(ctx, fundPoll) {
			return ctx.Err()
		}
	}
	return f.charge(ctx, fr, int(n))
}

const (
	fundPatience = 2 * time.Second
	fundPoll     = 2 * time.Millisecond
)

// room is how much memory a frame of n bytes takes.
func room(fr *frame, n int) int {
	if fr.pooled {
		return bufferRoom(n)
	}
	return n
}

// charge takes bytes of the server's budget.
func (f *frameReader) charge(ctx context.Context, fr *frame, n int) error {
	if n <= 0 {
		return nil
	}
	took, err := f.server.budget.acquire(ctx, n)
	if err != nil {
		return fmt.Errorf("wait for the memory to read a %s request: %w", fr.api.name, context.Cause(ctx))
	}
	fr.charged += took
	return nil
}

// grow makes room for n bytes of which got are there.
func (f *frameReader) grow(fr *frame, got, n int) {
	if n <= cap(fr.body) {
		fr.body = fr.body[:n]
		return
	}
	var b []byte
	if fr.pooled {
		b = f.server.buffers.get(n)
	} else {
		b = make([]byte, n)
	}
	copy(b, fr.body[:got])
	if fr.pooled && fr.body != nil {
		f.server.buffers.put(fr.body)
	}
	fr.body = b
}

// release gives back what a frame holds. reuse tells that nobody looks at its bytes any more; else they are left as they
// are, for whoever still has them.
func (s *Server) release(fr *frame, conn *budget, reuse bool) {
	if reuse {
		if fr.pooled && fr.body != nil {
			s.buffers.put(fr.body)
		}
		fr.body = nil
	}
	s.budget.release(fr.charged)
	conn.release(fr.chargedC)
	fr.charged, fr.chargedC = 0, 0
}

func (f *frameReader) discard(fr *frame) { f.server.release(fr, f.budget, true) }
