package appender

import (
	"bytes"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
)

// keeper keeps the extents of one partition.
type keeper struct {
	partition int32

	mu      sync.Mutex
	stored  map[base.ObjectID][]extent
	dropped int
}

type extent struct {
	keeper   *keeper
	data     []byte
	position int64
}

func (k *keeper) keep(tp base.TopicPartition, batches objstore.Payload) Kept {
	if tp.Partition != k.partition {
		return nil
	}
	return &extent{keeper: k, data: batches.Bytes()}
}

func (e *extent) Stored(object base.ObjectID, position int64) {
	e.keeper.mu.Lock()
	defer e.keeper.mu.Unlock()
	e.position = position
	e.keeper.stored[object] = append(e.keeper.stored[object], *e)
}

func (e *extent) Drop() {
	e.keeper.mu.Lock()
	defer e.keeper.mu.Unlock()
	e.keeper.dropped++
}

func (k *keeper) of(n base.ObjectNumber) []extent {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.stored[base.ObjectID{Session: 1, Number: n}]
}

func newKeepingWorld(t *testing.T, cfg Config, faults fault.Options) (*world, *keeper) {
	w := newWorld(t, cfg, faults)
	k := &keeper{partition: 3, stored: map[base.ObjectID][]extent{}}
	w.a.deps.Keep = k.keep
	return w, k
}

// What is kept is what lies in the object at its place, and it is there before the commit is sent.
func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, k := newKeepingWorld(t, Config{}, fault.Options{})
		defer w.stop()
		w.seq.before = func(req *metalogpb.CommitRequest) error {
			if n := len(k.of(base.ObjectNumber(req.Number))); n != 1 {
				t.Errorf("%d extents are kept when commit %d comes, want 1", n, req.Number)
			}
			return nil
		}
		w.get(w.append(t.Context(), makeBatch(1, 7, 0, 1, 10), makeBatch(3, 7, 0, 1, 20), makeBatch(3, 7, 1, 1, 30), makeBatch(4, 7, 0, 1, 40)))
		kept := k.of(1)
		if len(kept) != 1 {
			t.Fatalf("%d extents are kept, want 1", len(kept))
		}
		there := make([]byte, len(kept[0].data))
		if err := w.counts.GetRange(t.Context(), base.ObjectID{Session: 1, Number: 1}.Key(), kept[0].position, there); err != nil {
			t.Fatal(err)
		}
		both := append(makeBatch(3, 7, 0, 1, 20).Bytes, makeBatch(3, 7, 1, 1, 30).Bytes...)
		if !bytes.Equal(kept[0].data, both) || !bytes.Equal(there, both) {
			t.Errorf("%d bytes are kept, %d lie there, want the %d of both batches", len(kept[0].data), len(there), len(both))
		}
	})
}

// The second PUT of a slow object wins: what is kept is found under its number. An object that cannot be stored keeps nothing.
func TestKeepTheObjectThatStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := putTakes(map[base.ObjectNumber]time.Duration{3: 10 * time.Second})
		faults.Hook = func(op objstore.Op, key string, phase fault.Phase) error {
			if op == objstore.OpPut && phase == fault.Before && isObject(key, 5) {
				return errFinal
			}
			return nil
		}
		w, k := newKeepingWorld(t, hedged(), faults)
		defer w.stop()
		w.ok(w.append(t.Context(), makeBatch(3, 7, 0, 1, 10)), 0)
		w.ok(w.append(t.Context(), makeBatch(3, 7, 1, 1, 10)), 1)
		if len(k.of(3)) != 0 || len(k.of(4)) != 1 {
			t.Errorf("%d extents are kept under the number that was abandoned, %d under the one that stands", len(k.of(3)), len(k.of(4)))
		}
		w.retriable(w.append(t.Context(), makeBatch(3, 7, 2, 1, 10)))
		if len(k.of(5)) != 0 || len(k.of(6)) != 0 || k.dropped != 1 {
			t.Errorf("%d and %d extents are kept of an object that is not there, %d were dropped", len(k.of(5)), len(k.of(6)), k.dropped)
		}
	})
}
