package fetcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sort"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// DefaultCacheBytes is the cache's size when Config gives none.
const DefaultCacheBytes = 256 << 20

// spanBytesMax bounds what one read allocates. Writers end spans at 8 MiB, but for a single batch that is larger.
const spanBytesMax = 256 << 20

// Config is what a Fetcher works with.
type Config struct {
	Store      objstore.Store
	CacheBytes int64                 // 0 means DefaultCacheBytes; negative means no cache
	Logger     *slog.Logger          // nil means none
	Registerer prometheus.Registerer // nil means no metrics
}

// Fetcher reads batches. All methods may be called concurrently.
type Fetcher struct {
	store   objstore.Store
	cache   *cache
	logger  *slog.Logger
	metrics *metrics

	// Of the loads ahead: gets bounds the GETs that are under way.
	ctx   context.Context
	stop  context.CancelFunc
	loads sync.WaitGroup
	gets  chan struct{}
}

// Request asks for batches of one span.
type Request struct {
	Object     base.ObjectID
	Position   int64       // of the span in the object, bytes
	Length     int64       // of the span, bytes
	Base       base.Offset // of the span's first batch
	From       base.Offset // the batch that holds it is the first returned
	MaxBytes   int
	AtLeastOne bool // return the first batch even if it is above MaxBytes
	// Wait for room when the cache is full of what readers hold. Only for a reader that holds nothing itself: two that hold and
	// wait could wait for each other.
	Wait  bool
	Epoch base.Epoch
	// Cold, if set, is called when the span is not in the cache, or is there because of Ahead and asked for the first time: before the
	// store is asked, so that it may call Ahead for this span and others.
	Cold func()
}

// ErrNoRoom says that the cache is full of what readers hold: ask again once something was released.
var ErrNoRoom = errors.New("the read cache is full of what readers hold")

// Lease is a reader's hold on the memory of what it read: it counts for the cache until Release.
type Lease struct {
	cache *cache
	block *block
}

// Release ends the hold; it is called once. The zero Lease holds nothing.
func (l Lease) Release() {
	if l.block != nil {
		l.cache.unpin(l.block)
	}
}

func (r *Request) key() key { return key{r.Object, r.Position} }

func (r *Request) loadKey() loadKey { return loadKey{r.key(), r.Base, r.Epoch, r.Length} }

// New returns a Fetcher with an empty cache. Close it if Ahead is used.
func New(cfg Config) *Fetcher {
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = DefaultCacheBytes
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	f := &Fetcher{store: cfg.Store, cache: newCache(cfg.CacheBytes), logger: cfg.Logger, gets: make(chan struct{}, aheadGets)}
	f.ctx, f.stop = context.WithCancel(context.Background())
	f.metrics = newMetrics(cfg.Registerer, f.cache, cfg.Logger)
	return f
}

// Read returns the batches from the one that holds From on, each whole and patched, and stops before MaxBytes would be
// exceeded; none when the span ends before From. next is the offset after the last batch returned, From when there is none:
// a reader goes on there, not at the end of the span. The slices are the cache's: they must not be changed, and not be looked at once the
// lease is released. Errors: ErrNoRoom, base.ErrNotFound when the object is gone, base.ErrCorrupt and base.ErrVersion for what is there,
// base.ErrUnavailable, and ctx's own.
func (f *Fetcher) Read(ctx context.Context, r Request) (batches [][]byte, next base.Offset, lease Lease, err error) {
	b, err := f.block(ctx, &r)
	if err != nil {
		return nil, 0, Lease{}, fmt.Errorf("read %d bytes at %d of object %s: %w", r.Length, r.Position, r.Object, err)
	}
	first := sort.Search(len(b.lasts), func(i int) bool { return b.lasts[i] >= r.From })
	end, total := first, 0
	for end < len(b.batches) {
		n := len(b.batches[end])
		if total+n > r.MaxBytes && (end > first || !r.AtLeastOne) {
			break
		}
		total += n
		end++
	}
	next = r.From
	if end > first {
		next = b.lasts[end-1] + 1
	}
	return b.batches[first:end:end], next, Lease{f.cache, b}, nil
}

// block gets the block, pinned, from the cache, from a load that is under way, or from the store.
//
// Room is reserved before the load is on the table, so that nobody who holds memory waits for a load that waits for memory:
//
//  1. A holds a block and asks for X. B, who holds nothing, asked for X before, and waits for room.
//  2. Had B put its load of X on the table already, A would wait for B, and B for what A holds.
//  3. As it is, A finds no load, asks for room itself, and is told at once that there is none.
func (f *Fetcher) block(ctx context.Context, r *Request) (*block, error) {
	if r.Length <= 0 || r.Length > spanBytesMax || r.Position < 0 {
		return nil, fmt.Errorf("no span has such a place: %w", base.ErrCorrupt)
	}
	reserved := false
	giveBack := func() {
		if reserved {
			f.cache.giveBack(r)
			reserved = false
		}
	}
	for {
		at := f.cache.lookup(r, reserved)
		if r.Cold != nil && (at.block == nil || at.first) && !at.written && !at.mine {
			r.Cold()
			if r.Cold = nil; at.block == nil && at.load == nil {
				continue
			}
		}
		b, l := at.block, at.load
		switch {
		case b != nil:
			giveBack()
			if !at.first {
				f.metrics.hits.Inc()
			}
			return b, nil
		case at.mine:
			return f.carryOut(ctx, r, l)
		case l == nil:
			if err := f.cache.reserve(ctx, r); err != nil {
				return nil, err
			}
			reserved = true
			continue
		}
		giveBack()
		select {
		case <-l.done:
		case <-ctx.Done():
			f.cache.leave(l)
			return nil, ctx.Err()
		}
		if l.block != nil || l.err != nil {
			return l.block, l.err
		}
	}
}

// carryOut is a load by the reader that came first. Whatever happens, a panic included, the load ends: readers wait for it.
func (f *Fetcher) carryOut(ctx context.Context, r *Request, l *load) (b *block, err error) {
	defer func() {
		if ctx.Err() != nil && err != nil {
			f.cache.finish(r, l, nil, nil) // given up: F4
			return
		}
		f.cache.finish(r, l, b, err)
	}()
	if data := f.cache.takeWritten(r); data != nil {
		if b, err := newBlock(data, r.Base, r.Epoch); err == nil {
			f.metrics.hits.Inc()
			f.metrics.written.Inc()
			return b, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err // it may have ended while the reader waited for room: not a buffer for nobody
	}
	f.metrics.misses.Inc()
	data := make([]byte, r.Length)
	if err := f.store.GetRange(ctx, r.Object.Key(), r.Position, data); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("the object ends before the span: %w: %w", base.ErrCorrupt, err)
		}
		return nil, err
	}
	f.metrics.read.Add(float64(len(data)))
	b, err = newBlock(data, r.Base, r.Epoch)
	if err != nil {
		f.logger.Error("damaged span", "object", r.Object.String(), "position", r.Position, "length", r.Length, "error", err)
	}
	return b, err
}

// newBlock takes data over: it checks its batches and patches them in place.
func newBlock(data []byte, offset base.Offset, epoch base.Epoch) (*block, error) {
	b := &block{base: offset, epoch: epoch, length: int64(len(data))}
	for rest := data; len(rest) > 0; {
		h, next, err := batch.Parse(rest)
		at := len(data) - len(rest)
		if err != nil {
			return nil, fmt.Errorf("batch %d bytes into the span: %w", at, err)
		}
		one := rest[:h.Length:h.Length]
		if h.LastOffsetDelta < 0 || !batch.CheckCRC(h, one) {
			return nil, fmt.Errorf("batch %d bytes into the span has a wrong CRC or offset delta: %w", at, base.ErrCorrupt)
		}
		batch.PatchOffsets(one, offset, epoch)
		offset += base.Offset(h.LastOffsetDelta) + 1
		b.batches = append(b.batches, one)
		b.lasts = append(b.lasts, offset-1)
		rest = next
	}
	return b, nil
}
