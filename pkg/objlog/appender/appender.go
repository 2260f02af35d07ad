package appender

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/trace"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/hedge"
)

// Batch is one record batch to append. Bytes are read until done is called, never written.
type Batch struct {
	Topic     base.TopicID
	Partition int32
	Header    batch.Header
	Bytes     []byte
}

// Result is what became of a Batch. Err is nil, wraps a *kerr.Error of the sequencer, or a sentinel of base.
type Result struct {
	Err        error
	BaseOffset base.Offset
	LogStart   base.Offset
}

// Committer is the coordinator, as far as the appender needs it.
type Committer interface {
	// OpenSession opens a writer session and fences those that this agent had before.
	OpenSession(ctx context.Context) (base.SessionID, error)
	// CommitAsync enqueues in the order of the calls; done is called once, from any goroutine.
	CommitAsync(ctx context.Context, req *metalogpb.CommitRequest, done func(*metalogpb.CommitResult, error))
}

// Config of an Appender. Zero values mean the defaults, which are the profile `latency`.
type Config struct {
	Cluster         base.ClusterID
	FlushBytes      int64         // flush at; 8 MiB
	FlushPartitions int           // flush at; 1,000
	FlushBatches    int           // flush at; 4,000, so that the event of a commit stays small
	FlushInterval   time.Duration // flush when the oldest request has waited so long; 50 ms
	// FlushMin is how long the oldest request waits at least when fewer than EagerPuts uploads are under way; 2 ms. When
	// no flush is under way at all, none waits, unless FlushMin is FlushInterval, as in the profile `cost`: there each PUT
	// costs money, and the interval alone bounds how many there are.
	FlushMin       time.Duration
	EagerPuts      int           // 2
	PutsInFlight   int           // 8
	BufferBytes    int64         // of requests held, what is held about them included; 128 MiB
	ProduceTimeout time.Duration // after which a request fails with a retriable error; 30 s
	// Hedge says when an object is stored a second time, under a number of its own, as its first PUT takes unusually long: for stores on a
	// network; nil means never.
	Hedge *hedge.Policy
}

// CostProfile is for stores that bill by the request: a few PUTs a second an agent.
func CostProfile() Config {
	return Config{FlushInterval: 250 * time.Millisecond, FlushMin: 250 * time.Millisecond}
}

func (c Config) withDefaults() Config {
	c.FlushBytes = cmp.Or(c.FlushBytes, 8<<20)
	c.FlushPartitions = cmp.Or(c.FlushPartitions, 1000)
	c.FlushBatches = cmp.Or(c.FlushBatches, 4000)
	c.FlushInterval = cmp.Or(c.FlushInterval, 50*time.Millisecond)
	c.FlushMin = cmp.Or(c.FlushMin, 2*time.Millisecond)
	c.EagerPuts = cmp.Or(c.EagerPuts, 2)
	c.PutsInFlight = cmp.Or(c.PutsInFlight, 8)
	c.BufferBytes = cmp.Or(c.BufferBytes, 128<<20)
	c.ProduceTimeout = cmp.Or(c.ProduceTimeout, 30*time.Second)
	return c
}

// Deps of an Appender.
type Deps struct {
	Store      objstore.Store
	Committer  Committer
	Logger     *slog.Logger // nil means none
	Now        func() time.Time
	Registerer prometheus.Registerer // nil means no metrics
	Trace      *trace.Tracer         // nil means none
	Hedges     *hedge.Metrics        // nil means none
	// Keep copies what is about to be stored of a partition, if somebody here will read it at once; else it returns nil. nil means never.
	Keep func(tp base.TopicPartition, batches objstore.Payload) Kept
}

// Kept is a copy of an extent. It ends by one call: of Stored before the extent is committed, or of Drop.
type Kept interface {
	Stored(object base.ObjectID, position int64)
	Drop()
}

// Appender is the write path of one agent.
type Appender struct {
	cfg     Config
	deps    Deps
	metrics *metrics
	budget  *semaphore.Weighted
	held    atomic.Int64 // of the budget, for metrics
	in      chan *request
	events  *mailbox
	stopped chan struct{}
}

// request is one Append.
type request struct {
	batches []Batch
	done    func([]Result)
	bytes   int64
	weight  int64 // of the budget
	arrived time.Time
	note    *trace.Note // says which object it is in, when tracing is on
	refused bool        // see Refuse: it is noted, and nothing else
}

const (
	requestsQueued = 1024
	// requestBatchesMax bounds the commit of a flush that is one request: with it the event stays below the 900 KiB that
	// fit an entry of the metalog, even if each batch is of another topic.
	requestBatchesMax = 6000
	// batchOverhead is what a batch is counted for in the buffer beyond its bytes.
	batchOverhead = 256
)

// New returns an appender that does nothing until Run.
func New(cfg Config, deps Deps) *Appender {
	cfg = cfg.withDefaults()
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	return &Appender{
		cfg: cfg, deps: deps, metrics: newMetrics(deps.Registerer, deps.Logger), budget: semaphore.NewWeighted(cfg.BufferBytes),
		in: make(chan *request, requestsQueued), events: newMailbox(), stopped: make(chan struct{}),
	}
}

// Append takes batches over and returns once they are buffered. It blocks while the buffer is full, until ctx ends; the
// batches then fail with base.ErrUnavailable. More than 6,000 batches fail with base.ErrTooLarge. done is called exactly once, with a result a batch, and must not block.
func (a *Appender) Append(ctx context.Context, batches []Batch, done func([]Result)) {
	if len(batches) == 0 {
		done(nil)
		return
	}
	r := &request{batches: batches, done: done, arrived: a.deps.Now(), note: a.noteOf(ctx)}
	for i := range batches {
		r.bytes += int64(len(batches[i].Bytes))
	}
	if len(batches) > requestBatchesMax {
		a.finish(r, fmt.Errorf("a request of %d batches, at most %d are taken: %w", len(batches), requestBatchesMax, base.ErrTooLarge))
		return
	}
	r.weight = min(r.bytes+int64(len(batches))*batchOverhead, a.cfg.BufferBytes)
	if err := a.budget.Acquire(ctx, r.weight); err != nil {
		r.weight = 0 // nothing was taken
		a.finish(r, fmt.Errorf("write buffer is full: %w: %w", base.ErrUnavailable, err))
		return
	}
	a.held.Add(r.weight)
	select {
	case a.in <- r:
		a.late()
	case <-ctx.Done():
		a.finish(r, fmt.Errorf("write buffer is full: %w: %w", base.ErrUnavailable, context.Cause(ctx)))
	case <-a.stopped:
		a.finish(r, errStops)
	}
}

// Refuse notes batches, of which only the headers are read, that were refused before they came here: what their producers
// have in flight behind them fails retriably until they have come again (P4). It keeps its place among the Appends of its
// caller.
func (a *Appender) Refuse(ctx context.Context, batches []Batch) {
	r := &request{batches: batches, done: func([]Result) {}, refused: true}
	select {
	case a.in <- r:
		a.late()
	case <-ctx.Done():
	case <-a.stopped:
	}
}

// late answers requests that came in while the loop stopped. The race, as a walk: (1) stop closes stopped and empties the
// queue. (2) An Append that saw room in the queue before sends its request, and nobody will receive it. (3) As stopped
// was closed before, that Append sees it here, and empties the queue itself. Several may do so at a time.
func (a *Appender) late() {
	select {
	case <-a.stopped:
	default:
		return
	}
	for {
		select {
		case r := <-a.in:
			a.finish(r, errStops)
		default:
			return
		}
	}
}

var errStops = fmt.Errorf("the agent stops: %w", base.ErrUnavailable)

// finish answers a request whose batches all failed alike.
func (a *Appender) finish(r *request, err error) {
	results := make([]Result, len(r.batches))
	for i := range results {
		results[i] = Result{Err: err, BaseOffset: -1, LogStart: -1}
	}
	a.answer(r, results)
}

func (a *Appender) answer(r *request, results []Result) {
	r.done(results)
	a.held.Add(-r.weight)
	a.budget.Release(r.weight)
}
