package kafkaapi

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListConfigResources (key 74), versions 0 and 1: the names of what has settings.
//
// Topics and brokers. Of client metrics, loggers of brokers and groups there are none with settings. Version 0 is about client
// metrics only (KIP-1142).
func listConfigResourcesAPI() *api {
	return &api{
		key: int16(kmsg.ListConfigResources), name: "ListConfigResources", min: 0, max: 1, family: familyAdmin,
		new: func() kmsg.Request { return kmsg.NewPtrListConfigResourcesRequest() }, shape: shapeListConfigResources, handle: listConfigResources,
	}
}

// listableResources are the types that Kafka lists.
var listableResources = []kmsg.ConfigResourceType{
	kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger,
	kmsg.ConfigResourceTypeClientMetrics, kmsg.ConfigResourceTypeGroupConfig,
}

func listConfigResources(ctx context.Context, q *request) answer {
	req := q.body.(*kmsg.ListConfigResourcesRequest)
	resp := req.ResponseKind().(*kmsg.ListConfigResourcesResponse)
	if q.version == 0 {
		return message{resp}
	}
	for _, kind := range req.ResourceTypes {
		if !slices.Contains(listableResources, kmsg.ConfigResourceType(kind)) {
			resp.ErrorCode = q.code(fmt.Errorf("resources of type %d: %w", kind, kerr.UnsupportedVersion))
			return message{resp}
		}
	}
	if err := q.lookup(ctx).refresh(); err != nil {
		resp.ErrorCode = q.code(err)
		return message{resp}
	}
	add := func(kind kmsg.ConfigResourceType, name string) {
		r := kmsg.NewListConfigResourcesResponseConfigResource()
		r.Name, r.Type = name, int8(kind)
		resp.ConfigResources = append(resp.ConfigResources, r)
	}
	wants := func(kind kmsg.ConfigResourceType) bool {
		return len(req.ResourceTypes) == 0 || slices.Contains(req.ResourceTypes, int8(kind))
	}
	if wants(kmsg.ConfigResourceTypeTopic) {
		for _, t := range q.server.deps.Catalog.Topics() {
			add(kmsg.ConfigResourceTypeTopic, t.Name)
		}
	}
	if wants(kmsg.ConfigResourceTypeBroker) {
		for _, b := range q.server.deps.Catalog.Cluster().Brokers {
			add(kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(b.NodeID)))
		}
	}
	return message{resp}
}
