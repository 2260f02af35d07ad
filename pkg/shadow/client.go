package shadow

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/adminpb/adminpbconnect"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
)

// client is a Source behind the URLs of its coordinators: any of them answers, the first that does is kept.
type client struct {
	urls    []string
	clients []adminpbconnect.SourceServiceClient
	at      atomic.Int64 // who answered last
}

// NewClient returns the source behind the coordinators' URLs.
func NewClient(h *http.Client, urls []string) (Source, error) {
	if len(urls) == 0 {
		return nil, fmt.Errorf("no coordinator of the source is configured: %w", base.ErrNotFound)
	}
	c := &client{urls: urls}
	for _, u := range urls {
		c.clients = append(c.clients, adminpbconnect.NewSourceServiceClient(h, u))
	}
	return c, nil
}

// each asks one coordinator after the other until one answers.
func (c *client) each(ctx context.Context, ask func(adminpbconnect.SourceServiceClient) error) error {
	var failures []error
	first := int(c.at.Load())
	for n := range c.clients {
		i := (first + n) % len(c.clients)
		err := ask(c.clients[i])
		if err == nil {
			c.at.Store(int64(i))
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		failures = append(failures, fmt.Errorf("%s: %w", c.urls[i], err))
	}
	return fmt.Errorf("%w: %w", base.ErrUnavailable, errors.Join(failures...))
}

func (c *client) Describe(ctx context.Context) (*adminpb.DescribeResponse, error) {
	var out *adminpb.DescribeResponse
	err := c.each(ctx, func(cl adminpbconnect.SourceServiceClient) error {
		resp, err := cl.Describe(ctx, connect.NewRequest(&adminpb.DescribeRequest{}))
		if err == nil {
			out = resp.Msg
		}
		return err
	})
	return out, err
}

func (c *client) Heads(ctx context.Context) (*adminpb.HeadsResponse, error) {
	var out *adminpb.HeadsResponse
	err := c.each(ctx, func(cl adminpbconnect.SourceServiceClient) error {
		resp, err := cl.Heads(ctx, connect.NewRequest(&adminpb.HeadsRequest{}))
		if err == nil {
			out = resp.Msg
		}
		return err
	})
	return out, err
}

func (c *client) Follow(ctx context.Context, from base.Seq, incarnation string, fn func(metastore.RawEntry, base.Seq) error) error {
	var own error // of fn: no reason to ask another coordinator
	err := c.each(ctx, func(cl adminpbconnect.SourceServiceClient) error {
		stream, err := cl.Follow(ctx, connect.NewRequest(&adminpb.FollowRequest{FromSeq: uint64(from), Incarnation: incarnation}))
		if err != nil {
			return err
		}
		defer func() { _ = stream.Close() }()
		for stream.Receive() {
			m := stream.Msg()
			if len(m.Entry) == 0 {
				continue // keep-alive
			}
			if err := fn(metastore.RawEntry{Seq: base.Seq(m.Seq), Value: m.Entry}, base.Seq(m.HeadSeq)); err != nil {
				own = err
				return nil
			}
			from = base.Seq(m.Seq) + 1
		}
		return endOf(stream.Err())
	})
	if own != nil {
		return own
	}
	return err
}

func endOf(err error) error {
	if err == nil {
		return errors.New("the stream ended")
	}
	return err
}
