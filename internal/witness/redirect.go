package witness

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Redirect is a dialer: after Flip, connections to any address of one region go to the other.
type Redirect struct {
	from    map[string]bool
	to      []string
	flipped atomic.Bool
	next    atomic.Int64
}

// NewRedirect leads from the addresses of one region to those of another, host:port each.
func NewRedirect(from, to []string) *Redirect {
	r := &Redirect{from: map[string]bool{}, to: to}
	for _, a := range from {
		r.from[a] = true
	}
	return r
}

// Flip moves all later connections.
func (r *Redirect) Flip() { r.flipped.Store(true) }

// Option makes a client use it.
func (r *Redirect) Option() kgo.Opt { return kgo.Dialer(r.dial) }

func (r *Redirect) dial(ctx context.Context, network, host string) (net.Conn, error) {
	if r.from[host] && r.flipped.Load() {
		host = r.to[int(r.next.Add(1))%len(r.to)]
	}
	return (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, network, host)
}
