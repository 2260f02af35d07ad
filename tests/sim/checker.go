package sim

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/shadow"
)

// checker holds what clients were told and what the logs say, and compares. See the package comment for K1 to K24.
type checker struct {
	w       *World
	books   map[*Region]*book
	digests map[metastore.Hash]base.Digest // of A's state after each entry that it has had, by the entry's hash
	commits map[string]*attempt            // by what a commit carries as metadata
	gone    map[string]bool                // members of groups that were deleted since
	// producers are who was given which id.
	producers map[int64]*producer
	lost      int // acked by A and not at B, known at the end
}

// book is what a region's log holds.
type book struct {
	batches map[batchKey]written
	last    map[stream]lastWrite
	// forgotten is when a producer was found to be forgotten.
	forgotten map[stream]int64
	gaps      map[stream]bool    // the one forward gap that a flip or a restore allows was used
	restored  bool               // a restore allows gaps
	history                      // where a world loses an etcd
	lost      map[string]history // of the incarnations that were lost
	epoch     base.Epoch         // before the last loss
	behind    []ack              // acked behind what was restored
	acks      []ack
	logs      map[base.TopicPartition][]logged
	groups    map[string]*groupModel
	topics    map[base.TopicID]*topicModel
	past      []past                 // topics and groups after each event that changed them
	after     map[metastore.Hash]int // the place in past that each entry left
	// requests to delete something of a group, and to delete records
	deletes   map[string]int
	deletions map[deletion]bool
	// deletedTopics are those that were deleted, as somebody has asked to delete one of their name.
	deletedTopics map[base.TopicID]bool
	deletedNames  map[string]bool
	members       map[string]map[string]bool // that each group has had
}

// lastWrite is a producer's last batch in a partition.
type lastWrite struct {
	sequence int32 // the next one
	at       int64
}

type batchKey struct {
	producer int64
	seq      int32
}

type stream struct {
	producer int64
	tp       base.TopicPartition
}

type written struct {
	tp     base.TopicPartition
	offset base.Offset
	digest base.Digest
	at     int64 // event time
}

type ack struct {
	key batchKey
	written
}

func newChecker(w *World) *checker {
	return &checker{
		w: w, books: map[*Region]*book{}, digests: map[metastore.Hash]base.Digest{},
		commits: map[string]*attempt{}, gone: map[string]bool{}, producers: map[int64]*producer{},
	}
}

func (c *checker) book(r *Region) *book {
	if c.books[r] == nil {
		c.books[r] = &book{
			batches: map[batchKey]written{}, last: map[stream]lastWrite{}, gaps: map[stream]bool{}, forgotten: map[stream]int64{}, logs: map[base.TopicPartition][]logged{},
			groups: map[string]*groupModel{}, topics: map[base.TopicID]*topicModel{}, past: []past{{}}, after: map[metastore.Hash]int{{}: 0},
			deletes: map[string]int{}, deletions: map[deletion]bool{}, deletedTopics: map[base.TopicID]bool{}, deletedNames: map[string]bool{}, members: map[string]map[string]bool{}, lost: map[string]history{},
		}
	}
	return c.books[r]
}

// observe reads what is new in both logs. A first: B never runs ahead of it.
func (c *checker) observe() {
	for _, r := range []*Region{c.w.a, c.w.b} {
		c.lossSeen(r)
	}
	for _, r := range []*Region{c.w.a, c.w.b} {
		if r.loss.open() && !r.loss.seen {
			continue // what is there is not the log
		}
		entries, err := r.truth.Read(context.Background(), r.head.Seq+1, 1<<30)
		if err != nil {
			c.w.fail("read the log of region %s: %v", r.name, err)
			return
		}
		for _, raw := range entries {
			c.entry(r, raw)
			if c.w.problem != nil {
				return
			}
		}
		switch {
		case r.frozen == 0 && r.isFenced():
			r.frozen = r.head.Seq
		case r.frozen > 0 && r.head.Seq > r.frozen:
			c.w.fail("K5: region %s was fenced at seq %d and has an entry %d", r.name, r.frozen, r.head.Seq)
		}
	}
}

// entry applies one entry to the oracle and looks at what it did.
func (c *checker) entry(r *Region, raw metastore.RawEntry) {
	in, err := replica.Prepare(context.Background(), objstore.AsObjects(r.bucket), raw)
	if err == nil {
		_, err = r.oracle.Apply(in)
	}
	if err != nil {
		c.w.fail("K3: entry %d of region %s: %v", raw.Seq, r.name, err)
		return
	}
	r.head = r.oracle.Head()
	c.w.logf("entry %d of region %s: %d events", raw.Seq, r.name, len(in.Entry.Events))
	for _, ev := range in.Entry.Events {
		switch k := ev.Kind.(type) {
		case *metalogpb.Event_ObjectCommitted:
			c.object(r, r.oracle, k.ObjectCommitted, false)
			c.grown(r, k.ObjectCommitted)
		case *metalogpb.Event_IncarnationBegun:
			c.begun(r, k.IncarnationBegun)
		case *metalogpb.Event_LinkApplied:
			c.applied(k.LinkApplied)
		case *metalogpb.Event_LinkAdopted:
			c.adopted(k.LinkAdopted)
		case *metalogpb.Event_RegionFlipped:
			c.flipped()
			c.flippedTopics(k.RegionFlipped)
		default:
			c.topicEvent(r, ev)
			c.groupEvent(r, ev, in.Entry.TimeMs)
		}
		b := c.book(r)
		b.past = append(b.past, past{maps.Clone(b.topics), maps.Clone(b.groups)}) // models are replaced, not changed
	}
	c.sameGroups(r)
	c.sameTopics("region "+r.name, r.oracle, c.book(r).topics)
	c.references(r)
	c.remember(r)
	c.keep(r, raw)
}

// instant is where a region's log stands now, for sometime.
func (c *checker) instant(r *Region) int { return len(c.book(r).past) - 1 }

// sometime tells whether something was so at some instant from one on.
func (c *checker) sometime(r *Region, from int, so func(past) bool) bool {
	return slices.ContainsFunc(c.book(r).past[from:], so)
}

// at is what a region was after an entry.
func (b *book) at(entry metastore.Hash) past { return b.past[b.after[entry]] }

// remember keeps what a region is after the entry.
func (c *checker) remember(r *Region) {
	at := r.oracle.Head()
	c.book(r).after[at.Hash] = c.instant(r)
	if r == c.w.b {
		return
	}
	digest, err := r.oracle.LogicalDigest()
	if err != nil {
		c.w.fail("digest of A at %d: %v", at.Seq, err)
	}
	c.digests[at.Hash] = digest
}

// acked takes what a client was told (K1).
func (c *checker) acked(r *Region, b *pbatch) {
	key := batchKey{b.p.id, b.seq}
	w, ok := c.book(r).batches[key]
	if !ok || w.offset != base.Offset(b.offset) || w.tp != b.p.tp {
		c.w.fail("K1: %s was told that sequence %d is at offset %d of region %s, the log has %+v (%v)", b.p, b.seq, b.offset, r.name, w, ok)
		return
	}
	c.book(r).acks = append(c.book(r).acks, ack{key, w})
}

// applied holds K6 after a step of the image.
func (c *checker) applied(ev *metalogpb.LinkApplied) {
	image := c.w.b.link().Image()
	if c.w.b.flip() != nil {
		image = c.w.b.oracle // the flip is in the same entry: what was the image is the region's own now
	}
	e, err := metastore.DecodeEntry(ev.Entry)
	if err != nil {
		c.w.fail("K6: %v", err)
		return
	}
	if c.w.b.flip() == nil {
		c.image(image, base.Seq(e.Seq))
	}
	for _, ev := range e.Events {
		if k, ok := ev.Kind.(*metalogpb.Event_ObjectCommitted); ok {
			c.object(c.w.b, image, k.ObjectCommitted, true)
		}
	}
}

// image compares the image with what A was at seq. An entry of B's log can hold several steps: it is looked at after the last.
func (c *checker) image(image *state.State, seq base.Seq) {
	if image.Head().Seq != seq {
		return
	}
	digest, err := image.LogicalDigest()
	want, had := c.digests[image.Head().Hash]
	if err != nil || !had || digest != want {
		c.w.fail("K6: the image at seq %d has digest %s, A had %s (%v)", seq, digest, want, err)
	}
	at := c.book(c.w.a).at(image.Head().Hash).topics
	c.sameTopics("the image", image, at)
	c.sameShown(image, at)
}

// object looks at the spans of a commit, as they lie in the region's bucket (K2, K3, K4).
func (c *checker) object(r *Region, st *state.State, ev *metalogpb.ObjectCommitted, copied bool) {
	for _, te := range ev.Topics {
		id := base.TopicID(te.TopicId)
		t := st.Topic(id)
		gone := t == nil && (copied || c.book(r).topics[id] != nil)
		if !gone && (t == nil || !t.Info().Visible) {
			continue
		}
		for _, sc := range te.Spans {
			tp := base.TopicPartition{Topic: id, Partition: sc.Partition}
			var p *state.Partition
			if !gone {
				p = t.Partition(sc.Partition)
			}
			if gone || p.LogStart > base.Offset(sc.LastOffset) { // deleted since, in the same entry
				if copied {
					c.copied(tp, base.Offset(sc.BaseOffset), base.Offset(sc.LastOffset))
				} else {
					c.deletedSince(r, tp, ev, sc)
				}
				continue
			}
			i := p.FindSpan(base.Offset(sc.BaseOffset))
			if i == len(p.Spans) || p.Spans[i].Base != base.Offset(sc.BaseOffset) || p.Spans[i].Residency != state.Local {
				c.w.fail("K4: region %s: offset %d of %s is not in its bucket", r.name, sc.BaseOffset, tp)
				return
			}
			c.span(r, tp, p.Spans[i])
		}
	}
}

// deletedSince enters a span of a region's own that is in the state no more.
func (c *checker) deletedSince(r *Region, tp base.TopicPartition, ev *metalogpb.ObjectCommitted, sc *metalogpb.SpanCommitted) {
	object := base.ObjectID{Session: base.SessionID(ev.Session), Number: base.ObjectNumber(ev.Number)}
	c.span(r, tp, state.Span{Base: base.Offset(sc.BaseOffset), Last: base.Offset(sc.LastOffset), Object: object, Position: sc.Position, Length: sc.Length})
}

// final holds K8, and that all replicas and all bytes are what the logs say.
func (c *checker) final() {
	c.restored()
	c.missing()
	for _, r := range []*Region{c.w.a, c.w.b} {
		r.readAll()
		c.archived(r)
	}
	for _, r := range []*Region{c.w.a, c.w.b} {
		want, err := r.oracle.Snapshot()
		if err != nil {
			c.w.fail("snapshot: %v", err)
		}
		for _, x := range r.coordinators {
			x.replica = nil // from the bucket, as a new process
			if _, err := x.refresh(); err != nil {
				c.w.fail("%s: start from snapshot, archive and log: %v", x, err)
				return
			}
			x.replica.SetIncarnation(r.oracle.Incarnation())
			if got, err := x.replica.Snapshot(); err != nil || !bytes.Equal(got, want) {
				c.w.fail("S1: %s started from snapshot, archive and log is not what the log says (%v)", x, err)
			}
		}
	}
	deep, err := shadow.VerifyDeep(context.Background(), c.w.b.bucket, func(fn func(*state.State)) { fn(c.w.b.oracle) }, linkName)
	if f := c.w.b.link().Info().Fault; f != "" && err == nil {
		for _, m := range deep.Mismatches { // it says so (K21), its backfill may have ended with it, and no byte is wrong
			if !strings.Contains(m.Reason, f) && !strings.Contains(m.Reason, "not in this region's bucket yet") {
				c.w.fail("K6: verify --deep of a link that is FAULTED: %v", m)
			}
		}
		return
	}
	if err != nil || !deep.Equal {
		c.w.fail("K6: verify --deep: %v, %v", deep, err)
	}
}

// missing compares what A acked with what B has, by the boundary of the flip.
func (c *checker) missing() {
	l := c.w.b.link()
	if c.w.plan == NoFailover || c.w.problem != nil {
		return
	}
	boundary := map[base.TopicPartition]base.Offset{}
	for _, b := range l.Info().Boundary {
		boundary[b.Partition] = b.End
	}
	for _, a := range c.book(c.w.a).acks {
		at, there := c.book(c.w.b).batches[a.key]
		below := a.offset < boundary[a.tp]
		if below && there && (at.tp != a.tp || at.offset != a.offset || at.digest != a.digest) {
			c.w.fail("K8: %s is at B as %s", a, fmt.Sprint(at))
		}
		// A copy of a lost batch may have waited at B since before the flip: then it is not lost after all.
		late := there && at.offset >= boundary[a.tp]
		if there != below && !late {
			c.w.fail("K8: %s is at B: %v; the boundary is %d", a, there, boundary[a.tp])
		}
		t := c.w.a.oracle.Topic(a.tp.Topic)
		if !there && t != nil && t.Info().Name != private {
			c.lost++
		}
	}
	if c.w.plan.fences() && c.lost > 0 {
		c.w.fail("K8: a fenced failover lost %d batches that A had acked", c.lost)
	}
}

func (a ack) String() string {
	return fmt.Sprintf("sequence %d of producer %d, acked at %s offset %d,", a.key.seq, a.key.producer&0xffff, a.tp, a.offset)
}
