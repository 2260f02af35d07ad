package kafkaapi

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// produceWait is a Produce request that waits for its batches to be durable, for as long as its client wants to.
//
// When the time is over the client is told REQUEST_TIMED_OUT, as in Kafka; the batches stay where they are on their way, and
// may become durable yet. What comes of it is what comes of a client that hangs up and sends again, here or at another agent:
//
//  1. An idempotent producer sends the batch again. The appender keeps the order of what it was given, so the first attempt is
//     judged before the second one if both are here. The second is found to be a duplicate, and gets the first one's offset. If the
//     first attempt fails, the second fails with it or after it, or goes on where it left (P4 of the appender).
//  2. It sends to another agent: whichever is committed first counts, the other is the duplicate.
//  3. A producer that is not idempotent writes the batch twice, as in Kafka.
//
// The answer is one of two: whoever claims it first, the end of the time or the appender, makes it. The frame is the appender's until it
// called done (K2), so an answer that leaves before holds the frame's memory, and its part of the budgets, until then.
type produceWait struct {
	claimed atomic.Bool
	timer   *time.Timer

	mu      sync.Mutex
	settled bool   // done was called
	then    func() // what is to be done then
}

// claim tells whether the caller is the one that answers.
func (w *produceWait) claim() bool { return w.claimed.CompareAndSwap(false, true) }

// settle notes that the appender needs the batches no more.
func (w *produceWait) settle() {
	if w.timer != nil {
		w.timer.Stop()
	}
	w.mu.Lock()
	w.settled = true
	then := w.then
	w.mu.Unlock()
	if then != nil {
		then()
	}
}

// after has fn run once the appender needs the batches no more.
func (w *produceWait) after(fn func()) {
	w.mu.Lock()
	settled := w.settled
	if !settled {
		w.then = fn
	}
	w.mu.Unlock()
	if settled {
		fn()
	}
}

// timedOut is the answer to a Produce whose batches are still on their way.
type timedOut struct {
	message
	wait *produceWait
}

// borrower is an answer to a request whose bytes are read by somebody when it leaves.
type borrower interface{ after(give func()) }

func (a timedOut) after(give func()) { a.wait.after(give) }

// produceTimeout is how long a client waits: as it says, within the limits. A time that is shorter than an ack takes would let a
// client send everything again and again.
func produceTimeout(millis int32, l Limits) time.Duration {
	return min(max(time.Duration(millis)*time.Millisecond, l.ProduceMin), l.ProduceMax)
}

// await begins the wait. Without acks nobody waits.
func (p *producing) await(finish func(answer)) *produceWait {
	w := &produceWait{}
	if p.req.Acks == 0 {
		return w
	}
	d := produceTimeout(p.req.TimeoutMillis, p.q.server.limits)
	w.timer = time.AfterFunc(d, func() {
		if !w.claim() {
			return
		}
		err := fmt.Errorf("not durable within %v, and may become so yet: %w", d, kerr.RequestTimedOut)
		for _, slot := range p.slots {
			p.fail(&p.resp.Topics[slot.topic].Partitions[slot.partition], err)
		}
		finish(timedOut{message{p.resp}, w})
	})
	return w
}
