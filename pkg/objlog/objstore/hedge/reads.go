package hedge

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// bufferBytes is what second reads may hold at a time, beyond what their callers reckon with. A read that does not fit is not hedged.
const bufferBytes = 16 << 20

// Reads is a store whose ranged reads are hedged. All else goes to the inner store as it is.
type Reads struct {
	objstore.Store
	policy  *Policy
	buffers *semaphore.Weighted
	metrics *Metrics
}

// NewReads wraps inner; m may be nil.
func NewReads(inner objstore.Store, p *Policy, m *Metrics) *Reads {
	return &Reads{Store: inner, policy: p, buffers: semaphore.NewWeighted(bufferBytes), metrics: m}
}

// String names the inner store.
func (s *Reads) String() string { return objstore.Describe(s.Store) }

// GetRange implements objstore.Store. The second read has a buffer of its own, as the first may write into dst until it has returned.
func (s *Reads) GetRange(ctx context.Context, key string, offset int64, dst []byte) error {
	var own []byte
	out, err := s.policy.Do(ctx,
		func(ctx context.Context) error { return s.Store.GetRange(ctx, key, offset, dst) },
		func(ctx context.Context) error {
			n := int64(len(dst))
			if !s.buffers.TryAcquire(n) {
				return errNoBudget
			}
			defer s.buffers.Release(n)
			own = make([]byte, n)
			return s.Store.GetRange(ctx, key, offset, own)
		})
	s.metrics.Count(objstore.OpGetRange, out)
	if out.Won {
		copy(dst, own)
	}
	return err
}

// Metrics count second requests. Nil counts nothing.
type Metrics struct{ sent, won *prometheus.CounterVec }

// NewMetrics registers the counters.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gnomon_store_hedges_total", Help: "Requests to the bucket that were sent a second time because the first was slow.",
		}, []string{"op"}),
		won: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gnomon_store_hedges_won_total", Help: "Second requests to the bucket whose answer came first.",
		}, []string{"op"}),
	}
	for _, c := range []*prometheus.CounterVec{m.sent, m.won} {
		for _, op := range []objstore.Op{objstore.OpPut, objstore.OpGetRange} {
			c.WithLabelValues(op.String())
		}
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Count adds a request.
func (m *Metrics) Count(op objstore.Op, out Outcome) {
	if m == nil || !out.Sent {
		return
	}
	m.sent.WithLabelValues(op.String()).Inc()
	if out.Won {
		m.won.WithLabelValues(op.String()).Inc()
	}
}
