package sim

import (
	"context"
	"errors"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/fetcher"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
	memstore "github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
)

const linkName = "a-to-b"

// Region is one region: a metalog, a bucket, and the processes on them. Its oracle follows the log without faults.
type Region struct {
	w       *World
	name    string
	number  base.RegionNumber
	cluster base.ClusterID

	server *memory.Server
	bucket *memstore.Store
	truth  *memory.Log // reads without faults
	stores []*fault.Store

	coordinators []*coord
	agents       []*agent
	nodes        int32

	oracle *state.State
	head   metastore.Head
	loss   *loss    // of its etcd; nil in a world without it
	down   bool     // etcd has lost its data, or was set back, and is not restored
	frozen base.Seq // the head when a higher epoch's fence was first seen, 0 for never
}

func newRegion(w *World, name string, number base.RegionNumber) *Region {
	r := &Region{w: w, name: name, number: number, cluster: base.ClusterID{byte(number)}, server: memory.NewServer(), bucket: memstore.New(), oracle: state.New()}
	r.server.NewNonce = func() []byte {
		nonce := make([]byte, 16)
		for i := range nonce {
			nonce[i] = byte(w.rng.IntN(256))
		}
		return nonce
	}
	r.truth = r.server.Open(nil)
	claim := objstore.Claim{ClusterID: r.cluster, KafkaClusterID: "sim", Region: number}
	if err := objstore.ClaimBucket(context.Background(), r.bucket, claim); err != nil {
		w.fail("claim the bucket: %v", err)
	}
	for i := range 2 {
		r.coordinators = append(r.coordinators, newCoord(r, i))
	}
	for range 2 {
		r.startAgent(0)
	}
	return r
}

// startAgent starts an agent process; node 0 takes a new node id.
func (r *Region) startAgent(node int32) *agent {
	if node == 0 {
		r.nodes++
		node = r.nodes + int32(r.number-1)*1000
	}
	a := &agent{r: r, node: node, store: r.openBucket(false), log: r.openLog(false)}
	a.fetcher = fetcher.New(fetcher.Config{Store: a.store, CacheBytes: 1000})
	r.agents = append(r.agents, a)
	return a
}

// openLog is a process's handle on the metalog. remote: it is a process of the other region, which a cut keeps off.
func (r *Region) openLog(remote bool) *memory.Log {
	return r.server.Open(func(op string, phase memory.Phase) error {
		if remote && r.w.cut || r.w.chance(60) {
			return fmt.Errorf("%s, phase %d: %w", op, phase, base.ErrUnavailable)
		}
		return nil
	})
}

// openBucket is a process's handle on the bucket.
func (r *Region) openBucket(remote bool) *fault.Store { return r.openFaulty(remote, 60) }

// openFaulty is a handle of which one call in n fails.
func (r *Region) openFaulty(remote bool, n int) *fault.Store {
	s := fault.New(r.bucket, fault.Options{Hook: func(op objstore.Op, _ string, phase fault.Phase) error {
		switch {
		case remote && r.w.cut, r.w.chance(n):
			return fault.ErrInjected
		case op == objstore.OpPut && phase == fault.Before && r.w.chance(80):
			return fault.ErrLate
		}
		return nil
	}})
	r.stores = append(r.stores, s)
	return s
}

// landLate delivers the requests that were on their way.
func (r *Region) landLate() {
	for _, s := range r.stores {
		if _, err := s.Land(context.Background()); err != nil {
			r.w.fail("late requests: %v", err)
		}
	}
}

// leader is a process that believes that it leads: a command goes to one of them, which may be wrong.
func (r *Region) leader() *coord {
	var found []*coord
	for _, c := range r.coordinators {
		if c.term != nil {
			found = append(found, c)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found[r.w.rng.IntN(len(found))]
}

// submit sends a command to a leader. Both the command and its answer may be lost: then nobody ever answers.
func (r *Region) submit(cmd command) {
	c := r.leader()
	if c == nil || r.w.chance(50) {
		return
	}
	if r.w.chance(50) {
		whole := cmd
		cmd = func(tx *tx) {
			if tx != nil {
				tx.mute = true
			}
			whole(tx)
		}
	}
	c.queue = append(c.queue, cmd)
}

func (r *Region) link() *state.Link { return r.oracle.Link(linkName) }

// flip is the flip that made this region the primary, nil when there was none.
func (r *Region) flip() *metalogpb.RegionFlipped {
	if l := r.link(); l != nil {
		return l.Info().Flip
	}
	return nil
}

// isFenced tells whether a higher epoch's fence is in the region's metalog.
func (r *Region) isFenced() bool {
	pos, err := r.truth.Position(context.Background())
	if err != nil {
		r.w.fail("read the truth: %v", err)
		return false
	}
	return pos.Fence != nil && r.oracle.Region().Yields(base.Epoch(pos.Fence.Epoch))
}

// readLog reads entries from seq on out of the metalog, or out of the archive behind it.
func readLog(log *memory.Log, objects archive.Objects, incarnation string, from base.Seq) ([]metastore.RawEntry, error) {
	entries, err := log.Read(context.Background(), from, 1<<20)
	if errors.Is(err, metastore.ErrTrimmed) {
		return archive.NewReader(objects).Read(context.Background(), incarnation, from, 1<<20)
	}
	return entries, err
}

func fenceOf(epoch base.Epoch, by string, now int64) *metalogpb.Fence {
	return &metalogpb.Fence{Epoch: int32(epoch), Role: coordinator.RoleFenced, By: by, TimeMs: now}
}
