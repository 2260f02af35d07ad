package agent

import (
	"sync"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/appender"
	"github.com/gnomon-stream/gnomon/pkg/objlog/fetcher"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// tail knows which partitions are read at their end here, and has what this agent writes to them kept for their readers: without it each
// span would be fetched from the bucket right after it was put there, at the price and in the time of a GET.
type tail struct {
	fetcher *fetcher.Fetcher
	view    *View
	now     func() time.Time

	mu    sync.Mutex
	seen  map[base.TopicPartition]time.Time // when a reader was at the end
	sweep int                               // at so many partitions those whose readers have gone are forgotten
}

const (
	// tailReader is for how long a reader is taken to come back to the end. Clients ask again at once, or after what they do with a batch.
	tailReader = 10 * time.Second
	// tailSweepMin is from how many partitions on it pays to look for those to forget.
	tailSweepMin = 1024
)

func newTail(f *fetcher.Fetcher, view *View, now func() time.Time) *tail {
	return &tail{fetcher: f, view: view, now: now, seen: map[base.TopicPartition]time.Time{}, sweep: tailSweepMin}
}

// note says that a reader has read all that the partition has.
func (t *tail) note(tp base.TopicPartition) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen[tp] = now
	if len(t.seen) < t.sweep {
		return
	}
	for tp, at := range t.seen {
		if now.Sub(at) > tailReader {
			delete(t.seen, tp)
		}
	}
	t.sweep = max(2*len(t.seen), tailSweepMin)
}

// read tells whether somebody waits for what comes next, or was there for it a moment ago.
func (t *tail) read(tp base.TopicPartition) bool {
	if t.view.awaited(tp) {
		return true
	}
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.seen[tp]
	return ok && now.Sub(at) <= tailReader
}

// keep copies what is about to be stored of a partition that is read at its end; nil otherwise.
func (t *tail) keep(tp base.TopicPartition, batches objstore.Payload) appender.Kept {
	if !t.read(tp) {
		return nil
	}
	if w := t.fetcher.Copy(batches); w != nil {
		return w
	}
	return nil
}
