package dev

import (
	"context"
	"net/http"
	"path/filepath"
	"time"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/namefilter"
	"github.com/gnomon-stream/gnomon/internal/region"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/adminpb/adminpbconnect"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

const (
	linkRetry = 200 * time.Millisecond
	linkWait  = 10 * time.Second
)

// ensureLink creates the link once in the life of a data directory: one that was deleted stays deleted.
func (o *Options) ensureLink(ctx context.Context, x *one) error {
	marker := filepath.Join(o.dir("b"), "link-created.json")
	client := adminpbconnect.NewShadowServiceClient(http.DefaultClient, x.region.Endpoints().Admin)
	for ctx.Err() == nil && !exists(marker) {
		created, err := o.createLink(ctx, client)
		if err == nil && created {
			return writeJSON(marker, map[string]string{"link": LinkName})
		}
		if err != nil {
			o.Logger.Debug("create the link", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(linkRetry):
		}
	}
	return nil
}

func (o *Options) createLink(ctx context.Context, client adminpbconnect.ShadowServiceClient) (bool, error) {
	list, err := client.List(ctx, connect.NewRequest(&adminpb.ListRequest{}))
	if err != nil {
		return false, err
	}
	for _, l := range list.Msg.Links {
		if l.Link == LinkName {
			return true, nil // made by a process that died before it wrote the marker
		}
	}
	var a region.Endpoints
	if err := readJSON(o.endpointsFile("a"), &a); err != nil {
		return false, err // region a was not started yet
	}
	resp, err := client.Create(ctx, connect.NewRequest(&adminpb.CreateRequest{Config: &metalogpb.LinkConfig{
		Name: LinkName, Coordinators: []string{a.Admin}, EtcdEndpoints: a.Etcd, Bucket: a.Bucket,
		TopicFilters:   []*metalogpb.Filter{{PatternType: namefilter.Literal, FilterType: namefilter.Include, Name: namefilter.Wildcard}},
		OnTopicDeleted: "DELETE", OnTopicRecreated: "FOLLOW",
	}}))
	if err != nil {
		return false, err
	}
	return resp.Msg.Created, nil
}

// awaitLink gives the link a moment, so that what is announced can be tried at once.
func (o *Options) awaitLink(ctx context.Context) {
	deadline := time.Now().Add(linkWait)
	for ctx.Err() == nil && time.Now().Before(deadline) && !exists(filepath.Join(o.dir("b"), "link-created.json")) {
		time.Sleep(linkPoll)
	}
}

const linkPoll = 20 * time.Millisecond
