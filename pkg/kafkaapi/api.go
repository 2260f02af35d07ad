package kafkaapi

import (
	"context"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Keys that more than one file names.
const (
	keyProduce     = int16(kmsg.Produce)
	keyFetch       = int16(kmsg.Fetch)
	keyMetadata    = int16(kmsg.Metadata)
	keyAPIVersions = int16(kmsg.ApiVersions)
)

// api is one line of the dispatch table.
type api struct {
	key      int16
	name     string
	min, max int16 // versions, as advertised
	family   family
	// refuseBelow: versions from min up to below it are advertised and answered UNSUPPORTED_VERSION (KAFKA-18659).
	refuseBelow int16
	// waits tells that the handler may wait for others for long: it gives up when its client is gone.
	waits bool
	new   func() kmsg.Request
	shape func(*walker)
	// handle answers a request; start begins to, and the answer comes through finish. One of the two is set.
	handle func(ctx context.Context, q *request) answer
	start  func(ctx context.Context, q *request, finish func(answer))
}

// apis is the dispatch table: one line for each API that is served.
func apis() []*api {
	return []*api{
		produceAPI(), fetchAPI(), listOffsetsAPI(), metadataAPI(),
		offsetCommitAPI(), offsetFetchAPI(), findCoordinatorAPI(),
		joinGroupAPI(), heartbeatAPI(), leaveGroupAPI(), syncGroupAPI(), describeGroupsAPI(), listGroupsAPI(),
		apiVersionsAPI(), createTopicsAPI(), deleteTopicsAPI(), deleteRecordsAPI(), initProducerIDAPI(), offsetForLeaderEpochAPI(),
		describeConfigsAPI(), alterConfigsAPI(), describeLogDirsAPI(), createPartitionsAPI(), deleteGroupsAPI(), electLeadersAPI(),
		incrementalAlterConfigsAPI(), alterPartitionReassignmentsAPI(), listPartitionReassignmentsAPI(), offsetDeleteAPI(), describeClusterAPI(),
		describeProducersAPI(), listConfigResourcesAPI(), describeTopicPartitionsAPI(),
	}
}

// APIVersions is the range of versions of one API that a Server advertises.
type APIVersions struct {
	Key      int16
	Name     string
	Min, Max int16
}

// Supported lists what a Server serves, sorted by key: the table that drives dispatch and ApiVersions.
func Supported() []APIVersions {
	var out []APIVersions
	for _, a := range apis() {
		out = append(out, APIVersions{Key: a.key, Name: a.name, Min: a.min, Max: a.max})
	}
	return out
}

// request is a decoded request on its way through a handler.
type request struct {
	server  *Server
	api     *api
	version int16
	client  Client
	body    kmsg.Request
}

// answer is what can be written to a client.
type answer interface {
	// encode appends the body of the response to head, which holds its header, and may go on in further buffers.
	encode(head []byte) net.Buffers
}

// holder is an answer that holds memory of the cache until it is written, or will not be.
type holder interface{ release() }

// message is an answer that kmsg encodes.
type message struct{ kmsg.Response }

func (m message) encode(head []byte) net.Buffers { return net.Buffers{m.AppendTo(head)} }

// silence is the answer to a request that wants none; hangUp closes the connection, the only way to report an error.
type silence struct{ hangUp bool }

func (silence) encode([]byte) net.Buffers { return nil }
