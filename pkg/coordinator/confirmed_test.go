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

// What is remembered has no gap, is what the replica lacks, and has a bound; another log's begins anew.
func TestConfirmedIsBounded(t *testing.T) {
	var c confirmed
	add := func(incarnation string, seq, applied base.Seq) {
		c.add(incarnation, metastore.RawEntry{Seq: seq, Value: []byte{byte(seq)}}, applied)
	}
	for seq := base.Seq(1); seq <= 3*feedEntries; seq++ {
		add("i", seq, 0)
	}
	if got := c.from("i", 2*feedEntries+1); len(got) != feedEntries || got[0].Seq != 2*feedEntries+1 || c.from("i", 2*feedEntries) != nil || c.bytes != feedEntries {
		t.Fatalf("%d entries, %d bytes", len(got), c.bytes)
	}
	add("i", 3*feedEntries+1, 3*feedEntries-1)
	if got := c.from("i", 3*feedEntries); len(got) != 2 || c.from("i", 3*feedEntries-1) != nil || c.from("j", 3*feedEntries) != nil {
		t.Fatalf("%d entries", len(got))
	}
	add("j", 9, 8)
	if got := c.from("j", 9); len(got) != 1 || len(c.entries) != 1 || c.head.Seq != 9 || c.bytes != 1 {
		t.Fatalf("%d entries of %d", len(got), len(c.entries))
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
