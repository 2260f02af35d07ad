package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/adminpb/adminpbconnect"
	"github.com/gnomon-stream/gnomon/pkg/shadow/linkconfig"
)

const linkName = "a-to-b"

// pair is two regions, and the link from a to b.
type pair struct {
	a, b *cluster
	link adminpbconnect.ShadowServiceClient
}

// startPair starts two regions and makes the link, which has nothing to copy yet.
func (p *place) startPair(ctx context.Context, name string, coordinator ...string) (*pair, error) {
	a, err := p.startCluster(clusterConfig{name: name + "-a", number: 1, coordinator: coordinator})
	if err != nil {
		return nil, err
	}
	b, err := p.startCluster(clusterConfig{name: name + "-b", number: 2, coordinator: coordinator})
	if err != nil {
		a.stop()
		return nil, err
	}
	x := &pair{a: a, b: b, link: adminpbconnect.NewShadowServiceClient(http.DefaultClient, b.url)}
	if err := x.create(ctx); err != nil {
		x.stop()
		return nil, err
	}
	return x, nil
}

func (x *pair) stop() {
	x.b.stop()
	x.a.stop()
}

func (x *pair) create(ctx context.Context) error {
	cfg, err := linkconfig.Parse(fmt.Appendf(nil, `name: %s
source:
  coordinators: [%s]
  etcd: [%s]
  bucket: %s
topic_metadata_sync_options:
  auto_create_shadow_topic_filters:
    - {pattern_type: LITERAL, filter_type: INCLUDE, name: '*'}
consumer_offset_sync_options:
  group_filters:
    - {pattern_type: LITERAL, filter_type: INCLUDE, name: '*'}
`, linkName, x.a.url, x.a.etcd, x.a.at.url(x.a.cfg.name)))
	if err != nil {
		return err
	}
	resp, err := x.link.Create(ctx, connect.NewRequest(&adminpb.CreateRequest{Config: cfg.Link}))
	if err != nil {
		return err
	}
	if !resp.Msg.Created {
		return fmt.Errorf("the link was not created: %v", resp.Msg.Checks)
	}
	return x.awaitCaughtUp(ctx)
}

// awaitCaughtUp waits until b has all that a had when the call began.
func (x *pair) awaitCaughtUp(ctx context.Context) error {
	began := time.Now()
	for {
		resp, err := x.link.Status(ctx, connect.NewRequest(&adminpb.StatusRequest{Link: linkName}))
		if err == nil {
			m := resp.Msg
			if m.State == "ACTIVE" && m.LagEvents != nil && *m.LagEvents == 0 && m.AsOfMs != nil && *m.AsOfMs >= began.UnixMilli() && m.RemoteBytes == 0 {
				return nil
			}
		}
		if werr := wait(ctx, 20*time.Millisecond); werr != nil {
			return fmt.Errorf("link %s has not caught up: %w", linkName, errors.Join(err, werr))
		}
	}
}

func (x *pair) pause(ctx context.Context, paused bool) error {
	_, err := x.link.Pause(ctx, connect.NewRequest(&adminpb.PauseRequest{Link: linkName, Paused: paused}))
	return err
}
