// Package memregion is a region in one process without disk or etcd: a real coordinator and a real agent on a metalog and a
// bucket in memory, for tests that count requests, inject faults, or look at answers byte by byte.
//
// It is for test files only.
package memregion

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/agent"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/appender"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	bucket "github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
)

// patience is how long anything may take before a test fails.
const patience = 15 * time.Second

// Options of a region; zero values do.
type Options struct {
	Number base.RegionNumber    // 0 means 1
	Data   objstore.Store       // where the agent keeps segments; nil means the region's bucket
	Fault  memory.Fault         // of the coordinator's calls to the metalog
	Wrap   func(Coord) Coord    // what the agent sees of the coordinator
	Now    func() time.Time     // the coordinator's clock; nil means time.Now
	Peer   coordinator.Peer     // the other region, if any
	Setup  func(*memory.Server) // done before the coordinator starts
	Limits coordinator.Limits
	// AutoCreate is how many partitions topics get that Metadata creates; 0: it creates none.
	AutoCreate int32
}

// Coord is what the agent sees of its coordinator.
type Coord = agent.Coordinator

// Region is one region at work.
type Region struct {
	t       testing.TB
	Number  base.RegionNumber
	Cluster base.ClusterID
	Server  *memory.Server
	Bucket  *bucket.Store
	Coord   *coordinator.Coordinator
	Agent   *agent.Agent
	Addr    string // of the agent, for Kafka clients
}

// Start starts a region and ends it with the test.
func Start(t testing.TB, o Options) *Region {
	t.Helper()
	if o.Number == 0 {
		o.Number = 1
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &Region{t: t, Number: o.Number, Cluster: base.ClusterID{byte(o.Number)}, Server: memory.NewServer(), Bucket: bucket.New()}
	if o.Setup != nil {
		o.Setup(r.Server)
	}
	if o.Data == nil {
		o.Data = r.Bucket
	}
	log := r.Server.Open(o.Fault)
	r.Coord = coordinator.New(coordinator.Config{
		ID: "coordinator", Log: log, Objects: objstore.AsObjects(r.Bucket), Now: o.Now, Logger: slog.New(slog.DiscardHandler), Peer: o.Peer,
		Identity:  coordinator.Identity{ClusterID: r.Cluster, KafkaClusterID: "pair", Region: o.Number, RegionName: fmt.Sprint(o.Number)},
		PeerEvery: 20 * time.Millisecond, Limits: o.Limits,
	})
	r.run("coordinator", r.Coord.Run)
	r.startAgent(o, registry{log})
	return r
}

func (r *Region) startAgent(o Options, log agent.Registry) {
	r.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	at := listener.Addr().(*net.TCPAddr)
	r.Addr = at.String()
	var coord Coord = local{r.Coord}
	if o.Wrap != nil {
		coord = o.Wrap(coord)
	}
	node := int32(o.Number-1)*1000 + 1
	config := kafkaapi.DefaultConfig(node)
	config.AutoCreateTopics, config.DefaultPartitions = o.AutoCreate > 0, o.AutoCreate
	r.Agent, err = agent.New(agent.Config{
		Kafka: config, Advertise: kafkaapi.Broker{NodeID: node, Host: "127.0.0.1", Port: int32(at.Port)}, Listener: listener,
		Cluster: r.Cluster, Coordinator: coord, Registry: log, Store: o.Data, Objects: objstore.AsObjects(r.Bucket),
		Appender: appender.Config{FlushInterval: time.Millisecond, ProduceTimeout: 3 * time.Second},
		Logger:   slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.run("agent", r.Agent.Run)
	r.Until("the agent serves", func() bool { return r.Agent.View().Replica().Applied() > 0 })
}

// run runs a part of the region until the test ends.
func (r *Region) run(what string, fn func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- fn(ctx) }()
	r.t.Cleanup(func() {
		stop()
		select {
		case err := <-ended:
			if err != nil && !errors.Is(err, context.Canceled) {
				r.t.Logf("%s: %v", what, err)
			}
		case <-time.After(patience):
			r.t.Errorf("%s does not end", what)
		}
	})
}

// Until waits for something.
func (r *Region) Until(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// Client is a Kafka client of the agent.
func (r *Region) Client(opts ...kgo.Opt) *kgo.Client {
	r.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(r.Addr)}, opts...)...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(cl.Close)
	return cl
}

// Ask sends one request to the agent as it is, without what a client would ask for first.
func (r *Region) Ask(cl *kgo.Client, req kmsg.Request) kmsg.Response {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	resp, err := cl.SeedBrokers()[0].Request(ctx, req)
	if err != nil {
		r.t.Fatalf("%T: %v", req, err)
	}
	return resp
}

// CreateTopic creates a topic, and waits until the agent knows it.
func (r *Region) CreateTopic(cl *kgo.Client, name string, partitions int32) base.TopicID {
	r.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, -1
	req.Topics = append(req.Topics, topic)
	resp := r.Ask(cl, req).(*kmsg.CreateTopicsResponse)
	if resp.Topics[0].ErrorCode != 0 {
		r.t.Fatalf("create topic %s: %v", name, resp.Topics[0])
	}
	r.Until("the agent knows the topic", func() bool { return r.Agent.View().State().TopicByName(name) != nil })
	return resp.Topics[0].TopicID
}

// CaughtUp waits until the agent's view holds all of the log.
func (r *Region) CaughtUp() {
	r.t.Helper()
	pos, err := r.Server.Open(nil).Position(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	r.Until("the view has caught up", func() bool { return r.Agent.View().Replica().Applied() >= pos.Head.Seq })
}

// Emit appends events through the leader.
func (r *Region) Emit(events ...*metalogpb.Event) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := r.Coord.Do(ctx, func(tx *coordinator.Tx) error {
		for _, ev := range events {
			if err := tx.Emit(ev); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.CaughtUp()
}

// With lends the coordinator's state.
func (r *Region) With(fn func(*state.State)) { r.Coord.Replica().With(fn) }

// registry is the list of agents as the agent of the same process sees it.
type registry struct{ *memory.Log }

func (r registry) Register(ctx context.Context, agent *metalogpb.Agent) error {
	return r.Log.Register(ctx, agent, true, func() {})
}

// local is the coordinator as the agent of the same process sees it.
type local struct{ *coordinator.Coordinator }

func (l local) Fenced() bool { return l.Role() == coordinator.Fenced }

func (l local) Forward(ctx context.Context, client kafkaapi.Client, req kmsg.Request) (kmsg.Response, error) {
	return l.Coordinator.Forward(ctx, coordinator.Client{ID: client.ID, Host: client.Host}, req)
}
