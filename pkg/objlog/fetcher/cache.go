package fetcher

import (
	"container/list"
	"sync"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// blockOverhead is what a block is counted for beyond its bytes, for each batch: slice header, offset, share of the maps.
const blockOverhead = 64

type key struct {
	object   base.ObjectID
	position int64
}

// block is a span's batches. It is immutable once it is shared: F1.
type block struct {
	base    base.Offset
	epoch   base.Epoch
	length  int64 // bytes of the batches
	batches [][]byte
	lasts   []base.Offset // the last offset of each batch
}

func (b *block) cost() int64 { return b.length + blockOverhead*int64(len(b.batches)+1) }

// fits tells whether the block is the one that is asked for: F5.
func (b *block) fits(r *Request) bool {
	return b.base == r.Base && b.epoch == r.Epoch && b.length == r.Length
}

// load is a read of a block that is under way. block and err are set before done is closed.
type load struct {
	done  chan struct{}
	block *block // nil with an error, or when the loader gave up
	err   error  // nil when the loader gave up
}

type entry struct {
	key   key
	block *block
}

// cache is the table of blocks, the least recently used last, and of loads under way. Nothing waits under its lock.
type cache struct {
	mu    sync.Mutex
	max   int64
	bytes int64
	used  *list.List // of *entry
	table map[key]*list.Element
	loads map[loadKey]*load
}

// loadKey tells apart what F5 tells apart, so that nobody waits for a block that does not fit.
type loadKey struct {
	key
	base   base.Offset
	epoch  base.Epoch
	length int64
}

func newCache(limit int64) *cache {
	return &cache{max: limit, used: list.New(), table: map[key]*list.Element{}, loads: map[loadKey]*load{}}
}

// lookup returns the block, or the load to wait for, or a load that the caller has to carry out (mine) and to finish.
func (c *cache) lookup(r *Request) (b *block, l *load, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.table[r.key()]; e != nil {
		if b := e.Value.(*entry).block; b.fits(r) {
			c.used.MoveToFront(e)
			return b, nil, false
		}
	}
	if l := c.loads[r.loadKey()]; l != nil {
		return nil, l, false
	}
	l = &load{done: make(chan struct{})}
	c.loads[r.loadKey()] = l
	return nil, l, true
}

// finish ends a load; with neither a block nor an error, whoever waits looks again.
func (c *cache) finish(r *Request, l *load, b *block, err error) {
	c.mu.Lock()
	delete(c.loads, r.loadKey())
	if b != nil {
		c.put(r.key(), b)
	}
	c.mu.Unlock()
	l.block, l.err = b, err
	close(l.done)
}

// insert puts a block in.
func (c *cache) insert(k key, b *block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(k, b)
}

// put replaces what is there under k and makes room: F3. The caller holds mu.
func (c *cache) put(k key, b *block) {
	if e := c.table[k]; e != nil {
		c.remove(e)
	}
	if b.cost() > c.max {
		return
	}
	for c.bytes+b.cost() > c.max {
		c.remove(c.used.Back())
	}
	c.table[k] = c.used.PushFront(&entry{k, b})
	c.bytes += b.cost()
}

func (c *cache) remove(e *list.Element) {
	x := c.used.Remove(e).(*entry)
	delete(c.table, x.key)
	c.bytes -= x.block.cost()
}

// size is the bytes held.
func (c *cache) size() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}
