package kafkaapi

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeCluster (key 60), versions 0 to 2.
//
// Lists the agents as brokers; none is ever fenced. Whoever asks for controllers is told that these are brokers
// (MISMATCHED_ENDPOINT_TYPE), as by a Kafka broker.
func describeClusterAPI() *api {
	return &api{
		key: int16(kmsg.DescribeCluster), name: "DescribeCluster", min: 0, max: 2, family: familyAdmin,
		new: func() kmsg.Request { return kmsg.NewPtrDescribeClusterRequest() }, shape: shapeDescribeCluster, handle: describeCluster,
	}
}

// Endpoint types of KIP-919.
const (
	endpointBrokers     = 1
	endpointControllers = 2
)

func describeCluster(_ context.Context, q *request) answer {
	req := q.body.(*kmsg.DescribeClusterRequest)
	resp := req.ResponseKind().(*kmsg.DescribeClusterResponse)
	var err error
	switch req.EndpointType {
	case endpointBrokers:
	case endpointControllers:
		err = fmt.Errorf("this is a broker: %w", kerr.MismatchedEndpointType)
	default:
		err = fmt.Errorf("endpoint type %d: %w", req.EndpointType, kerr.UnsupportedEndpointType)
	}
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = q.code(err), kmsg.StringPtr(err.Error())
		return message{resp}
	}
	cluster := q.server.deps.Catalog.Cluster()
	resp.ClusterID, resp.ControllerID = cluster.ID, cluster.ControllerID
	for _, b := range cluster.Brokers {
		cb := kmsg.NewDescribeClusterResponseBroker()
		cb.NodeID, cb.Host, cb.Port, cb.Rack = b.NodeID, b.Host, b.Port, rack(b)
		resp.Brokers = append(resp.Brokers, cb)
	}
	if req.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = clusterOperations
	}
	return message{resp}
}
