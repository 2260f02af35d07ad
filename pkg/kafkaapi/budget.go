package kafkaapi

import (
	"context"
	"math/bits"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// budget bounds the bytes that are held. A larger amount than the budget has counts as all of it, so that one large
// request always passes.
type budget struct {
	sem  *semaphore.Weighted
	max  int64
	held atomic.Int64 // for metrics
}

func newBudget(size int) *budget {
	return &budget{sem: semaphore.NewWeighted(int64(size)), max: int64(size)}
}

// acquire waits until n bytes are free and returns how many it took.
func (b *budget) acquire(ctx context.Context, n int) (int64, error) {
	take := min(int64(n), b.max)
	if err := b.sem.Acquire(ctx, take); err != nil {
		return take, err
	}
	b.held.Add(take)
	return take, nil
}

// tryAcquire takes n bytes if they are free.
func (b *budget) tryAcquire(n int64) bool {
	if !b.sem.TryAcquire(n) {
		return false
	}
	b.held.Add(n)
	return true
}

func (b *budget) release(n int64) {
	if n > 0 {
		b.held.Add(-n)
		b.sem.Release(n)
	}
}

// largeRequestsMax is how many requests of more than firstStep may be in the making before all of their memory is charged.
const largeRequestsMax = 16

// largeRequests is the waiting room of large requests: see frameReader.fill.
type largeRequests struct {
	slots   chan struct{}
	funding chan struct{} // held by the one that is charged for its rest
}

func newLargeRequests() *largeRequests {
	return &largeRequests{slots: make(chan struct{}, largeRequestsMax), funding: make(chan struct{}, 1)}
}

func (l *largeRequests) enter(ctx context.Context) error {
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *largeRequests) leave() { <-l.slots }

// bufferPool recycles the memory of frames: on virtual machines the first touch of a fresh page costs more than all that
// is done with it afterwards. Buffers come in powers of two, but for large ones, which are made to measure and not kept.
type bufferPool struct {
	classes [bufferClasses]sync.Pool // of *[]byte with capacity bufferMin << class
}

const (
	bufferMinBits = 12 // 4 KiB
	bufferClasses = 13 // up to 16 MiB
)

// get returns a slice of length n.
func (p *bufferPool) get(n int) []byte {
	class := bufferClass(n)
	if class >= bufferClasses {
		return make([]byte, n)
	}
	if b, ok := p.classes[class].Get().(*[]byte); ok {
		return (*b)[:n]
	}
	return make([]byte, n, 1<<(class+bufferMinBits))
}

// put gives a slice back that get returned. Nobody may look at it any more.
func (p *bufferPool) put(b []byte) {
	class := bufferClass(cap(b))
	if class < bufferClasses && cap(b) == 1<<(class+bufferMinBits) {
		b = b[:0]
		p.classes[class].Put(&b)
	}
}

// bufferClass is the smallest class whose buffers hold n bytes.
func bufferClass(n int) int { return max(bits.Len(uint(max(n, 1)-1))-bufferMinBits, 0) }

// bufferRoom is the capacity of the buffer that get(n) returns.
func bufferRoom(n int) int {
	if class := bufferClass(n); class < bufferClasses {
		return 1 << (class + bufferMinBits)
	}
	return n
}
