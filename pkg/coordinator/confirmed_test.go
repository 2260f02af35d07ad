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

// chain makes n entries that follow a head.
func chain(t *testing.T, at metastore.Head, n int) (out []metastore.RawEntry) {
	t.Helper()
	for range n {
		value, err := metastore.EncodeEntry(&metalogpb.Entry{Seq: uint64(at.Seq + 1), PrevHash: at.Hash[:], TimeMs: int64(n)})
		if err != nil {
			t.Fatal(err)
		}
		at = metastore.Head{Seq: at.Seq + 1, Hash: metastore.HashOf(value)}
		out = append(out, metastore.RawEntry{Seq: at.Seq, Value: value})
	}
	return out
}

// C8: what is in the archive already, of the same history, is gone on behind; beside another history nothing is archived.
func TestArchiveOfSomebodyElse(t *testing.T) {
	log, other := chain(t, metastore.Head{}, 6), chain(t, metastore.Head{}, 7)
	for name, x := range map[string]struct {
		there []metastore.RawEntry
		other bool
	}{
		"less of the same":                {log[:1], false},
		"more of the same":                {log, false},
		"another":                         {other[:1], true},
		"the same, and another behind it": {append(log[:2:2], other[2]), true},
		"more than etcd has":              {append(log[:6:6], other[6]), true},
	} {
		t.Run(name, func(t *testing.T) {
			cl, ctx := newCluster(t), t.Context()
			metalog := cl.server.Open(nil)
			term, err := metalog.Campaign(ctx, "one", "")
			if err != nil {
				t.Fatal(err)
			}
			for i, at := 0, (metastore.Head{}); i < len(log); i++ {
				if err := term.Append(ctx, metastore.Guard{Head: at}, log[i].Value); err != nil {
					t.Fatal(err)
				}
				at = metastore.Head{Seq: log[i].Seq, Hash: metastore.HashOf(log[i].Value)}
			}
			objects := objstore.AsObjects(cl.bucket)
			writer := archive.NewWriter(objects, cl.position().Incarnation)
			if _, err := writer.Archive(ctx, x.there); err != nil {
				t.Fatal(err)
			}
			a := &archiver{c: &Coordinator{cfg: Config{Log: metalog}}, incarnation: cl.position().Incarnation, writer: writer}
			for given := log[:2]; len(given) > 0 && err == nil; { // at first, what the leader has applied of it
				var p *metalogpb.Pointer
				if p, err = a.put(ctx, given); err == nil {
					given = log[p.Seq:]
				}
			}
			if x.other != (errors.Is(err, replica.ErrAhead) && errors.Is(err, base.ErrCorrupt) && strings.Contains(err.Error(), "another entry")) || !x.other && err != nil {
				t.Fatal(err)
			}
			if end, err := archive.NewReader(objects).End(ctx, cl.position().Incarnation); err != nil || !x.other && end != 6 || x.other && int(end) != len(x.there) {
				t.Fatalf("the archive ends at %d: %v", end, err)
			}
		})
	}
}

// The walk of put: what is another incarnation's is not archived as entries of the term's own.
func TestArchiveOfAnotherIncarnation(t *testing.T) {
	cl := newCluster(t)
	metalog := cl.server.Open(nil)
	if _, err := metalog.Campaign(t.Context(), "one", ""); err != nil {
		t.Fatal(err)
	}
	objects := objstore.AsObjects(cl.bucket)
	a := &archiver{c: &Coordinator{cfg: Config{Log: metalog}}, incarnation: "before", writer: archive.NewWriter(objects, "before")}
	_, err := a.put(t.Context(), chain(t, metastore.Head{}, 2))
	if end, endErr := archive.NewReader(objects).End(t.Context(), "before"); !errors.Is(err, metastore.ErrDeposed) || end != 0 || endErr != nil {
		t.Fatalf("%v; the archive ends at %d, %v", err, end, endErr)
	}
}

// A damaged object of the archive's keeps nobody from leading a sound etcd: it is read by who needs it.
func TestTakeoverWithADamagedArchive(t *testing.T) {
	cl := newCluster(t)
	one := cl.lead("one")
	two := cl.start("two", nil)
	one.retried("create x", func() error { return one.emit(created("x")) })
	one.until("archives all", func() bool { p := cl.position(); return p.Archive != nil && p.Archive.Seq == uint64(p.Head.Seq) })
	two.endOf("x")
	key := cl.position().Archive.Object
	one.end()
	if err := errors.Join(cl.bucket.Delete(t.Context(), key), cl.bucket.Put(t.Context(), key, objstore.Payload{[]byte("damaged")})); err != nil {
		t.Fatal(err)
	}
	two.until("leads", two.Leading)
}

// Nor does a coordinator that lost its etcd add what it remembers to an archive that somebody has continued otherwise.
func TestTailOfAnotherHistory(t *testing.T) {
	cl := newCluster(t)
	m := cl.lead("one")
	m.retried("create x", func() error { return m.emit(created("x")) })
	m.endOf("x")
	entries, _, _ := m.feed.from(1)
	if err := chained(metastore.Head{}, entries); err != nil || len(entries) < 2 {
		t.Fatalf("%d entries: %v", len(entries), err)
	}
	if err := chained(metastore.Head{Seq: 1, Hash: metastore.Hash{1}}, entries[1:]); !errors.Is(err, metastore.ErrChain) {
		t.Fatal(err)
	}
}
