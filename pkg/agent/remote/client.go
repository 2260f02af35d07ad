package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/rpcfault"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
	"github.com/gnomon-stream/gnomon/pkg/adminpb/adminpbconnect"
	"github.com/gnomon-stream/gnomon/pkg/coordinatorpb"
	"github.com/gnomon-stream/gnomon/pkg/coordinatorpb/coordinatorpbconnect"
)

// Pings find a peer that is gone without a word: a paused process, a machine without power.
const (
	pingAfter   = time.Second     // without a frame from the peer
	pingTimeout = 2 * time.Second // for its answer
	dialTimeout = time.Second
)

// Times of the client.
const (
	askTimeout = 2 * time.Second // for one coordinator to answer a question that takes no more than a read of etcd
	retryMin   = 20 * time.Millisecond
	retryMax   = 500 * time.Millisecond
)

// NewHTTP returns an HTTP client for what coordinators serve each other, agents and links: HTTP/2 with pings; with TLS to https
// URLs, by what the set holds when a connection is made, and to servers with the role of a coordinator. Without a set https URLs are out of reach.
func NewHTTP(set *tlsfiles.Set) *http.Client {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	t := &http.Transport{
		Protocols:   &protocols,
		DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext,
		HTTP2:       &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
	if set != nil {
		protocols.SetHTTP2(true)
		t.DialTLSContext = set.Dialer(t.DialContext, tlsfiles.Coordinators, "h2")
		return &http.Client{Transport: explained{t, set}}
	}
	return &http.Client{Transport: t}
}

// Config of a Client.
type Config struct {
	Coordinators []string // URLs, at least one
	HTTP         *http.Client
	Logger       *slog.Logger
}

// peer is one coordinator.
type peer struct {
	url    string
	coord  coordinatorpbconnect.CoordinatorServiceClient
	source adminpbconnect.SourceServiceClient
}

// Client implements agent.Coordinator and agent.Registry.
type Client struct {
	cfg     Config
	ctx     context.Context // ends with Close
	close   context.CancelFunc
	wg      sync.WaitGroup
	commits *pipe

	fenced      atomic.Bool
	incarnation atomic.Pointer[string] // of the log, from the last Position
	wanted      atomic.Uint64          // the highest seq that a coordinator has confirmed to us, or streamed

	mu     sync.Mutex
	peers  map[string]*peer // by URL: those configured, and leaders that were named
	order  []*peer          // those configured
	at     int              // in order: who is asked first
	leader *peer            // nil: unknown
}

// New returns a client. It asks nothing before it is asked.
func New(cfg Config) (*Client, error) {
	if len(cfg.Coordinators) == 0 {
		return nil, fmt.Errorf("no coordinator is configured: %w", base.ErrNotFound)
	}
	c := &Client{cfg: cfg, peers: map[string]*peer{}}
	c.ctx, c.close = context.WithCancel(context.Background())
	for _, u := range cfg.Coordinators {
		c.order = append(c.order, c.peer(u))
	}
	c.commits = newPipe(c)
	c.wg.Go(c.commits.run)
	return c, nil
}

// Close ends what the client has under way, and waits for it. Nothing may be asked after it.
func (c *Client) Close() {
	c.close()
	c.wg.Wait()
	c.cfg.HTTP.CloseIdleConnections()
}

// Fenced tells whether another region has taken this one's role over, as far as a coordinator has said so.
func (c *Client) Fenced() bool { return c.fenced.Load() }

// peer returns the coordinator behind a URL.
func (c *Client) peer(url string) *peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[url]; p != nil {
		return p
	}
	plain := connect.WithAcceptCompression("gzip", nil, nil) // entries are compressed already
	p := &peer{
		url: url, coord: coordinatorpbconnect.NewCoordinatorServiceClient(c.cfg.HTTP, url, plain),
		source: adminpbconnect.NewSourceServiceClient(c.cfg.HTTP, url, plain),
	}
	c.peers[url] = p
	return p
}

// current is who is asked first.
func (c *Client) current() *peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order[c.at]
}

// avoid makes the next coordinator the one that is asked first, if it is still p.
func (c *Client) avoid(p *peer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.order[c.at] == p {
		c.at = (c.at + 1) % len(c.order)
	}
}

// any asks one coordinator after the other until one answers, each once.
func (c *Client) any(ctx context.Context, what string, ask func(ctx context.Context, p *peer) error) error {
	var failures []error
	for range c.order {
		p := c.current()
		actx, cancel := context.WithTimeout(ctx, askTimeout)
		err := rpcfault.From(ask(actx, p))
		cancel()
		if err == nil {
			return nil
		}
		failures = append(failures, fmt.Errorf("%s: %w", p.url, err))
		// Who has no more time leaves the next one to whoever asks next: else a coordinator that is well and has no etcd would be
		// asked first for ever, by those that wait for less than it takes to say so.
		if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			c.avoid(p)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return fmt.Errorf("%s: no coordinator answers: %w: %w", what, base.ErrUnavailable, errors.Join(failures...))
}

// Identify asks the coordinators which cluster this is.
func (c *Client) Identify(ctx context.Context) (*coordinatorpb.IdentifyResponse, error) {
	var out *coordinatorpb.IdentifyResponse
	err := c.any(ctx, "identify the cluster", func(ctx context.Context, p *peer) error {
		resp, err := p.coord.Identify(ctx, connect.NewRequest(&coordinatorpb.IdentifyRequest{}))
		if err == nil {
			out = resp.Msg
		}
		return err
	})
	return out, err
}

// backoff waits before the next attempt: longer each time, and not in step with other agents. False when ctx ended.
type backoff struct{ wait time.Duration }

func (b *backoff) sleep(ctx context.Context) bool {
	b.wait = min(max(2*b.wait, retryMin), retryMax)
	t := time.NewTimer(b.wait/2 + rand.N(b.wait/2))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
