package kafkaapi

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/trace"
)

// readBuffer is the size of a connection's read buffer; larger requests go past it.
const readBuffer = 4 << 10

// conn is one connection: see the package comment for its three goroutines.
type conn struct {
	server *Server
	nc     net.Conn
	host   string
	budget *budget
	// frames and replies hold at most as many as there are slots: sending to them does not block.
	frames   chan *frame
	replies  chan *reply
	slots    chan struct{} // one taken for each request from before it is read until after it is answered
	inflight atomic.Int64  // requests read and not answered

	stop context.Context // no more reading
	work context.Context // when it ends, everything stops at once
	gone context.Context // ends with the reader: nobody waits for answers any more, or the server stops
}

func newConn(s *Server, nc net.Conn, host string) *conn {
	n := s.limits.InFlightRequests
	return &conn{
		server: s, nc: nc, host: host, budget: newBudget(s.limits.InFlightBytes),
		frames: make(chan *frame, n), replies: make(chan *reply, n), slots: make(chan struct{}, n),
	}
}

// serve runs the connection until it ends.
func (c *conn) serve(stop, work context.Context) {
	gone, leave := context.WithCancel(work)
	c.stop, c.work, c.gone = stop, work, gone
	defer leave()
	defer func() { _ = c.nc.Close() }()
	defer context.AfterFunc(stop, func() { _ = c.nc.SetReadDeadline(time.Unix(1, 0)) })()
	defer context.AfterFunc(work, func() { _ = c.nc.Close() })()

	var parts sync.WaitGroup
	parts.Go(c.handleAll)
	parts.Go(c.writeAll)
	err := c.readAll()
	leave()
	close(c.frames)
	c.explain(err)
	parts.Wait()
}

// readAll reads requests until the connection or the server ends.
func (c *conn) readAll() error {
	r := &frameReader{server: c.server, nc: c.nc, r: bufio.NewReaderSize(c.nc, readBuffer), budget: c.budget}
	busy := func() bool { return c.inflight.Load() > 0 }
	for {
		select {
		case c.slots <- struct{}{}:
		case <-c.stop.Done():
			return c.stop.Err()
		}
		prefix, err := r.awaitPrefix(c.stop, busy)
		if err != nil {
			return err
		}
		fr, err := r.next(c.stop, prefix)
		if err != nil {
			return err
		}
		c.inflight.Add(1)
		c.frames <- fr
	}
}

// explain logs why a connection ended, if it was not by itself.
func (c *conn) explain(err error) {
	reason := ""
	switch {
	case c.stop.Err() != nil, errors.Is(err, net.ErrClosed), errors.Is(err, io.EOF):
		return
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.server.log.Debug("idle connection closed", "client", c.host)
		return
	case errors.Is(err, base.ErrTooLarge):
		reason = reasonTooLarge
	case errors.Is(err, base.ErrCorrupt), errors.Is(err, base.ErrVersion):
		reason = reasonGarbage
	case errors.Is(err, errSlow):
		reason = reasonSlow
	default:
		c.server.log.Debug("connection lost", "client", c.host, "error", err)
		return
	}
	c.refuse(reason, err)
}

// refuse counts and logs that the client did what it may not.
func (c *conn) refuse(reason string, err error) {
	c.server.metrics.refused.WithLabelValues(reason).Inc()
	c.server.log.Warn("connection closed", "client", c.host, "reason", reason, "error", err)
}

// reply is a place in the order of a connection's answers (K1).
type reply struct {
	frame       *frame
	correlation int32
	tagged      bool // response header v1
	once        sync.Once
	answer      answer
	note        *trace.Note   // of a Produce request, when tracing is on
	ready       chan struct{} // closed once answer is set
}

// finish sets the answer; calls after the first change nothing.
func (r *reply) finish(a answer) {
	r.once.Do(func() {
		r.answer = a
		close(r.ready)
	})
}

// settled waits for the answer; false when everything stops.
func (c *conn) settled(r *reply) bool {
	select {
	case <-r.ready:
		return true
	case <-c.work.Done():
		return false
	}
}

// writeAll answers in order, and gives back what the requests held. After a failure it goes on without writing.
func (c *conn) writeAll() {
	w := writer{conn: c}
	for r := range c.replies {
		settled := c.settled(r)
		if settled && !w.broken {
			w.write(r)
		}
		if !settled || w.broken {
			w.broken = true
			_ = c.nc.Close()
		}
		if held, ok := r.answer.(holder); ok && settled {
			held.release()
		}
		give := func() { c.server.release(r.frame, c.budget, settled) }
		if lent, ok := r.answer.(borrower); ok && settled {
			lent.after(give)
		} else {
			give()
		}
		c.inflight.Add(-1)
		<-c.slots
	}
}

// writer writes one connection's answers.
type writer struct {
	conn    *conn
	scratch []byte
	broken  bool
}

// scratchMax is the largest encoding buffer that a connection keeps.
const scratchMax = 64 << 10

// responseHeaderMax is the most that stands before a response's body: size, correlation id, no tagged fields.
const responseHeaderMax = 9

func (w *writer) write(r *reply) {
	defer func() {
		if p := recover(); p != nil {
			w.conn.panicked(r.frame.api, p)
			w.broken = true
		}
	}()
	s := w.conn.server
	if quiet, ok := r.answer.(silence); ok {
		w.broken = quiet.hangUp
		s.metrics.answered(r.frame.api.key, s.now().Sub(r.frame.read), 0)
		return
	}
	head := append(w.scratch[:0], make([]byte, 4, responseHeaderMax)...)
	head = binary.BigEndian.AppendUint32(head, uint32(r.correlation))
	if r.tagged {
		head = append(head, 0)
	}
	buffers := r.answer.encode(head)
	size := 0
	for _, b := range buffers {
		size += len(b)
	}
	first := buffers[0]
	binary.BigEndian.PutUint32(first, uint32(size-4))
	if cap(first) <= scratchMax {
		w.scratch = first[:0]
	}
	err := w.conn.nc.SetWriteDeadline(s.now().Add(s.limits.Write))
	if err == nil {
		_, err = buffers.WriteTo(w.conn.nc)
	}
	if err != nil {
		w.broken = true
		if errors.Is(err, os.ErrDeadlineExceeded) {
			w.conn.refuse(reasonSlow, err)
		}
		return
	}
	s.metrics.answered(r.frame.api.key, s.now().Sub(r.frame.read), int64(size))
	s.told(r)
}
