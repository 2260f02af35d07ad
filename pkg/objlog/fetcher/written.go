package fetcher

import (
	"container/list"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// writtenShare is the part of the cache that spans may have which this process wrote and nobody has read.
const writtenShare = 4

// Written is a copy of a span that this process is storing. The first who reads the span gets the copy, and the bucket is not asked. It
// ends by one call of Stored or Drop.
type Written struct {
	cache *cache
	data  []byte
}

// Copy copies the batches of a span; nil when there is no room for them. The batches are the caller's again when it returns.
func (f *Fetcher) Copy(batches objstore.Payload) *Written {
	n := batches.Size()
	if !f.cache.holdWritten(n) {
		return nil
	}
	data := make([]byte, 0, n)
	for _, b := range batches {
		data = append(data, b...)
	}
	return &Written{cache: f.cache, data: data}
}

// Stored says where the span is. It is called before the object is committed, so that no reader looks for the span earlier.
func (w *Written) Stored(object base.ObjectID, position int64) {
	w.cache.keepWritten(key{object, position}, w.data)
}

// Drop says that the span was not stored.
func (w *Written) Drop() {
	w.cache.mu.Lock()
	defer w.cache.mu.Unlock()
	w.cache.freeWritten(int64(len(w.data)))
}

// written is a span that is kept for its first reader.
type written struct {
	key  key
	data []byte
}

// writtenCost is what a written span of n bytes is counted for: what a reader of it reserves.
func writtenCost(n int64) int64 { return n + 2*blockOverhead }

// holdWritten makes room for a span of n bytes, at the expense of the oldest ones that were written and not read.
func (c *cache) holdWritten(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	cost := writtenCost(n)
	if c.max < 0 || cost > c.max/writtenShare {
		return false
	}
	for c.writtenBytes+cost > c.max/writtenShare && c.writtenOrder.Len() > 0 {
		c.forgetOldestWritten()
	}
	if c.writtenBytes+cost > c.max/writtenShare || !c.makeRoom(cost) { // others are being copied now
		return false
	}
	c.bytes += cost
	c.writtenBytes += cost
	return true
}

// keepWritten puts a span on the table, for which there is room.
func (c *cache) keepWritten(k key, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written[k] = c.writtenOrder.PushBack(&written{k, data})
}

// isWritten tells whether the span is kept. The caller holds mu.
func (c *cache) isWritten(r *Request) bool {
	e := c.written[r.key()]
	return e != nil && int64(len(e.Value.(*written).data)) == r.Length
}

// takeWritten takes the span off the table, for a reader that has reserved room for it; nil when it is not kept.
func (c *cache) takeWritten(r *Request) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isWritten(r) {
		return nil
	}
	return c.removeWritten(c.written[r.key()])
}

// forgetOldestWritten makes room. The caller holds mu.
func (c *cache) forgetOldestWritten() { c.removeWritten(c.writtenOrder.Front()) }

// removeWritten takes a span off the table and gives its room back. The caller holds mu.
func (c *cache) removeWritten(e *list.Element) []byte {
	w := c.writtenOrder.Remove(e).(*written)
	delete(c.written, w.key)
	c.freeWritten(int64(len(w.data)))
	return w.data
}

// freeWritten gives back the room for a span of n bytes. The caller holds mu.
func (c *cache) freeWritten(n int64) {
	c.bytes -= writtenCost(n)
	c.writtenBytes -= writtenCost(n)
	c.signal()
}
