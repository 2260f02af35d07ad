package etcd_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/etcd"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// hung is a member of an etcd that hangs on demand: its connections stand, and answer the pings that keep them, but nothing else comes from them.
type hung struct {
	l        net.Listener
	target   string
	up, hang atomic.Bool
	wg       sync.WaitGroup
	mu       sync.Mutex
	conns    []net.Conn
}

func hang(t *testing.T, target string) *hung {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hung{l: l, target: target}
	h.wg.Go(h.serve)
	t.Cleanup(func() {
		_ = l.Close()
		h.mu.Lock()
		for _, c := range h.conns {
			_ = c.Close()
		}
		h.mu.Unlock()
		h.wg.Wait()
	})
	return h
}

func (h *hung) url() string { return "http://" + h.l.Addr().String() }

func (h *hung) serve() {
	for {
		c, err := h.l.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", h.target)
		if err != nil || !h.up.Load() {
			_ = c.Close()
			if err == nil {
				_ = up.Close()
			}
			continue
		}
		h.mu.Lock()
		h.conns = append(h.conns, c, up)
		h.mu.Unlock()
		h.wg.Go(func() { _, _ = io.Copy(up, c); _ = up.Close() })
		h.wg.Go(func() { h.answer(c, up); _ = c.Close() })
	}
}

// answer passes the frames of HTTP/2 on, or only pings.
func (h *hung) answer(to io.Writer, from io.Reader) {
	const headerSize, ping = 9, 6
	header := make([]byte, headerSize)
	for {
		if _, err := io.ReadFull(from, header); err != nil {
			return
		}
		frame := make([]byte, headerSize+int(binary.BigEndian.Uint32(header)>>8))
		copy(frame, header)
		if _, err := io.ReadFull(from, frame[headerSize:]); err != nil {
			return
		}
		if h.hang.Load() && frame[3] != ping {
			continue
		}
		if _, err := to.Write(frame); err != nil {
			return
		}
	}
}

// A member that hangs with its connections open ends neither the watch of the log nor that of the agents by itself. Both
// are at the same client, as a coordinator's are, and each finds its way to another member.
func TestSilentMember(t *testing.T) {
	t.Parallel()
	s, id := server(t), cluster()
	direct := open(t, s.Endpoint(), id)
	var members []*hung
	var urls []string
	for range 3 {
		m := hang(t, strings.TrimPrefix(s.Endpoint(), "http://"))
		members, urls = append(members, m), append(urls, m.url())
	}
	members[0].up.Store(true)
	l, err := etcd.Open(etcd.Config{Endpoints: urls, Cluster: id, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()

	term, err := direct.Campaign(ctx, "c", "")
	if err != nil {
		t.Fatal(err)
	}
	head := metastore.Head{}
	add := func() {
		t.Helper()
		value, _ := metastore.EncodeEntry(&metalogpb.Entry{Seq: uint64(head.Seq + 1), PrevHash: head.Hash[:]})
		if err := term.Append(ctx, metastore.Guard{Head: head}, value); err != nil {
			t.Fatal(err)
		}
		head = metastore.Head{Seq: head.Seq + 1, Hash: metastore.HashOf(value)}
	}
	add()
	seqs, lists := make(chan base.Seq, 100), make(chan int, 100)
	var followers sync.WaitGroup
	fctx, stop := context.WithCancel(ctx)
	defer func() { stop(); followers.Wait() }()
	followers.Go(func() {
		for fctx.Err() == nil { // as a replica: what is unavailable is asked for again
			_ = l.Follow(fctx, 1, func(e metastore.RawEntry) error { seqs <- e.Seq; return nil })
		}
	})
	followers.Go(func() { _ = l.FollowAgents(fctx, func(a []*metalogpb.Agent) { lists <- len(a) }) })
	until := func(what string, seq base.Seq, agents int) {
		t.Helper()
		began := time.Now()
		for at, have := base.Seq(0), -1; at < seq || have < agents; {
			select {
			case at = <-seqs:
			case have = <-lists:
			case <-ctx.Done():
				t.Fatalf("%s: seq %d of %d, %d agents of %d", what, at, seq, have, agents)
			}
		}
		t.Logf("%s: after %v", what, time.Since(began))
	}
	until("at the only member", 1, 0)
	time.Sleep(200 * time.Millisecond) // until both watch
	members[1].up.Store(true)
	members[2].up.Store(true)
	members[0].hang.Store(true)
	stands, ended := make(chan struct{}), make(chan error, 1)
	actx, leave := context.WithCancel(ctx)
	go func() {
		ended <- direct.Register(actx, &metalogpb.Agent{NodeId: 1, Instance: []byte("i")}, true, func() { close(stands) })
	}()
	<-stands
	add()
	until("when that one hangs", 2, 1)
	leave()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
