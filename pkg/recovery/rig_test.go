package recovery_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/batchtest"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	bucket "github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
	"github.com/gnomon-stream/gnomon/pkg/objlog/segment"
	"github.com/gnomon-stream/gnomon/pkg/recovery"
)

var (
	cluster = base.ClusterID{1}
	topicID = base.TopicID{7}
)

// region is a leader that the test drives by hand: entries, objects, archive.
type region struct {
	t      *testing.T
	server *memory.Server
	bucket *bucket.Store
	log    *memory.Log
	term   metastore.Term
	seq    *coordinator.Sequencer
}

func newRegion(t *testing.T) *region {
	t.Helper()
	r := &region{t: t, server: memory.NewServer(), bucket: bucket.New()}
	r.log = r.server.Open(nil)
	claim := objstore.Claim{ClusterID: cluster, KafkaClusterID: "k", Region: 1}
	if err := objstore.ClaimBucket(t.Context(), r.bucket, claim); err != nil {
		t.Fatal(err)
	}
	r.lead(state.New())
	r.emit(&metalogpb.Event{Kind: &metalogpb.Event_ClusterCreated{ClusterCreated: &metalogpb.ClusterCreated{
		ClusterId: cluster[:], KafkaClusterId: "k", RegionNumber: 1, RegionName: "a", Epoch: 1,
	}}})
	r.emit(&metalogpb.Event{Kind: &metalogpb.Event_TopicCreated{TopicCreated: &metalogpb.TopicCreated{TopicId: topicID[:], Name: "t", Partitions: 2}}})
	return r
}

// lead begins a term behind a state.
func (r *region) lead(st *state.State) {
	r.t.Helper()
	var err error
	if r.term, err = r.log.TryCampaign("leader", ""); err != nil || r.term == nil {
		r.t.Fatal("campaign: ", err)
	}
	r.seq = coordinator.NewSequencer(st, r.term.Nonce())
}

func (r *region) emit(ev *metalogpb.Event) {
	r.t.Helper()
	if err := r.seq.Emit(time.Now().UnixMilli(), ev); err != nil {
		r.t.Fatal(err)
	}
	r.append()
}

func (r *region) append() {
	r.t.Helper()
	for r.seq.Pending() {
		value, _, before, err := r.seq.Next()
		if err == nil {
			err = r.term.Append(r.t.Context(), metastore.Guard{Head: before, FenceRevision: r.position().FenceRevision}, value)
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *region) position() metastore.Position {
	r.t.Helper()
	pos, err := r.log.Position(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return pos
}

func (r *region) session(node int32) base.SessionID {
	r.t.Helper()
	id, err := r.seq.OpenSession(time.Now().UnixMilli(), node, "")
	if err != nil {
		r.t.Fatal(err)
	}
	r.append()
	return id
}

// put stores an object with one batch of n records of partition 0.
func (r *region) put(session base.SessionID, number uint64, n int) segment.Built {
	r.t.Helper()
	raw := batchtest.Make(batchtest.Spec{Records: int32(n), Value: byte(number), Timestamp: 1000})
	h, _, err := batch.Parse(raw)
	if err != nil {
		r.t.Fatal(err)
	}
	b := segment.Build(segment.Header{Cluster: cluster, Session: session, Number: base.ObjectNumber(number)},
		[]segment.Batch{{Topic: topicID, Header: h, Digest: batch.Digest(raw), Bytes: raw}})
	key := base.ObjectID{Session: session, Number: base.ObjectNumber(number)}.Key()
	if err := r.bucket.Put(r.t.Context(), key, b.Payload); err != nil {
		r.t.Fatal(err)
	}
	return b
}

// write puts and commits.
func (r *region) write(session base.SessionID, number uint64, n int) {
	r.t.Helper()
	b := r.put(session, number, n)
	_, err := r.seq.Commit(time.Now().UnixMilli(), &metalogpb.CommitRequest{Session: uint64(session), Number: number, Size: b.Size, ResolvedBelow: number, Extents: b.Extents})
	if err != nil {
		r.t.Fatal(err)
	}
	r.append()
}

// archive archives what is not archived yet.
func (r *region) archive() {
	r.t.Helper()
	for pos := r.position(); base.Seq(pos.Archive.GetSeq()) < pos.Head.Seq; pos = r.position() {
		entries, err := r.log.Read(r.t.Context(), base.Seq(pos.Archive.GetSeq())+1, 1<<30)
		var p *metalogpb.Pointer
		if err == nil {
			p, err = archive.NewWriter(objstore.AsObjects(r.bucket), pos.Incarnation).Archive(r.t.Context(), entries)
		}
		if err == nil {
			err = r.term.SetArchive(r.t.Context(), p)
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

// snapshot writes one of the head, which must be archived.
func (r *region) snapshot() *metalogpb.Pointer {
	r.t.Helper()
	payload, err := r.seq.State().Snapshot()
	if err != nil {
		r.t.Fatal(err)
	}
	head := r.seq.Head()
	p, err := archive.PutSnapshot(r.t.Context(), objstore.AsObjects(r.bucket), r.position().Incarnation, head.Seq, head.Hash, payload)
	if err == nil {
		err = r.term.SetSnapshot(r.t.Context(), p)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// restore restores with options on top of those that suit every test.
func (r *region) restore(change func(*recovery.Options)) (*recovery.Report, error) {
	o := recovery.Options{Bucket: r.bucket, Log: r.log, Settle: time.Millisecond, Now: time.Now, Say: func(string) {}}
	if change != nil {
		change(&o)
	}
	return recovery.Restore(r.t.Context(), o)
}

func (r *region) restored(change func(*recovery.Options)) *recovery.Report {
	r.t.Helper()
	rep, err := r.restore(change)
	if err != nil {
		r.t.Fatal(err)
	}
	return rep
}

// load is the state as the bucket's archive has it.
func (r *region) load() *recovery.Loaded {
	r.t.Helper()
	l, err := recovery.Load(r.t.Context(), objstore.AsObjects(r.bucket), "", func(string) {})
	if err != nil {
		r.t.Fatal(err)
	}
	return l
}

func (r *region) held() []string {
	r.t.Helper()
	all, err := recovery.Held(r.t.Context(), r.bucket, r.load().State)
	if err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, o := range all {
		if !o.Released {
			out = append(out, fmt.Sprintf("%s %d", strings.TrimPrefix(o.Key, "data/"), o.Records))
		}
	}
	return out
}

// peer says what it was told to.
type peer struct {
	says recovery.PeerReport
	err  error
}

func (p peer) Ask(context.Context) (recovery.PeerReport, error) { return p.says, p.err }

// follow runs a replica. What it returns gives the seq that it has applied without having started over for a while.
func (r *region) follow() func() base.Seq {
	loads := make(chan struct{}, 1000)
	f := replica.New(replica.Config{
		Source: r.log, Objects: objstore.AsObjects(r.bucket), Logger: slog.New(slog.DiscardHandler), LookEvery: 10 * time.Millisecond,
		Reset: func(*state.State) { loads <- struct{}{} },
	})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	r.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	})
	return func() base.Seq {
		<-loads
		time.Sleep(500 * time.Millisecond) // it would start over after 200 ms
		if len(loads) > 0 {
			r.t.Error("the replica starts over")
		}
		return f.Applied()
	}
}
