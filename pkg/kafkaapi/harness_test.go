package kafkaapi

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// logBuffer collects log lines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), s)
}

// harness is a server on a loopback port with the memory backend.
type harness struct {
	*memory
	t      testing.TB
	server *Server
	addr   string
	out    *logBuffer
	stop   context.CancelFunc
	served chan error
}

// start serves until the test ends, and then checks that every goroutine of the server has gone.
func start(t testing.TB, change func(*Config)) *harness {
	t.Helper()
	before := runtime.NumGoroutine()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{memory: newMemory(), t: t, addr: ln.Addr().String(), out: &logBuffer{}, served: make(chan error, 1)}
	h.self.Port = int32(ln.Addr().(*net.TCPAddr).Port)
	cfg := DefaultConfig(1)
	if change != nil {
		change(&cfg)
	}
	h.server, err = New(cfg, Deps{
		Catalog: h.memory, Appender: h.memory, Reader: h.memory, Controller: h.memory,
		Logger: slog.New(slog.NewTextHandler(h.out, nil)), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.stop = cancel
	go func() { h.served <- h.server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-h.served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := h.server.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", h.out.b.String())
		}
		eventually(t, "goroutines of the server to end", func() bool { return runtime.NumGoroutine() <= before+2 })
	})
	return h
}

// eventually polls for what another goroutine brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// client returns a franz-go client, closed with the test.
func (h *harness) client(opts ...kgo.Opt) *kgo.Client {
	h.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(h.addr)}, opts...)...)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(cl.Close)
	return cl
}

// wire is a raw connection.
type wire struct {
	t  testing.TB
	nc net.Conn
}

func (h *harness) dial() *wire {
	h.t.Helper()
	nc, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &wire{h.t, nc}
}

// encodeRequest frames a request as clients do.
func encodeRequest(req kmsg.Request, correlation int32) []byte {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("test,zone=b|x")).AppendRequest(nil, req, correlation)
}

func (w *wire) send(req kmsg.Request, correlation int32) {
	w.t.Helper()
	w.raw(encodeRequest(req, correlation))
}

func (w *wire) raw(b []byte) {
	w.t.Helper()
	if _, err := w.nc.Write(b); err != nil {
		w.t.Fatalf("write: %v", err)
	}
}

// frame reads one answer: its correlation id and what follows.
func (w *wire) frame() (int32, []byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(w.nc, size[:]); err != nil {
		return 0, nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(w.nc, b); err != nil {
		return 0, nil, err
	}
	return int32(binary.BigEndian.Uint32(b)), b[4:], nil
}

// receive reads the answer to req.
func (w *wire) receive(req kmsg.Request, correlation int32) kmsg.Response {
	w.t.Helper()
	got, b, err := w.frame()
	if err != nil {
		w.t.Fatalf("read the answer to %T: %v", req, err)
	}
	if got != correlation {
		w.t.Fatalf("answer %d, want %d", got, correlation)
	}
	if req.IsFlexible() && req.Key() != keyAPIVersions {
		if b[0] != 0 {
			w.t.Fatalf("response header with %d tags", b[0])
		}
		b = b[1:]
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	if err := resp.ReadFrom(b); err != nil {
		w.t.Fatalf("decode the answer to %T: %v", req, err)
	}
	return resp
}

// ask sends a request of a version and reads its answer.
func ask[R kmsg.Response](w *wire, req kmsg.Request, version int16) R {
	w.t.Helper()
	req.SetVersion(version)
	w.send(req, 7)
	return w.receive(req, 7).(R)
}

// closed tells whether the server hangs up without another answer.
func (w *wire) closed() bool {
	_, _, err := w.frame()
	var ne net.Error
	return err != nil && !(errors.As(err, &ne) && ne.Timeout())
}
