package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/dev"
	"github.com/gnomon-stream/gnomon/internal/process"
	"github.com/gnomon-stream/gnomon/internal/region"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/adminpb/adminpbconnect"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 20 * time.Second
	linkTimeout  = 30 * time.Second
)

// pair is the two regions.
type pair struct {
	a, b         *process.Process
	atA, atB     region.Endpoints
	shadowClient adminpbconnect.ShadowServiceClient
}

func startPair(ctx context.Context, o Options) (*pair, error) {
	p := &pair{}
	var err error
	if p.a, p.atA, err = startRegion(o, "a"); err == nil {
		p.b, p.atB, err = startRegion(o, "b")
	}
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	p.shadowClient = adminpbconnect.NewShadowServiceClient(http.DefaultClient, p.atB.Admin)
	if err := p.awaitLink(ctx); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

func startRegion(o Options, name string) (*process.Process, region.Endpoints, error) {
	var at region.Endpoints
	args := []string{"dev", "--region", name, "--data", o.Data, "--ephemeral-ports", "--log-level", "error"}
	p, err := process.Start("region "+name, o.Environment, args...)
	if err != nil {
		return nil, at, err
	}
	if err := p.WaitReady(startTimeout); err != nil {
		return p, at, err
	}
	raw, err := os.ReadFile(filepath.Join(o.Data, name, "endpoints.json"))
	if err == nil {
		err = json.Unmarshal(raw, &at)
	}
	return p, at, err
}

func (p *pair) status(ctx context.Context) (*adminpb.StatusResponse, error) {
	resp, err := p.shadowClient.Status(ctx, connect.NewRequest(&adminpb.StatusRequest{Link: dev.LinkName}))
	if err != nil {
		return nil, err
	}
	return resp.Msg, nil
}

func (p *pair) awaitLink(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, linkTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := p.status(ctx)
		if err == nil && s.State == "ACTIVE" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the link %s was not active after %s: %w", dev.LinkName, linkTimeout, errors.Join(err, ctx.Err()))
		case <-tick.C:
		}
	}
}

// failover is what `gnomon shadow failover a-to-b --yes` does.
func (p *pair) failover(ctx context.Context) (*adminpb.FailoverReport, error) {
	resp, err := p.shadowClient.Failover(ctx, connect.NewRequest(&adminpb.FailoverRequest{Link: dev.LinkName}))
	if err != nil {
		return nil, fmt.Errorf("fail over: %w", err)
	}
	return resp.Msg.Report, nil
}

// stop ends what still runs.
func (p *pair) stop() error {
	var errs []error
	for _, r := range []*process.Process{p.a, p.b} {
		if r == nil {
			continue
		}
		select {
		case <-r.Ended():
		default:
			errs = append(errs, r.Stop(stopTimeout))
		}
	}
	return errors.Join(errs...)
}
