package etcd_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/embedetcd"
	"github.com/gnomon-stream/gnomon/pkg/metastore/etcd"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metastoretest"
)

func server(t *testing.T) *embedetcd.Server {
	t.Helper()
	s, err := embedetcd.Start(embedetcd.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func open(t *testing.T, endpoint string, cluster base.ClusterID) *etcd.Log {
	t.Helper()
	l, err := etcd.Open(etcd.Config{
		Endpoints: []string{endpoint}, Cluster: cluster, LeaseTTL: time.Second, CallTimeout: time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func cluster() (id base.ClusterID) {
	_, _ = rand.Read(id[:])
	return id
}

func TestAcceptance(t *testing.T) {
	s := server(t) // one etcd, a cluster each
	metastoretest.Run(t, func(t *testing.T) metastoretest.Backend {
		id := cluster()
		return metastoretest.Backend{Open: func(t *testing.T) metastore.Log { return open(t, s.Endpoint(), id) }}
	})
}

// proxy is a TCP relay that can be cut: connections break, and new ones are refused until it is mended.
type proxy struct {
	l      net.Listener
	target string
	mu     sync.Mutex
	cut    bool
	conns  map[net.Conn]bool
	wg     sync.WaitGroup
}

func relay(t *testing.T, endpoint string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, target: strings.TrimPrefix(endpoint, "http://"), conns: map[net.Conn]bool{}}
	p.wg.Add(1)
	go p.serve()
	t.Cleanup(func() { _ = l.Close(); p.set(true); p.wg.Wait() })
	return p
}

func (p *proxy) serve() {
	defer p.wg.Done()
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", p.target)
		p.mu.Lock()
		if err != nil || p.cut {
			_ = c.Close()
			if err == nil {
				_ = up.Close() // etcd's own Close would wait for it
			}
			p.mu.Unlock()
			continue
		}
		p.conns[c], p.conns[up] = true, true
		p.mu.Unlock()
		for _, pair := range [][2]net.Conn{{c, up}, {up, c}} {
			p.wg.Add(1)
			go func() {
				defer p.wg.Done()
				_, _ = io.Copy(pair[0], pair[1])
				_ = pair[0].Close()
			}()
		}
	}
}

func (p *proxy) set(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	if cut {
		for c := range p.conns {
			_ = c.Close()
		}
		p.conns = map[net.Conn]bool{}
	}
}

// A leader that is cut off from etcd loses its lease, is told, and cannot append when it is back: somebody else leads.
func TestCutOffLeader(t *testing.T) {
	s, id := server(t), cluster()
	p := relay(t, s.Endpoint())
	one, two := open(t, "http://"+p.l.Addr().String(), id), open(t, s.Endpoint(), id)
	term, err := one.Campaign(t.Context(), "one", "")
	if err != nil {
		t.Fatal(err)
	}
	value, _ := metastore.EncodeEntry(&metalogpb.Entry{Seq: 1})
	if err := term.Append(t.Context(), metastore.Guard{}, value); err != nil {
		t.Fatal(err)
	}
	p.set(true)
	head := metastore.Head{Seq: 1, Hash: metastore.HashOf(value)}
	second, _ := metastore.EncodeEntry(&metalogpb.Entry{Seq: 2, PrevHash: head.Hash[:]})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := term.Append(ctx, metastore.Guard{Head: head}, second); !errors.Is(err, metastore.ErrAmbiguous) && !errors.Is(err, base.ErrUnavailable) {
		t.Fatalf("append without etcd: %v", err)
	}
	<-term.Lost()
	if _, err := one.Position(ctx); !errors.Is(err, base.ErrUnavailable) {
		t.Fatalf("position without etcd: %v", err)
	}
	if _, err := two.Campaign(ctx, "two", ""); err != nil {
		t.Fatalf("the standby was not elected: %v", err)
	}
	p.set(false)
	deadline := time.Now().Add(15 * time.Second)
	for {
		err := term.Append(ctx, metastore.Guard{Head: head}, second)
		if errors.Is(err, metastore.ErrDeposed) {
			break
		}
		if err == nil || time.Now().After(deadline) {
			t.Fatalf("append of the deposed leader: %v", err)
		}
	}
	if pos, err := two.Position(ctx); err != nil || pos.Head.Seq != 1 {
		t.Fatalf("position %+v, %v", pos, err)
	}
}

// The same entry twice is one append: what a client does whose answer was lost.
func TestLostAnswer(t *testing.T) {
	l := open(t, server(t).Endpoint(), cluster())
	term, err := l.Campaign(t.Context(), "one", "")
	if err != nil {
		t.Fatal(err)
	}
	value, _ := metastore.EncodeEntry(&metalogpb.Entry{Seq: 1})
	for range 3 {
		if err := term.Append(t.Context(), metastore.Guard{}, value); err != nil {
			t.Fatal(err)
		}
	}
	all, err := l.Read(t.Context(), 1, 1<<20)
	if err != nil || len(all) != 1 || !bytes.Equal(all[0].Value, value) {
		t.Fatalf("%d entries, %v", len(all), err)
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, err = embedetcd.Start(embedetcd.Config{Dir: t.TempDir(), ClientPort: l.Addr().(*net.TCPAddr).Port})
	if err == nil || !strings.Contains(err.Error(), "choose another port") {
		t.Fatalf("started on a taken port: %v", err)
	}
}
