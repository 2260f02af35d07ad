package appender

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/segment"
)

type putState int

const (
	putting putState = iota
	putDone
	putFailed
)

// flush is one object on its way.
type flush struct {
	id         base.ObjectID
	spare      base.ObjectNumber // the other number of the two that it has; 0: it has one
	requests   []*request
	partitions map[base.TopicPartition]struct{}
	oldest     time.Time    // arrival of its oldest request
	due        time.Time    // when it was flushed
	stored     [2]time.Time // when its PUT began and ended
	put        putState
	built      segment.Built
	sent       bool
	tried      time.Time                        // when it was first sent; zero: never
	request    *metalogpb.CommitRequest         // once it was sent
	lost       map[base.TopicPartition]struct{} // partitions that fail although the object stands
	failed     error                            // set: no request of it succeeds any more
	answered   bool                             // every request has its answer
}

// flush takes the front of the buffer and starts its upload.
func (l *loop) flush(now time.Time) {
	l.a.metrics.flushes[l.reason()].Inc() // before the cut
	requests, bytes, partitions := l.cut()
	f := &flush{id: base.ObjectID{Session: l.session}, requests: requests, partitions: partitions, oldest: requests[0].arrived, due: now}
	f.id.Number, f.spare = l.numbers()
	l.a.metrics.flushBytes.Observe(float64(bytes))
	l.a.metrics.flushAge.Observe(now.Sub(f.oldest).Seconds())
	l.queue = append(l.queue, f)
	l.puts++
	l.a.metrics.puts.Inc()
	l.wg.Add(1)
	ctx := l.uploads
	go func() {
		defer l.wg.Done()
		built, spare, err := l.a.upload(ctx, f)
		l.a.events.send(func(l *loop) { l.uploaded(f, built, spare, err) })
	}()
}

// numbers gives a flush its number, and a spare one for a second copy of its object.
func (l *loop) numbers() (number, spare base.ObjectNumber) {
	number = l.number + 1
	if l.a.cfg.Hedge != nil {
		spare = number + 1
	}
	l.number = max(number, spare)
	return number, spare
}

// upload digests, lays out and stores a flush's batches; spare tells that they are stored under the spare number.
func (a *Appender) upload(ctx context.Context, f *flush) (built segment.Built, spare bool, err error) {
	var batches []segment.Batch
	for _, r := range f.requests {
		for i := range r.batches {
			b := &r.batches[i]
			batches = append(batches, segment.Batch{Topic: b.Topic, Partition: b.Partition, Header: b.Header, Bytes: b.Bytes})
		}
	}
	digest(batches)
	start := a.deps.Now()
	ctx, cancel := context.WithTimeout(ctx, f.oldest.Add(a.cfg.ProduceTimeout).Sub(start))
	defer cancel()
	built = a.build(f.id, batches)
	kept := a.keep(built)
	spare, err = a.put(ctx, f, built, batches)
	kept.settle(f.stands(spare), err == nil)
	if err != nil {
		return built, false, fmt.Errorf("upload segment %s: %w: %w", f.id, base.ErrUnavailable, err)
	}
	f.stored = [2]time.Time{start, a.deps.Now()}
	a.metrics.put.Observe(f.stored[1].Sub(start).Seconds())
	built.Payload = nil // the requests' bytes are free once they are answered
	return built, spare, nil
}

func (a *Appender) build(id base.ObjectID, batches []segment.Batch) segment.Built {
	return segment.Build(segment.Header{Cluster: a.cfg.Cluster, Session: id.Session, Number: id.Number}, batches)
}

// put stores what was built, and the same batches under the spare number too when that takes long (walk 11 of the package comment). Both
// have the same extents. spare tells that the second one stands.
func (a *Appender) put(ctx context.Context, f *flush, built segment.Built, batches []segment.Batch) (spare bool, err error) {
	first := func(ctx context.Context) error {
		return objstore.PutSettled(ctx, a.deps.Store, f.id.Key(), built.Payload)
	}
	if f.spare == 0 {
		return false, first(ctx)
	}
	out, err := a.cfg.Hedge.Do(ctx, first, func(ctx context.Context) error {
		second := f.stands(true)
		return objstore.PutSettled(ctx, a.deps.Store, second.Key(), a.build(second, batches).Payload)
	})
	a.deps.Hedges.Count(objstore.OpPut, out)
	return out.Won, err
}

// stands is the object that holds the flush's batches.
func (f *flush) stands(spare bool) base.ObjectID {
	id := f.id
	if spare {
		id.Number = f.spare
	}
	return id
}

// digest computes the batches' digests, on several cores when that is shorter by more than it costs: SHA-256 takes some
// 0.6 ms a MiB, which everything in the flush waits for.
func digest(batches []segment.Batch) {
	var bytes int64
	for i := range batches {
		bytes += int64(len(batches[i].Bytes))
	}
	var next atomic.Int64
	work := func() {
		for i := next.Add(1) - 1; i < int64(len(batches)); i = next.Add(1) - 1 {
			batches[i].Digest = batch.Digest(batches[i].Bytes)
		}
	}
	var wg sync.WaitGroup
	for range min(int64(runtime.GOMAXPROCS(0)), int64(len(batches)), bytes/digestShare) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
}

// digestShare is how many bytes a further goroutine must find to do.
const digestShare = 512 << 10

// uploaded notes the end of a PUT. A failed one takes with it the batches of its partitions in every later flush, and in
// the buffer (P4). No later flush was sent for commit yet, as none passes one whose upload is not settled.
func (l *loop) uploaded(f *flush, built segment.Built, spare bool, err error) {
	l.puts--
	l.a.metrics.puts.Dec()
	f.put = putDone
	if err != nil {
		f.put = putFailed
	}
	if spare {
		f.id.Number, f.spare = f.spare, f.id.Number
	}
	if f.failed != nil { // its session ended meanwhile; now nobody reads the bytes any more
		l.fail(f, f.failed)
		return
	}
	f.built = built
	if err == nil {
		return
	}
	l.a.deps.Logger.Warn("a segment could not be stored", "object", f.id.String(), "error", err)
	now, lost := l.a.deps.Now(), maps.Clone(f.partitions)
	l.fail(f, err)
	for _, later := range l.queue {
		if later.id.Number > f.id.Number {
			later.lose(lost)
			l.poison.addPart(later.requests, lost, now)
		}
	}
	l.failBehind(lost, err)
}

// lose marks the partitions as ones that fail in this flush.
func (f *flush) lose(lost map[base.TopicPartition]struct{}) {
	for tp := range lost {
		if _, ok := f.partitions[tp]; !ok {
			continue
		}
		if f.lost == nil {
			f.lost = map[base.TopicPartition]struct{}{}
		}
		f.lost[tp] = struct{}{}
	}
}

// empty tells whether nothing is left of the flush that may be committed.
func (f *flush) empty() bool { return len(f.lost) == len(f.partitions) }

// extents are those to commit. One of a lost partition stays, so that the others keep their indexes, but has no batches:
// its bytes lie in the object and get no offsets.
func (f *flush) extents() []*metalogpb.ExtentMeta {
	if len(f.lost) == 0 {
		return f.built.Extents
	}
	out := make([]*metalogpb.ExtentMeta, len(f.built.Extents))
	for i, e := range f.built.Extents {
		out[i] = e
		if _, ok := f.lost[base.TopicPartition{Topic: base.TopicID(e.TopicId), Partition: e.Partition}]; ok {
			out[i] = &metalogpb.ExtentMeta{TopicId: e.TopicId, Partition: e.Partition, Position: e.Position, Length: e.Length}
		}
	}
	return out
}

func overlap(a, b map[base.TopicPartition]struct{}) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	for tp := range a {
		if _, ok := b[tp]; ok {
			return true
		}
	}
	return false
}

// fail answers a flush's requests with a retriable error, once its upload reads their bytes no more: until then it only
// holds the producers to their sequences.
func (l *loop) fail(f *flush, err error) {
	if f.answered {
		return
	}
	if f.failed == nil {
		f.failed = err
		for _, r := range f.requests {
			l.poison.add(r, l.a.deps.Now())
		}
	}
	if f.put == putting {
		return
	}
	f.answered = true
	for _, r := range f.requests {
		l.a.finish(r, f.failed)
	}
}
