package coordinator

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// The walk of mayFound: an empty etcd, and a bucket that has records but no archive.
func TestNoClusterOverRecords(t *testing.T) {
	cl := newCluster(t)
	key := base.ObjectID{Session: 7, Number: 1}.Key()
	if err := cl.bucket.Put(t.Context(), key, objstore.Payload{[]byte("x")}); err != nil {
		t.Fatal(err)
	}
	m := cl.start("one", nil)
	select {
	case err := <-m.ended:
		m.ended <- err
		if !errors.Is(err, base.ErrCorrupt) || !strings.Contains(err.Error(), key) || cl.head() != 0 {
			t.Fatalf("%v; the log is at seq %d", err, cl.head())
		}
	case <-time.After(patience):
		t.Fatal("it founds a cluster")
	}
}

// otherwise archives an entry that is of another history than what the log has at that seq.
func (c *cluster) otherwise(at base.Seq) {
	c.t.Helper()
	value, err := metastore.EncodeEntry(&metalogpb.Entry{Seq: uint64(at), PrevHash: make([]byte, len(metastore.Hash{})), TimeMs: 1})
	if err == nil {
		_, err = archive.NewWriter(objstore.AsObjects(c.bucket), c.position().Incarnation).Archive(c.t.Context(), []metastore.RawEntry{{Seq: at, Value: value}})
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// The walk of sameHistory: a young term archives nothing beside what another coordinator remembered.
func TestArchiveOfAnotherHistory(t *testing.T) {
	cl := newCluster(t)
	m := cl.lead("one")
	cl.otherwise(1)
	a := &archiver{c: m.Coordinator, incarnation: cl.position().Incarnation, began: m.cfg.Now()}
	if err := a.step(t.Context()); !errors.Is(err, replica.ErrAhead) || !errors.Is(err, base.ErrCorrupt) || !strings.Contains(err.Error(), "another entry 1") {
		t.Fatal(err)
	}
}

// Nor does a coordinator that lost its etcd add what it remembers to an archive that somebody has continued otherwise.
func TestTailOfAnotherHistory(t *testing.T) {
	cl := newCluster(t)
	m := cl.lead("one")
	m.retried("create x", func() error { return m.emit(created("x")) })
	m.endOf("x")
	entries, _, _ := m.feed.from(1)
	if all, at, err := chained(metastore.Head{}, entries); err != nil || len(all) != len(entries) || at.Seq != base.Seq(len(entries)) || len(entries) < 2 {
		t.Fatalf("%d of %d entries up to seq %d: %v", len(all), len(entries), at.Seq, err)
	}
	if _, _, err := chained(metastore.Head{Seq: 1, Hash: metastore.Hash{1}}, entries[1:]); !errors.Is(err, metastore.ErrChain) {
		t.Fatal(err)
	}
}
