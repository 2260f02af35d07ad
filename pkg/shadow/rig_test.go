package shadow

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/batchtest"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
	"github.com/gnomon-stream/gnomon/pkg/objlog/segment"
)

// region is a region that the test drives by hand: a sequencer whose entries are confirmed at once, and a bucket.
type region struct {
	t       *testing.T
	mu      sync.Mutex
	seq     *coordinator.Sequencer
	number  base.RegionNumber
	entries []metastore.RawEntry
	bucket  *memory.Store
	session base.SessionID
	topics  map[string]base.TopicID
	now     int64
}

func newRegion(t *testing.T, number base.RegionNumber) *region {
	r := &region{
		t: t, seq: coordinator.NewSequencer(state.New(), []byte{byte(number)}), number: number, bucket: memory.New(), topics: map[string]base.TopicID{}, now: 1000,
	}
	cluster := r.cluster()
	r.emit(&metalogpb.Event{Kind: &metalogpb.Event_ClusterCreated{ClusterCreated: &metalogpb.ClusterCreated{
		ClusterId: cluster[:], KafkaClusterId: "pair", RegionNumber: int32(number), RegionName: "r", Epoch: int32(number),
	}}})
	var err error
	if r.session, err = r.seq.OpenSession(r.now, 1, ""); err != nil {
		t.Fatal(err)
	}
	r.land()
	return r
}

func (r *region) cluster() base.ClusterID { return base.ClusterID{byte(r.number)} }

func (r *region) emit(ev *metalogpb.Event, blobs ...[]byte) {
	r.t.Helper()
	if err := r.seq.Emit(r.now, ev, blobs...); err != nil {
		r.t.Fatal(err)
	}
	r.land()
}

func (r *region) land() {
	r.t.Helper()
	for r.seq.Pending() {
		value, _, before, err := r.seq.Next()
		if err != nil {
			r.t.Fatal(err)
		}
		r.entries = append(r.entries, metastore.RawEntry{Seq: before.Seq + 1, Value: value})
	}
}

// topic creates a topic of two partitions.
func (r *region) topic(name string) base.TopicID {
	r.t.Helper()
	id := base.TopicID{byte(len(r.topics) + 1), byte(r.number)}
	r.topics[name] = id
	r.emit(&metalogpb.Event{Kind: &metalogpb.Event_TopicCreated{TopicCreated: &metalogpb.TopicCreated{TopicId: id[:], Name: name, Partitions: 2}}})
	return id
}

// to is a batch to produce.
type to struct {
	topic     string
	partition int32
	records   int32
	value     byte
}

// produce writes one object with these batches, and commits it.
func (r *region) produce(batches ...to) base.ObjectID {
	r.t.Helper()
	id := base.ObjectID{Session: r.session, Number: r.seq.State().Session(r.session).Floor + 1}
	var list []segment.Batch
	for _, b := range batches {
		raw := batchtest.Make(batchtest.Spec{Records: b.records, Value: b.value, Timestamp: r.now})
		h, _, err := batch.Parse(raw)
		if err != nil {
			r.t.Fatal(err)
		}
		list = append(list, segment.Batch{Topic: r.topics[b.topic], Partition: b.partition, Header: h, Digest: batch.Digest(raw), Bytes: raw})
	}
	built := segment.Build(segment.Header{Cluster: r.cluster(), Session: id.Session, Number: id.Number}, list)
	r.put(id.Key(), built.Payload.Bytes())
	if _, err := r.seq.Commit(r.now, &metalogpb.CommitRequest{
		Session: uint64(id.Session), Number: uint64(id.Number), Size: built.Size, Extents: built.Extents,
	}); err != nil {
		r.t.Fatal(err)
	}
	r.land()
	return id
}

func (r *region) put(key string, value []byte) {
	r.t.Helper()
	if err := r.bucket.Put(r.t.Context(), key, objstore.Payload{value}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *region) get(key string) []byte {
	r.t.Helper()
	value, err := r.bucket.Get(r.t.Context(), key, 1<<30)
	if err != nil {
		r.t.Fatal(err)
	}
	return bytes.Clone(value)
}

// keys lists the segment objects of the bucket.
func (r *region) keys() []string {
	r.t.Helper()
	infos, err := r.bucket.List(r.t.Context(), "data/", "", 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, i := range infos {
		out = append(out, i.Key)
	}
	return out
}

// remove takes an object away.
func (r *region) remove(key string) {
	r.t.Helper()
	if err := r.bucket.Delete(r.t.Context(), key); err != nil {
		r.t.Fatal(err)
	}
}

// flip changes one bit of an object.
func (r *region) flip(key string, at int, bit byte) {
	r.t.Helper()
	value := r.get(key)
	value[at] ^= bit
	r.remove(key)
	r.put(key, value)
}

// shadow makes r a shadow of src, by a link named "l" that wants topics by prefix.
func (r *region) shadow(src *region, prefix string) *state.Link {
	r.t.Helper()
	filter := &metalogpb.Filter{PatternType: "PREFIX", FilterType: "INCLUDE", Name: prefix}
	if prefix == "*" {
		filter.PatternType = "LITERAL"
	}
	cluster := src.cluster()
	r.emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkCreated{LinkCreated: &metalogpb.LinkCreated{
		Config: &metalogpb.LinkConfig{Name: "l", TopicFilters: []*metalogpb.Filter{filter}}, SourceClusterId: cluster[:], SourceRegionNumber: int32(src.number),
	}}})
	return r.link()
}

func (r *region) link() *state.Link { return r.seq.State().Link("l") }

// Tx of the leader: State is in the shape of Tx.
type regionTx struct{ r *region }

func (x regionTx) State() *state.State { return x.r.seq.State() }
func (x regionTx) Now() int64          { return x.r.now }
func (x regionTx) Emit(ev *metalogpb.Event, blobs ...[]byte) error {
	return x.r.seq.Emit(x.r.now, ev, blobs...)
}

// Do and the rest make a region the Metalog of a Runner: everything that is decided is confirmed at once.
func (r *region) Do(_ context.Context, fn func(Tx) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := fn(regionTx{r})
	r.land()
	return err
}

func (r *region) OpenLinkSession(_ context.Context, link string) (base.SessionID, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id, err := r.seq.OpenSession(r.now, 0, link)
	r.land()
	return id, err
}

func (r *region) With(fn func(*state.State)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fn(r.seq.State())
}

func (r *region) Refresh(context.Context) error { return nil }

// openSession opens a copier's session.
func (r *region) openSession() base.SessionID {
	r.t.Helper()
	id, err := r.OpenLinkSession(r.t.Context(), "l")
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// copyAll is a link at work without a runner: it takes the source's entries in order, and copies each object at once.
func (r *region) copyAll(src *region) {
	r.t.Helper()
	session := r.openSession()
	m, copier, n := NewMachine(r.link(), session), &ObjectCopier{Cluster: r.cluster(), Bucket: r.bucket}, &numbers{}
	for _, raw := range src.entries[m.Next()-1:] {
		jobs, err := m.Offer(raw)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, job := range jobs {
			number := n.take()
			placement, err := copier.Copy(r.t.Context(), src.bucket, job, base.ObjectID{Session: session, Number: number})
			switch {
			case errors.Is(err, base.ErrNotFound):
				m.Skipped(job.Object)
			case err != nil:
				r.t.Fatal(err)
			default:
				m.Copied(job.Object, placement)
			}
		}
	}
	for _, ev := range m.Ready(0, n.place) {
		r.emit(ev)
	}
	if m.Queued() > 0 {
		r.t.Fatalf("%d entries are left", m.Queued())
	}
}

// sameImage holds S4: the image is the source, but for places.
func (r *region) sameImage(src *region) {
	r.t.Helper()
	x, err1 := r.link().Image().LogicalDigest()
	y, err2 := src.seq.State().LogicalDigest()
	if err1 != nil || err2 != nil || x != y {
		r.t.Fatalf("the image at seq %d is not the source at %d (%v, %v)", r.link().Image().Head().Seq, src.seq.Head().Seq, err1, err2)
	}
}
