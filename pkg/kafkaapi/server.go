package kafkaapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Server serves the Kafka protocol on any number of listeners. See the package comment for its invariants.
type Server struct {
	cfg     Config
	limits  Limits
	deps    Deps
	log     *slog.Logger
	now     func() time.Time
	apis    map[int16]*api
	list    []APIVersions
	metrics *Metrics
	budget  *budget
	recoder *recoder
	large   *largeRequests
	buffers bufferPool

	closing context.Context // ends with Close
	close   context.CancelFunc

	mu      sync.Mutex
	serving sync.WaitGroup // calls of Serve; added to under mu
	open    int            // connections
	perHost map[string]int
}

// New returns a server. It fails when the configuration is not valid, when one of the four backends is missing, or when
// the metrics are registered already.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuration of the Kafka server: %w", err)
	}
	if deps.Catalog == nil || deps.Appender == nil || deps.Reader == nil || deps.Controller == nil {
		return nil, errors.New("the Kafka server needs a Catalog, an Appender, a Reader and a Controller")
	}
	cfg.MaxMessageBytes = cmp.Or(cfg.MaxMessageBytes, maxMessageBytesDefault)
	deps, table := deps.withDefaults(), apis()
	metrics, err := newMetrics(table, deps.Registerer)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, limits: cfg.Limits.withDefaults(), deps: deps, log: deps.Logger, now: deps.Clock,
		apis: make(map[int16]*api, len(table)), list: Supported(), metrics: metrics, perHost: map[string]int{},
	}
	for _, a := range table {
		s.apis[a.key] = a
	}
	s.budget = newBudget(s.limits.BufferedBytes)
	s.recoder, s.large = newRecoder(s.limits), newLargeRequests()
	s.closing, s.close = context.WithCancel(context.Background())
	return s, nil
}

// Serve accepts connections from ln until ctx ends or Close is called, then closes ln, lets what is in flight settle
// (Limits.Drain) and returns nil once every goroutine of its connections has ended. It returns early with an error when
// the listener fails.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	if !s.enter() {
		return errors.Join(net.ErrClosed, ln.Close())
	}
	defer s.serving.Done()
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	defer context.AfterFunc(stop, func() { _ = ln.Close() })()
	work, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()

	var conns sync.WaitGroup
	err := s.accept(stop, work, ln, &conns)
	cancel()
	ended := make(chan struct{})
	go func() {
		conns.Wait()
		close(ended)
	}()
	drain := time.NewTimer(s.limits.Drain)
	defer drain.Stop()
	select {
	case <-ended:
	case <-drain.C:
		s.log.Warn("connections are cut: what they have in flight did not settle", "after", s.limits.Drain)
	}
	kill()
	<-ended
	return err
}

// enter counts a call of Serve, unless the server is closed.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Err() != nil {
		return false
	}
	s.serving.Add(1)
	return true
}

// Close ends every Serve and waits for them.
func (s *Server) Close() error {
	s.mu.Lock()
	s.close()
	s.mu.Unlock()
	s.serving.Wait()
	return nil
}

// Pauses after an accept that failed, for want of file descriptors for one.
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// accept starts a connection for each caller until stop ends.
func (s *Server) accept(stop, work context.Context, ln net.Listener, conns *sync.WaitGroup) error {
	pause := acceptPauseMin
	for {
		nc, err := ln.Accept()
		switch {
		case stop.Err() != nil:
			if nc != nil {
				_ = nc.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept Kafka connections on %s: %w", ln.Addr(), err)
		case err != nil:
			s.log.Warn("accept a Kafka connection", "listener", ln.Addr().String(), "retry_in", pause, "error", err)
			if !sleep(stop, pause) {
				return nil
			}
			pause = min(2*pause, acceptPauseMax)
			continue
		}
		pause = acceptPauseMin
		host := hostOf(nc)
		if !s.admit(host) {
			s.metrics.refused.WithLabelValues(reasonLimit).Inc()
			s.log.Warn("connection refused: too many", "client", host)
			_ = nc.Close()
			continue
		}
		conns.Go(func() {
			defer s.leave(host)
			newConn(s, nc, host).serve(stop, work)
		})
	}
}

// sleep waits; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func hostOf(nc net.Conn) string {
	host, _, err := net.SplitHostPort(nc.RemoteAddr().String())
	if err != nil {
		return nc.RemoteAddr().String()
	}
	return host
}

// admit counts a connection, unless there are too many.
func (s *Server) admit(host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= s.limits.Connections || s.perHost[host] >= s.limits.ConnectionsPerAddress {
		return false
	}
	s.open++
	s.perHost[host]++
	s.metrics.connections.Inc()
	return true
}

func (s *Server) leave(host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if s.perHost[host]--; s.perHost[host] == 0 {
		delete(s.perHost, host)
	}
	s.metrics.connections.Dec()
}
