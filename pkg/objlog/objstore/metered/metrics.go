package metered

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// Bucket says whose bucket a store is, from where its metrics are.
type Bucket int

// Buckets.
const (
	Own    Bucket = iota // the region's
	Source               // of a link's source: what is read there crosses regions
	bucketCount
)

var bucketNames = [bucketCount]string{"own", "source"}

// outcome is how a call ended.
type outcome int

const (
	ok outcome = iota
	exists
	notFound
	ambiguous
	unavailable
	canceled
	failed
	outcomeCount
)

var outcomeNames = [outcomeCount]string{"ok", "exists", "not_found", "ambiguous", "unavailable", "canceled", "error"}

// outcomeOf sorts an error. What the caller gave up is no fault of the store.
func outcomeOf(ctx context.Context, err error) outcome {
	switch {
	case err == nil:
		return ok
	case errors.Is(err, objstore.ErrExists):
		return exists
	case errors.Is(err, base.ErrNotFound):
		return notFound
	case errors.Is(ctx.Err(), context.Canceled):
		return canceled
	case errors.Is(err, objstore.ErrAmbiguous):
		return ambiguous
	case errors.Is(err, base.ErrUnavailable):
		return unavailable
	}
	return failed
}

// Metrics of the stores of one process.
type Metrics struct {
	now     func() time.Time
	prices  Prices
	buckets [bucketCount]bucketMetrics
}

type bucketMetrics struct {
	ops            [objstore.OpCount]opMetrics
	sent, received prometheus.Counter
	// cost of requests by class, and of bytes that leave the bucket.
	put, list, get, transfer prometheus.Counter
	perGiB                   float64 // of what is read
}

type opMetrics struct {
	ended [outcomeCount]prometheus.Counter
	took  prometheus.Observer
}

// NewMetrics registers the metrics with reg; a nil reg leaves them unregistered.
func NewMetrics(reg prometheus.Registerer, prices Prices, now func() time.Time) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "gnomon", Subsystem: "store", Name: name, Help: help}, labels)
	}
	requests := counter("requests_total", "Calls of the object store.", "bucket", "op", "outcome")
	bytes := counter("bytes_total", "Bytes of objects that were sent to the store, or received from it.", "bucket", "direction")
	cost := counter("cost_dollars_total", "What the calls cost by the price table, estimated.", "bucket", "for")
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "gnomon", Subsystem: "store", Name: "request_duration_seconds", Help: "Time of a call of the object store.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
	}, []string{"bucket", "op"})
	m := &Metrics{now: now, prices: prices}
	for b := range bucketCount {
		name, x := bucketNames[b], &m.buckets[b]
		for op := range objstore.OpCount {
			x.ops[op].took = took.WithLabelValues(name, op.String())
			for o := range outcomeCount {
				x.ops[op].ended[o] = requests.WithLabelValues(name, op.String(), outcomeNames[o])
			}
		}
		x.sent, x.received = bytes.WithLabelValues(name, "sent"), bytes.WithLabelValues(name, "received")
		x.put, x.list, x.get = cost.WithLabelValues(name, "put"), cost.WithLabelValues(name, "list"), cost.WithLabelValues(name, "get")
		x.transfer = cost.WithLabelValues(name, "transfer")
	}
	m.buckets[Own].perGiB, m.buckets[Source].perGiB = prices.Read, prices.CrossRegion
	if reg != nil {
		reg.MustRegister(requests, bytes, cost, took)
	}
	return m
}

const (
	gib = 1 << 30
	// listPage is how many keys of a list are one request.
	listPage = 1000
)

// note enters a call that ended. objects is how many keys a list gave.
func (m *Metrics) note(ctx context.Context, of Bucket, op objstore.Op, start time.Time, err error, sent, received int64, objects int) {
	b := &m.buckets[of]
	end := outcomeOf(ctx, err)
	b.ops[op].ended[end].Inc()
	b.ops[op].took.Observe(m.now().Sub(start).Seconds())
	if err == nil { // what of a call that failed went over the wire is not known
		b.sent.Add(float64(sent))
		b.received.Add(float64(received))
		b.transfer.Add(float64(received) / gib * b.perGiB)
	}
	if end == unavailable {
		return
	}
	switch op {
	case objstore.OpPut:
		b.put.Add(m.prices.Put / 1000)
	case objstore.OpList:
		b.list.Add(float64(1+max(objects-1, 0)/listPage) * m.prices.List / 1000)
	case objstore.OpGet, objstore.OpGetRange, objstore.OpHead:
		b.get.Add(m.prices.Get / 1000)
	case objstore.OpDelete: // free
	}
}
