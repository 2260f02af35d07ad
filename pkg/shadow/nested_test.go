package shadow

import (
	"errors"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// adopt makes src's state the image of r's link, as a runner does that begins from a snapshot.
func (r *region) adopt(src *region) {
	r.t.Helper()
	payload, err := src.seq.State().Snapshot()
	if err != nil {
		r.t.Fatal(err)
	}
	blob, err := archive.PutBlob(r.t.Context(), objstore.AsObjects(r.bucket), payload)
	if err != nil {
		r.t.Fatal(err)
	}
	at := src.seq.Head()
	r.emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkAdopted{LinkAdopted: &metalogpb.LinkAdopted{
		Link: "l", SourceSeq: uint64(at.Seq), SourceHash: at.Hash[:], SnapshotBlob: blob[:],
	}}}, payload)
}

// reload replays everything from the log and the bucket alone, as a replica does.
func (r *region) reload() *state.State {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	st := state.New()
	for _, raw := range r.entries {
		in, err := state.Decode(raw)
		if err != nil {
			r.t.Fatal(err)
		}
		in.Blobs = blobs{}
		for _, h := range in.Entry.Blobs {
			if in.Blobs[[32]byte(h)], err = archive.GetBlob(r.t.Context(), objstore.AsObjects(r.bucket), [32]byte(h)); err != nil {
				r.t.Fatal(err)
			}
		}
		if _, err := st.Apply(in); err != nil {
			r.t.Fatal(err)
		}
	}
	return st
}

// A source that has a link of its own, which began from a snapshot, is followed from its first entry: the snapshot comes
// along, into this region's bucket, and further down to whoever follows this region. A link that begins from a snapshot of
// such a source finds its link in there.
func TestSourceThatAdopted(t *testing.T) {
	a, b, c, d := newRegion(t, 1), newRegion(t, 2), newRegion(t, 3), newRegion(t, 4)
	a.topic("x")
	a.produce(to{"x", 0, 2, 'a'})
	b.shadow(a, "*")
	b.adopt(a)
	b.topic("own")
	b.produce(to{"own", 0, 1, 'b'})
	c.shadow(b, "*")
	l := follow(t, b, c)
	l.caughtUp()
	l.atSource(func(b *region) { b.produce(to{"own", 1, 1, 'c'}) })
	l.caughtUp()
	c.sameImage(b)
	d.shadow(c, "*")
	l = follow(t, c, d)
	l.caughtUp()
	digest, err := d.seq.State().Digest()
	if again, err2 := d.reload().Digest(); err != nil || err2 != nil || again != digest {
		t.Errorf("a replica of d is another: %v, %v", err, err2)
	}
	l.b.With(func(st *state.State) {
		inner := st.Link("l").Image().Link("l").Image().Link("l")
		if inner == nil || inner.Image().TopicByName("x").Partition(0).End != 2 {
			t.Error("the image of the image of the image does not have the topic")
		}
	})
	e := newRegion(t, 5)
	e.shadow(c, "*")
	e.adopt(c)
	e.sameImage(c)
	l = follow(t, c, e)
	l.atSource(func(c *region) { c.topic("late"); c.produce(to{"late", 0, 1, 'd'}) })
	l.caughtUp()
	l.until("has the bytes", func(x *state.Link) bool { return missingBytes(x) == 0 })
}

// A blob that the source has lost faults the link with its name; one that is out of reach is waited for.
func TestBlobThatIsLost(t *testing.T) {
	a, b, c := newRegion(t, 1), newRegion(t, 2), newRegion(t, 3)
	b.shadow(a, "*")
	b.adopt(a)
	blobs, err := b.bucket.List(t.Context(), "meta/blob/", "", 9)
	if err != nil || len(blobs) != 1 {
		t.Fatal(blobs, err)
	}
	b.remove(blobs[0].Key)
	c.shadow(b, "*")
	l := follow(t, b, c)
	l.until("was faulted", func(x *state.Link) bool { return x.Info().Fault != "" })
	if _, err := c.bucket.Get(t.Context(), blobs[0].Key, 1<<20); !errors.Is(err, base.ErrNotFound) {
		t.Errorf("the blob is in the bucket: %v", err)
	}
}

// What a source had copied before its own failover is copied from it, though the link was there before: without a start
// over of the link by hand, and with what is written after the failover. The link's own filter holds for it.
func TestSourceThatFailsOver(t *testing.T) {
	a, b, c := newRegion(t, 1), newRegion(t, 2), newRegion(t, 3)
	b.shadow(a, "*")
	a.topic("x1")
	a.topic("y")
	a.produce(to{"x1", 0, 2, 'a'}, to{"y", 0, 1, 'b'})
	b.copyAll(a)
	c.shadow(b, "x")
	l := follow(t, b, c)
	l.caughtUp()
	l.atSource(func(b *region) {
		b.flipOver()
		b.topics = a.topics
		var err error
		if b.session, err = b.seq.OpenSession(b.now, 1, ""); err != nil {
			t.Error(err)
		}
		b.land()
		b.produce(to{"x1", 0, 1, 'c'}, to{"x1", 1, 2, 'd'}, to{"y", 0, 1, 'e'})
	})
	l.caughtUp()
	l.until("has the bytes", func(x *state.Link) bool {
		topic := x.Image().TopicByName("x1")
		return topic.Partition(0).End == 3 && topic.Partition(1).End == 2 && missingBytes(x) == 0
	})
	l.b.With(func(st *state.State) {
		if st.Link("l").Image().TopicByName("y").Info().Visible {
			t.Error("a topic that the link does not want is shown")
		}
	})
	if got := c.deep(); !got.Equal || got.Partitions != 2 {
		t.Errorf("deep: %v", got)
	}
	c.sameImage(b)
}
