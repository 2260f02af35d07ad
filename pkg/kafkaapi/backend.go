package kafkaapi

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
)

// Broker is an agent as Kafka clients see it.
type Broker struct {
	NodeID int32
	Host   string
	Port   int32
	Rack   string
}

// Cluster is what Metadata and DescribeCluster say of the cluster.
type Cluster struct {
	ID           string // Kafka cluster id: one for both regions of a pair
	ControllerID int32
	Brokers      []Broker // sorted by node id; never empty
}

// Topic is a topic as Kafka clients see it. Values are snapshots and are not changed by anybody.
type Topic struct {
	ID                base.TopicID
	Name              string
	Partitions        int32
	LeaderEpoch       base.Epoch
	ReplicationFactor int32
	Configs           map[string]string // only what differs from the defaults
	// Writable is false at a standby and at a fenced primary: Produce gets NOT_LEADER_OR_FOLLOWER.
	Writable bool
}

// Catalog answers questions about the cluster from the agent's view. No method but Refresh does I/O.
type Catalog interface {
	Cluster() Cluster
	Topics() []Topic // all visible ones, sorted by name
	TopicByName(name string) (Topic, bool)
	TopicByID(id base.TopicID) (Topic, bool)
	// Leader is the node id of the agent that clients are steered to for a partition.
	Leader(id base.TopicID, partition int32) int32
	// PartitionBytes is the size of what a partition keeps, as it is stored; 0 for one that is not known.
	PartitionBytes(tp base.TopicPartition) int64
	// Refresh brings the view up to the head of the metalog as it is when Refresh is called (read index): call it before
	// an answer that a lag would falsify. base.ErrUnavailable when the head cannot be learnt.
	Refresh(ctx context.Context) error
}

// ProduceBatch is one record batch of a Produce request. Bytes stay as the client sent them.
type ProduceBatch struct {
	Topic     base.TopicID
	Partition int32
	Header    batch.Header
	Bytes     []byte
}

// ProduceResult is the answer to one ProduceBatch. Err is nil, or wraps a *kerr.Error, or a sentinel of base.
type ProduceResult struct {
	Err           error
	BaseOffset    base.Offset
	LogStart      base.Offset
	LogAppendTime int64 // Unix milliseconds, -1 with CreateTime
}

// Appender makes batches durable.
type Appender interface {
	// Append takes the batches over in the order of the calls of one connection and returns as soon as they are
	// buffered; it blocks only for back-pressure, until ctx ends. done is called exactly once, from any goroutine, with
	// a result a batch, in order; it must not block. The batches' bytes are read until done is called, not after.
	Append(ctx context.Context, batches []ProduceBatch, done func([]ProduceResult))

	// Refuse tells of batches that were refused, retriably, before they came to Append; their Bytes are not set. What their
	// producers have in flight behind them on the connection must not be written before they come again. It keeps its
	// place among the calls of Append.
	Refuse(ctx context.Context, batches []ProduceBatch)
}

// ReadRequest asks for batches of one partition from Offset on.
type ReadRequest struct {
	Topic          base.TopicID
	Partition      int32
	Offset         base.Offset
	MaxBytes       int
	AtLeastOne     bool // return the first batch even if it is above MaxBytes (KIP-74)
	ReadCommitted  bool
	CurrentEpoch   base.Epoch // -1 when the client gave none
	LastFetchEpoch base.Epoch // -1 when the client gave none
	Cold           func()     // called, if set, before something is read that is not at hand
}

// AbortedTxn is an aborted transaction as a Fetch response lists it.
type AbortedTxn struct {
	ProducerID  int64
	FirstOffset base.Offset
}

// ReadResult is what a read found. Batches are complete record batches, with base offset and leader epoch patched,
// ready for the socket; they belong to the cache and must not be written to, nor looked at after Release.
type ReadResult struct {
	Batches       [][]byte
	Bytes         int
	HighWatermark base.Offset
	LastStable    base.Offset
	LogStart      base.Offset
	Aborted       []AbortedTxn
	// Release ends the hold on the memory of Batches, which counts for the cache until then; nil when nothing is held.
	Release func()
	// Diverging is set when LastFetchEpoch and Offset contradict the partition's history (KIP-595 style truncation).
	Diverging *EpochEnd
}

// EpochEnd is the end offset of the largest epoch that is not above the one asked for (KIP-101, KIP-320).
type EpochEnd struct {
	Epoch base.Epoch
	End   base.Offset
}

// OffsetAt is an answer of ListOffsets.
type OffsetAt struct {
	Offset    base.Offset // -1 when no record is that late
	Timestamp int64       // -1 for the special timestamps
	Epoch     base.Epoch
}

// Reader reads partitions. Errors wrap a *kerr.Error or a sentinel of base.
type Reader interface {
	// Read returns what is there now, without waiting for more. An offset beyond the end is checked against the head of
	// the metalog before it is out of range.
	Read(ctx context.Context, req ReadRequest) (ReadResult, error)
	// ReadAhead begins to bring what these requests ask for, up to maxBytes altogether, and what the same partitions have after
	// it, and does not wait for it.
	ReadAhead(reqs []ReadRequest, maxBytes int)
	// Changed returns a channel that is closed when any of the partitions changes after the call (new records, role,
	// deletion), and a function that releases the subscription.
	Changed(partitions []base.TopicPartition) (<-chan struct{}, func())
	// ListOffset finds the offset for a timestamp, Unix milliseconds, or Kafka's -1 (latest), -2 (earliest), -3 (max
	// timestamp), -4 (earliest local), -5 (latest tiered). Latest is read after Refresh.
	ListOffset(ctx context.Context, tp base.TopicPartition, timestamp int64, readCommitted bool, currentEpoch base.Epoch) (OffsetAt, error)
	// EpochEnd answers OffsetForLeaderEpoch.
	EpochEnd(ctx context.Context, tp base.TopicPartition, epoch, currentEpoch base.Epoch) (EpochEnd, error)
}

// Client says who asks.
type Client struct {
	ID   string // client.id
	Host string // remote address without port
	Zone string // from client.rack or a hint in client.id
}

// Controller is the coordinator leader, which owns topics, groups and producer ids. Requests travel to it as Kafka
// messages, as a Kafka broker forwards to its controller.
type Controller interface {
	// Forward has the leader answer req (CreateTopics, DeleteTopics, InitProducerId, the group APIs). The answer is
	// released only once the log confirmed the seq that it was computed at. base.ErrUnavailable and base.ErrNotLeader
	// mean: no leader just now.
	Forward(ctx context.Context, client Client, req kmsg.Request) (kmsg.Response, error)
}
