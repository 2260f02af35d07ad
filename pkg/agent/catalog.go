package agent

import (
	"context"
	"hash/fnv"
	"sync/atomic"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// catalog implements kafkaapi.Catalog.
type catalog struct {
	view    *View
	self    kafkaapi.Broker
	fenced  func() bool
	brokers atomic.Pointer[[]kafkaapi.Broker]
}

// SetAgents takes over the list of registered agents; an empty one leaves this agent alone in it.
func (c *catalog) SetAgents(agents []*metalogpb.Agent) {
	brokers := make([]kafkaapi.Broker, 0, len(agents))
	for _, a := range agents {
		brokers = append(brokers, kafkaapi.Broker{NodeID: a.NodeId, Host: a.Host, Port: a.Port, Rack: a.Zone})
	}
	if len(brokers) == 0 {
		brokers = []kafkaapi.Broker{c.self}
	}
	c.brokers.Store(&brokers)
}

func (c *catalog) Cluster() kafkaapi.Cluster {
	brokers := *c.brokers.Load()
	return kafkaapi.Cluster{ID: c.view.State().Region().KafkaClusterID, ControllerID: brokers[0].NodeID, Brokers: brokers}
}

func (c *catalog) topic(st *state.State, t state.Shadowed) kafkaapi.Topic {
	info := t.Info()
	return kafkaapi.Topic{
		ID: info.ID, Name: info.Name, Partitions: t.Partitions(), LeaderEpoch: st.Epoch(t),
		ReplicationFactor: info.ReplicationFactor, Configs: info.Configs, Writable: t.Writable() && !c.fenced(),
	}
}

func (c *catalog) Topics() []kafkaapi.Topic {
	st := c.view.State()
	shown := st.ShowAll()
	out := make([]kafkaapi.Topic, 0, len(shown))
	for _, t := range shown {
		out = append(out, c.topic(st, t))
	}
	return out
}

func (c *catalog) TopicByName(name string) (kafkaapi.Topic, bool) {
	st := c.view.State()
	t, ok := st.ShowByName(name)
	if !ok {
		return kafkaapi.Topic{}, false
	}
	return c.topic(st, t), true
}

func (c *catalog) TopicByID(id base.TopicID) (kafkaapi.Topic, bool) {
	st := c.view.State()
	t, ok := st.Show(id)
	if !ok {
		return kafkaapi.Topic{}, false
	}
	return c.topic(st, t), true
}

// PartitionBytes implements kafkaapi.Catalog.
func (c *catalog) PartitionBytes(tp base.TopicPartition) int64 {
	t, ok := c.view.State().Show(tp.Topic)
	if !ok {
		return 0
	}
	p := t.Partition(tp.Partition)
	if p == nil {
		return 0
	}
	var size int64
	for _, sp := range p.Spans {
		size += sp.Length
	}
	return size
}

// Leader steers the clients of a partition to one agent by rendezvous hashing: a change of the list of agents moves only
// the partitions of the agent that came or went, and a hot tail is read from the bucket once.
func (c *catalog) Leader(id base.TopicID, partition int32) int32 {
	brokers := *c.brokers.Load()
	best, score := brokers[0].NodeID, uint64(0)
	for _, b := range brokers {
		h := fnv.New64a()
		var key [24]byte
		copy(key[:16], id[:])
		putInt32(key[16:20], partition)
		putInt32(key[20:24], b.NodeID)
		_, _ = h.Write(key[:])
		if s := mix(h.Sum64()); s >= score {
			best, score = b.NodeID, s
		}
	}
	return best
}

func putInt32(dst []byte, v int32) {
	dst[0], dst[1], dst[2], dst[3] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
}

// mix spreads FNV's weak high bits (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

func (c *catalog) Refresh(ctx context.Context) error { return c.view.Refresh(ctx) }
