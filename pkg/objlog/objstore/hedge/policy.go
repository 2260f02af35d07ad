package hedge

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

const (
	samples = 256 // durations that are remembered
	// samplesMin is how many must be known before a percentile means something; until then delayFirst counts.
	samplesMin  = 32
	recalculate = 32   // requests between two looks at the percentile
	slowFactor  = 2    // times the percentile
	percentile  = 0.95 // of the durations
	tokensMax   = 5    // that can be saved up
)

// Options of a Policy. Zero values mean the defaults, but for Now.
type Options struct {
	Now        func() time.Time
	DelayFirst time.Duration // that a request may take while too little is known; 1 s
	DelayMin   time.Duration // that a request may take however fast the others are; 50 ms
	Share      float64       // of requests that may be sent twice; 0.05
}

// Policy says when a request of one kind is slow enough to be sent again. All methods may be called concurrently.
type Policy struct {
	o Options

	mu     sync.Mutex
	ring   [samples]time.Duration
	count  int // of requests so far
	delay  time.Duration
	tokens float64
}

// New returns a policy that knows nothing yet.
func New(o Options) *Policy {
	return &Policy{o: Options{
		Now: o.Now, DelayFirst: cmp.Or(o.DelayFirst, time.Second), DelayMin: cmp.Or(o.DelayMin, 50*time.Millisecond), Share: cmp.Or(o.Share, 0.05),
	}}
}

// Delay is how long a request may take before it is slow.
func (p *Policy) Delay() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count < samplesMin {
		return p.o.DelayFirst
	}
	return p.delay
}

// observe notes how long a request took, or had taken when it was given up, and adds to the budget.
func (p *Policy) observe(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ring[p.count%samples] = took
	p.count++
	p.tokens = min(p.tokens+p.o.Share, tokensMax)
	if p.count%recalculate != 0 {
		return
	}
	known := slices.Clone(p.ring[:min(p.count, samples)])
	slices.Sort(known)
	p.delay = max(p.o.DelayMin, slowFactor*known[int(percentile*float64(len(known)-1))])
}

// take takes a second request out of the budget.
func (p *Policy) take() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tokens < 1 {
		return false
	}
	p.tokens--
	return true
}
