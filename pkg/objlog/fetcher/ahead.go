package fetcher

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// aheadGetBytes bounds one GET of several spans, and so the buffer that it is read into.
	aheadGetBytes = 8 << 20
	// aheadGap is how many bytes that nobody asked for a GET reads to save another one: what a store gives in the time that it takes to
	// answer at all.
	aheadGap = 128 << 10
	// aheadAtOnce is how many GETs one call of Ahead has under way, aheadGets how many all calls together have.
	aheadAtOnce, aheadGets = 8, 16
	// aheadBytes and aheadSpans bound what one call takes on; a small cache bounds it further: see aheadShare.
	aheadBytes, aheadSpans = 32 << 20, 8192
	// aheadShare is the part of the cache that one call may fill.
	aheadShare = 8
	// aheadPatience is how long a load ahead may take. Then it is given up, and who waits for it asks the store itself.
	aheadPatience = 10 * time.Second
)

// Ahead begins to load what the requests name and what is neither here nor on its way, in their order, and does not wait for it. It
// takes on no more than there is room for. Spans that lie close together in one object come by one GET. A load that fails is
// given up without an error: the reader that needs the span asks for it, and hears what is wrong (F6).
func (f *Fetcher) Ahead(spans []Request) {
	gets := together(f.takeOn(spans))
	if len(gets) == 0 {
		return
	}
	next := make(chan *get, len(gets))
	for _, g := range gets {
		next <- g
	}
	close(next)
	for range min(aheadAtOnce, len(gets)) {
		f.loads.Go(func() {
			for g := range next {
				f.gets <- struct{}{}
				f.load(g)
				<-f.gets
			}
		})
	}
}

// part is a span that is loaded ahead.
type part struct {
	req   Request
	load  *load
	order int // of the request
}

// get is one ranged GET, of the spans from position to end in the order of their position, with gaps.
type get struct {
	parts         []part
	position, end int64
}

// takeOn puts loads of the spans on the table.
func (f *Fetcher) takeOn(spans []Request) []part {
	var parts []part
	left := min(aheadBytes, f.cache.max/aheadShare)
	for i := range spans {
		r := &spans[i]
		if r.Length <= 0 || r.Length > spanBytesMax || r.Position < 0 {
			continue // the reader that needs it hears of it
		}
		if left -= r.Length; left < 0 || len(parts) == aheadSpans {
			break
		}
		l, room := f.cache.begin(r)
		if !room {
			break
		}
		if l != nil {
			parts = append(parts, part{req: *r, load: l, order: i})
		}
	}
	return parts
}

// together makes GETs of loads, ordered by the first span that each brings.
func together(parts []part) []*get {
	slices.SortFunc(parts, func(a, b part) int {
		return cmp.Or(a.req.Object.Compare(b.req.Object), cmp.Compare(a.req.Position, b.req.Position))
	})
	var gets []*get
	var last *get
	for _, p := range parts {
		end := p.req.Position + p.req.Length
		if last != nil && last.parts[0].req.Object == p.req.Object && p.req.Position >= last.end && p.req.Position-last.end <= aheadGap && end-last.position <= aheadGetBytes {
			last.parts, last.end = append(last.parts, p), end
			continue
		}
		last = &get{parts: []part{p}, position: p.req.Position, end: end}
		gets = append(gets, last)
	}
	first := func(g *get) int {
		return slices.MinFunc(g.parts, func(a, b part) int { return a.order - b.order }).order
	}
	slices.SortFunc(gets, func(a, b *get) int { return first(a) - first(b) })
	return gets
}

// buffers are for GETs of several spans, whose blocks are copied out of them: a block must not keep its neighbours' memory.
var buffers = sync.Pool{New: func() any { b := make([]byte, aheadGetBytes); return &b }}

// load carries a GET out and ends its loads, whatever happens.
func (f *Fetcher) load(g *get) {
	ctx, cancel := context.WithTimeout(f.ctx, aheadPatience)
	defer cancel()
	ended := 0
	end := func(b *block) {
		p := &g.parts[ended]
		ended++
		f.cache.finish(&p.req, p.load, b, nil)
	}
	defer func() {
		for ended < len(g.parts) {
			end(nil)
		}
	}()
	n := g.end - g.position
	if len(g.parts) == 1 || !f.cache.take(n) {
		for i := range g.parts {
			r := &g.parts[i].req
			data := make([]byte, r.Length)
			if f.store.GetRange(ctx, r.Object.Key(), r.Position, data) != nil {
				return
			}
			end(f.aheadBlock(data, r))
		}
		return
	}
	defer f.cache.give(n)
	pooled := buffers.Get().(*[]byte)
	defer buffers.Put(pooled)
	whole := (*pooled)[:n]
	if f.store.GetRange(ctx, g.parts[0].req.Object.Key(), g.position, whole) != nil {
		return
	}
	for i := range g.parts {
		r := &g.parts[i].req
		end(f.aheadBlock(append(make([]byte, 0, r.Length), whole[r.Position-g.position:][:r.Length]...), r))
	}
}

// aheadBlock is nil for damaged bytes: the reader that needs them tells of it.
func (f *Fetcher) aheadBlock(data []byte, r *Request) *block {
	b, err := newBlock(data, r.Base, r.Epoch)
	if err != nil {
		return nil
	}
	f.metrics.misses.Inc()
	f.metrics.ahead.Inc()
	f.metrics.read.Add(float64(len(data)))
	return b
}

// Close ends the loads ahead, and waits for them.
func (f *Fetcher) Close() {
	f.stop()
	f.loads.Wait()
}
