package fetcher

import (
	"container/list"
	"context"
	"fmt"
	"sync"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// blockOverhead is what a block is counted for beyond its bytes, for each batch: slice header, offset, share of the maps.
const blockOverhead = 64

type key struct {
	object   base.ObjectID
	position int64
}

// block is a span's batches. Its bytes are immutable once it is shared: F1.
type block struct {
	base    base.Offset
	epoch   base.Epoch
	length  int64 // bytes of the batches
	batches [][]byte
	lasts   []base.Offset // the last offset of each batch

	// Under the cache's lock: pins counts the readers that hold the block; gone says that it is in the table no more, and is
	// counted only for as long as it is pinned.
	pins int
	gone bool
	// ahead says that it was loaded before anybody asked for it, and that nobody has yet.
	ahead bool
}

func (b *block) cost() int64 { return b.length + blockOverhead*int64(len(b.batches)+1) }

// fits tells whether the block is the one that is asked for: F5.
func (b *block) fits(r *Request) bool {
	return b.base == r.Base && b.epoch == r.Epoch && b.length == r.Length
}

// load is a read of a block that is under way. block and err are set before done is closed.
type load struct {
	done    chan struct{}
	waiters int    // readers that wait for it; the block is pinned for each of them when it comes
	ahead   bool   // nobody asked for it
	block   *block // nil with an error, or when the loader gave up
	err     error  // nil when the loader gave up
}

type entry struct {
	key   key
	block *block
}

// cache is the table of blocks, the least recently used last, and of loads under way. Nothing waits under its lock.
type cache struct {
	mu    sync.Mutex
	max   int64      // negative: nothing is kept, and nothing is counted
	bytes int64      // of what is in the table, what is pinned, and what loads have reserved
	ahead int64      // of them, what is or will be there ahead of its readers
	used  *list.List // of *entry
	table map[key]*list.Element
	loads map[loadKey]*load
	freed chan struct{} // closed when there may be room that was not there before

	// What this process wrote and nobody has read, the oldest first; writtenBytes, a part of bytes, counts also what is being copied.
	written      map[key]*list.Element
	writtenOrder *list.List // of *written
	writtenBytes int64
}

// loadKey tells apart what F5 tells apart, so that nobody waits for a block that does not fit.
type loadKey struct {
	key
	base   base.Offset
	epoch  base.Epoch
	length int64
}

func newCache(limit int64) *cache {
	return &cache{
		max: limit, used: list.New(), table: map[key]*list.Element{}, loads: map[loadKey]*load{}, freed: make(chan struct{}),
		written: map[key]*list.Element{}, writtenOrder: list.New(),
	}
}

// found is what lookup found: one of block and load, or neither.
type found struct {
	block *block // pinned
	first bool   // the block was loaded ahead, and nobody has asked for it before
	load  *load  // to wait for, or to carry out and to finish if it is mine
	mine  bool
	// written: there is neither, but this process wrote the span, and has it.
	written bool
}

// lookup returns the block, or the load to wait for. When there is neither, and the caller has reserved room, it gets a load of its own.
func (c *cache) lookup(r *Request, reserved bool) found {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b := c.block(r); b != nil {
		b.pins++
		first := b.ahead
		c.asked(b)
		return found{block: b, first: first}
	}
	if l := c.loads[r.loadKey()]; l != nil {
		l.waiters++
		return found{load: l}
	}
	if !reserved {
		return found{written: c.isWritten(r)}
	}
	return found{load: c.newLoad(r), mine: true}
}

// block returns the block that fits, as the one used last, or nil. The caller holds mu.
func (c *cache) block(r *Request) *block {
	if e := c.table[r.key()]; e != nil {
		if b := e.Value.(*entry).block; b.fits(r) {
			c.used.MoveToFront(e)
			return b
		}
	}
	return nil
}

// newLoad puts a load on the table, for which room was reserved. The caller holds mu.
func (c *cache) newLoad(r *Request) *load {
	l := &load{done: make(chan struct{})}
	c.loads[r.loadKey()] = l
	return l
}

// asked notes that a block has a reader. The caller holds mu.
func (c *cache) asked(b *block) {
	if b.ahead {
		b.ahead = false
		c.ahead -= b.cost()
	}
}

// begin reserves room for a load ahead and puts it on the table; nil when the block is here or on its way. room is false when there
// is none, or no cache. What is there ahead of its readers has half of the cache: with more of them than fit, each would drop what others
// need next, and all would be read twice.
func (c *cache) begin(r *Request) (l *load, room bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.max < 0 {
		return nil, false
	}
	if c.block(r) != nil || c.loads[r.loadKey()] != nil || c.isWritten(r) {
		return nil, true
	}
	n := c.reservation(r)
	if c.ahead+n > c.max/2 || !c.makeRoom(n) {
		return nil, false
	}
	c.bytes += n
	c.ahead += n
	l = c.newLoad(r)
	l.ahead = true
	return l, true
}

// take reserves n bytes if there is room for them, without waiting. give gives them back.
func (c *cache) take(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.makeRoom(n) {
		return false
	}
	c.bytes += n
	return true
}

func (c *cache) give(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes -= n
	c.signal()
}

// reservation is what a load counts for before its block is there.
func (c *cache) reservation(r *Request) int64 {
	return min(max(r.Length, 0)+2*blockOverhead, max(c.max, 0))
}

// reserve makes room for a load. When what is there is pinned, it waits for it to be released if the reader holds nothing (Wait);
// else ErrNoRoom.
func (c *cache) reserve(ctx context.Context, r *Request) error {
	n := c.reservation(r)
	for {
		c.mu.Lock()
		if c.max < 0 || c.makeRoom(n) {
			c.bytes += n
			c.mu.Unlock()
			return nil
		}
		freed := c.freed
		c.mu.Unlock()
		if !r.Wait {
			return ErrNoRoom
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrNoRoom, ctx.Err())
		}
	}
}

// makeRoom takes blocks that nobody holds off the table, the least recently used first, and then what was written, until n bytes fit. The
// caller holds mu.
func (c *cache) makeRoom(n int64) bool {
	for e := c.used.Back(); e != nil && c.bytes+n > c.max; {
		before := e.Prev()
		if e.Value.(*entry).block.pins == 0 {
			c.remove(e)
		}
		e = before
	}
	for c.bytes+n > c.max && c.writtenOrder.Len() > 0 {
		c.forgetOldestWritten()
	}
	return c.bytes+n <= c.max
}

// giveBack frees what was reserved for a load that somebody else has made.
func (c *cache) giveBack(r *Request) { c.give(c.reservation(r)) }

// signal wakes who waits for room. The caller holds mu.
func (c *cache) signal() {
	close(c.freed)
	c.freed = make(chan struct{})
}

// finish ends a load; with neither a block nor an error, whoever waits looks again. The block is pinned for all who wait, and for
// a reader that loaded it for itself.
func (c *cache) finish(r *Request, l *load, b *block, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.loads, r.loadKey())
	c.bytes -= c.reservation(r)
	if b != nil && c.max >= 0 {
		if b.pins = l.waiters; !l.ahead {
			b.pins++
		}
		b.ahead = b.pins == 0
		c.put(r.key(), b)
	}
	if l.ahead {
		c.ahead -= c.reservation(r)
	}
	l.block, l.err = b, err
	close(l.done)
	c.signal()
}

// leave is for a reader that waits no longer.
func (c *cache) leave(l *load) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-l.done:
		if l.block != nil {
			c.unpinLocked(l.block)
		}
	default:
		l.waiters--
	}
}

// put replaces what is there under k, and makes what room it can: F3. The caller holds mu.
func (c *cache) put(k key, b *block) {
	if e := c.table[k]; e != nil {
		c.remove(e)
	}
	c.bytes += b.cost()
	if b.ahead {
		c.ahead += b.cost()
	}
	if b.cost() > c.max {
		c.drop(b)
		return
	}
	c.table[k] = c.used.PushFront(&entry{k, b})
	c.makeRoom(0)
}

// remove takes a block off the table. The caller holds mu.
func (c *cache) remove(e *list.Element) {
	x := c.used.Remove(e).(*entry)
	delete(c.table, x.key)
	c.drop(x.block)
}

// drop takes a block off that is not on the table, or not any more. The caller holds mu.
func (c *cache) drop(b *block) {
	c.asked(b) // nobody will
	if b.gone = true; b.pins == 0 {
		c.bytes -= b.cost()
	}
}

func (c *cache) unpin(b *block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unpinLocked(b)
}

func (c *cache) unpinLocked(b *block) {
	if c.max < 0 {
		return
	}
	if b.pins--; b.pins > 0 {
		return
	}
	if b.gone {
		c.bytes -= b.cost()
	}
	c.signal()
}

// size is the bytes that are counted.
func (c *cache) size() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}
