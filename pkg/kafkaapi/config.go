package kafkaapi

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gnomon-stream/gnomon/internal/trace"
)

// Config is what a Server needs to know besides its Deps.
type Config struct {
	// NodeID is this agent's node id as Metadata gives it; at least 1.
	NodeID int32
	// AutoCreateTopics lets Metadata create topics that a client names and allows to be created.
	AutoCreateTopics bool
	// DefaultPartitions is how many partitions a topic gets that is created so; at least 1.
	DefaultPartitions int32
	// MaxMessageBytes is the largest batch, its header included, of topics that do not set max.message.bytes. 0 stands for
	// Kafka's 1,048,588.
	MaxMessageBytes int
	// Limits bound what clients can make the server hold. Zero fields get their defaults.
	Limits Limits
}

// DefaultConfig is Kafka's configuration, as far as there is one.
func DefaultConfig(nodeID int32) Config {
	return Config{NodeID: nodeID, AutoCreateTopics: true, DefaultPartitions: 1, MaxMessageBytes: maxMessageBytesDefault, Limits: DefaultLimits()}
}

// Validate tells what is wrong with the configuration.
func (c Config) Validate() error {
	switch {
	case c.NodeID < 1:
		return fmt.Errorf("node id %d: they start at 1", c.NodeID)
	case c.AutoCreateTopics && c.DefaultPartitions < 1:
		return fmt.Errorf("default partitions %d: a topic has at least one", c.DefaultPartitions)
	case c.MaxMessageBytes < 0 || c.MaxMessageBytes > math.MaxInt32:
		return fmt.Errorf("max message bytes %d: from 1 to %d, or 0 for the default", c.MaxMessageBytes, math.MaxInt32)
	}
	return c.Limits.validate()
}

// Limits bound a Server. A zero field stands for its default.
type Limits struct {
	Connections           int           // open connections; 10,000
	ConnectionsPerAddress int           // open connections from one address; 1,000
	RequestBytes          int           // one Produce request; 100 MiB
	ControlRequestBytes   int           // one request of any other API; 4 MiB
	RequestElements       int           // elements of all arrays of one request; 500,000
	InFlightRequests      int           // requests of one connection that are read and not yet answered; 64
	InFlightBytes         int           // their bytes; 64 MiB, though one request always passes
	BufferedBytes         int           // bytes of all requests of all connections; 256 MiB
	DecompressedBytes     int           // one batch decompressed, and what one Produce request's batches become, where records are looked into; 16 MiB
	FetchBytes            int           // records in one Fetch answer; 55 MiB, though one batch always passes
	Idle                  time.Duration // a connection without a request in flight is closed after; 10 min
	FrameRead             time.Duration // between two steps (at most 1 MiB at first, then doubling) of a request; 30 s
	Write                 time.Duration // for one answer to leave; 2 min
	FetchWait             time.Duration // the longest that a Fetch may ask to wait; 5 min
	FetchRead             time.Duration // for the store to give what a Fetch asks for, before clients give the Fetch up; 10 s
	Forward               time.Duration // for the controller to answer, but JoinGroup and SyncGroup; 30 s
	ProduceMin            time.Duration // the shortest that a Produce may ask to wait for its acks; 1 s
	ProduceMax            time.Duration // the longest; 30 s
	Drain                 time.Duration // at shutdown, for produces in flight to settle; 10 s
}

// DefaultLimits are the defaults.
func DefaultLimits() Limits { return Limits{}.withDefaults() }

func (l Limits) withDefaults() Limits {
	const mib = 1 << 20
	l.Connections = cmp.Or(l.Connections, 10_000)
	l.ConnectionsPerAddress = cmp.Or(l.ConnectionsPerAddress, 1_000)
	l.RequestBytes = cmp.Or(l.RequestBytes, 100*mib)
	l.ControlRequestBytes = cmp.Or(l.ControlRequestBytes, 4*mib)
	l.RequestElements = cmp.Or(l.RequestElements, 500_000)
	l.InFlightRequests = cmp.Or(l.InFlightRequests, 64)
	l.InFlightBytes = cmp.Or(l.InFlightBytes, 64*mib)
	l.BufferedBytes = cmp.Or(l.BufferedBytes, 256*mib)
	l.DecompressedBytes = cmp.Or(l.DecompressedBytes, 16*mib)
	l.FetchBytes = cmp.Or(l.FetchBytes, 55*mib)
	l.Idle = cmp.Or(l.Idle, 10*time.Minute)
	l.FrameRead = cmp.Or(l.FrameRead, 30*time.Second)
	l.Write = cmp.Or(l.Write, 2*time.Minute)
	l.FetchWait = cmp.Or(l.FetchWait, 5*time.Minute)
	l.FetchRead = cmp.Or(l.FetchRead, 10*time.Second)
	l.Forward = cmp.Or(l.Forward, 30*time.Second)
	l.ProduceMin = cmp.Or(l.ProduceMin, time.Second)
	l.ProduceMax = cmp.Or(l.ProduceMax, 30*time.Second)
	l.Drain = cmp.Or(l.Drain, 10*time.Second)
	return l
}

func (l Limits) validate() error {
	l = l.withDefaults()
	for _, n := range []int{l.Connections, l.ConnectionsPerAddress, l.RequestBytes, l.ControlRequestBytes, l.RequestElements, l.InFlightRequests, l.InFlightBytes, l.BufferedBytes, l.DecompressedBytes, l.FetchBytes} {
		if n < 0 {
			return errors.New("a limit is negative")
		}
	}
	for _, d := range []time.Duration{l.Idle, l.FrameRead, l.Write, l.FetchWait, l.FetchRead, l.Forward, l.ProduceMin, l.ProduceMax, l.Drain} {
		if d < 0 {
			return errors.New("a limit in time is negative")
		}
	}
	if l.BufferedBytes < l.RequestBytes {
		return fmt.Errorf("buffered bytes %d: one request may have %d", l.BufferedBytes, l.RequestBytes)
	}
	return nil
}

// Deps are what a Server works with.
type Deps struct {
	Catalog    Catalog
	Appender   Appender
	Reader     Reader
	Controller Controller
	Logger     *slog.Logger          // nil: discards
	Registerer prometheus.Registerer // nil: metrics are counted but registered nowhere
	Clock      func() time.Time      // nil: time.Now
	Trace      *trace.Tracer         // nil: none
}

func (d Deps) withDefaults() Deps {
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Clock == nil {
		d.Clock = time.Now
	}
	return d
}
