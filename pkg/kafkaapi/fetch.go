package kafkaapi

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// Fetch (key 1), versions 4 to 18.
//
// Partitions are read in the order of the request, which clients turn so that each comes first in time. The size rules
// are those of KIP-74: at most max_bytes altogether and partition_max_bytes each, but the first batch that is found is
// returned whatever its size. The answer waits for min_bytes, at most max_wait; no partitions at all, an error in any of
// them, or one whose history diverged from the client's, is answered at once. Record bytes go from the cache to the
// socket as they are.
//
// There are no fetch sessions: a request that opens one gets session id 0, which tells the client to send full requests;
// so does one that closes a session, or replaces it (epochs -1 and 0). One that goes on with a session, of another agent
// maybe, gets FETCH_SESSION_ID_NOT_FOUND, and the client begins anew.
//
// Not implemented: fetches of followers (replica ids are not looked at), preferred read replicas (Metadata steers
// clients), the leader hints of KIP-951.
func fetchAPI() *api {
	return &api{
		key: keyFetch, name: "Fetch", min: 4, max: 18, family: familyRead, waits: true,
		new: func() kmsg.Request { return kmsg.NewPtrFetchRequest() }, shape: shapeFetch, handle: fetch,
	}
}

// fetchResponse is a Fetch answer; encode is in fetchencode.go.
type fetchResponse struct {
	version   int16
	errorCode int16
	topics    []fetchTopic
}

type fetchTopic struct {
	name       string
	id         base.TopicID
	partitions []fetchPartitionResult
}

// fetchPartitionResult is the answer for one partition; nothing but the code counts when that is not 0.
type fetchPartitionResult struct {
	partition int32
	errorCode int16
	committed bool // read_committed was asked for
	found     ReadResult
}

// release ends the hold on the records of the answer, which is written, or will not be.
func (r *fetchResponse) release() {
	for i := range r.topics {
		for j := range r.topics[i].partitions {
			found := &r.topics[i].partitions[j].found
			if found.Release != nil {
				found.Release()
			}
			*found = ReadResult{}
		}
	}
}

// fetching is one Fetch request under way.
type fetching struct {
	q      *request
	req    *kmsg.FetchRequest
	resp   fetchResponse
	reads  []fetchRead
	failed bool // some partition cannot be read
}

// fetchRead is a partition to read, and where in the response it goes.
type fetchRead struct {
	topic, partition int
	req              ReadRequest
}

const readCommitted = 1

func fetch(ctx context.Context, q *request) answer {
	req := q.body.(*kmsg.FetchRequest)
	f := &fetching{q: q, req: req, resp: fetchResponse{version: q.version}}
	if req.SessionID != 0 && req.SessionEpoch > 0 {
		f.resp.errorCode = q.code(kerr.FetchSessionIDNotFound)
		return &f.resp
	}
	f.plan(ctx)
	f.run(ctx)
	return &f.resp
}

// plan resolves the request's topics and makes a place for each partition.
func (f *fetching) plan(ctx context.Context) {
	look := f.q.lookup(ctx)
	f.resp.topics = make([]fetchTopic, len(f.req.Topics))
	for i := range f.req.Topics {
		rt, out := &f.req.Topics[i], &f.resp.topics[i]
		out.name, out.id = rt.Topic, rt.TopicID
		out.partitions = make([]fetchPartitionResult, len(rt.Partitions))
		t, err := look.topic(rt.Topic, rt.TopicID, f.q.version >= 13)
		for j := range rt.Partitions {
			rp, op := &rt.Partitions[j], &out.partitions[j]
			op.partition, op.committed = rp.Partition, f.req.IsolationLevel == readCommitted
			perr := err
			if perr == nil {
				t, perr = look.partition(t, rp.Partition)
			}
			if perr != nil {
				op.errorCode = f.q.code(perr)
				f.failed = true
				continue
			}
			f.reads = append(f.reads, fetchRead{topic: i, partition: j, req: ReadRequest{
				Topic: t.ID, Partition: rp.Partition, Offset: base.Offset(rp.FetchOffset), MaxBytes: int(max(rp.PartitionMaxBytes, 0)),
				ReadCommitted: op.committed, CurrentEpoch: base.Epoch(rp.CurrentLeaderEpoch), LastFetchEpoch: base.Epoch(rp.LastFetchedEpoch),
			}})
		}
	}
}

// run reads until there is enough to answer.
//
// The first pass is made without a subscription, for behind the tail there is always something. Then:
//
//  1. subscribe;
//  2. read again: what came between the first pass and the subscription is seen here;
//  3. wait: what comes after the subscription ends the wait.
func (f *fetching) run(ctx context.Context) {
	if f.pass(ctx) || len(f.reads) == 0 { // nothing to wait for
		return
	}
	wait := min(time.Duration(max(f.req.MaxWaitMillis, 0))*time.Millisecond, f.q.server.limits.FetchWait)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	tps := make([]base.TopicPartition, len(f.reads))
	for i, r := range f.reads {
		tps[i] = base.TopicPartition{Topic: r.req.Topic, Partition: r.req.Partition}
	}
	for {
		changed, unsubscribe := f.q.server.deps.Reader.Changed(tps)
		done := f.pass(ctx)
		if !done {
			select {
			case <-changed:
			case <-timer.C:
				done = true
			case <-ctx.Done():
				done = true
			}
		}
		unsubscribe()
		if done {
			return
		}
	}
}

// pass reads all partitions once, and tells whether that is an answer already. A store that keeps silent costs the
// partitions that need it a retriable code, in time for the client to see it, and takes nothing from those in the cache.
func (f *fetching) pass(ctx context.Context) bool {
	ctx, cancel := context.WithTimeoutCause(ctx, f.q.server.limits.FetchRead, errNoAnswer)
	defer cancel()
	f.resp.release() // of the pass before
	left := min(int(max(f.req.MaxBytes, 0)), f.q.server.limits.FetchBytes)
	minBytes, total, done := min(int(f.req.MinBytes), left), 0, f.failed
	cold := f.ahead(left)
	for _, r := range f.reads {
		op := &f.resp.topics[r.topic].partitions[r.partition]
		req := r.req
		req.MaxBytes, req.AtLeastOne, req.Cold = min(req.MaxBytes, left), total == 0, cold
		found, err := f.q.server.deps.Reader.Read(ctx, req)
		// Once the client has gone, or the server stops, the rest of the reads fail at once, with a retriable code.
		op.errorCode, op.found = f.q.code(err), found
		if err != nil || found.Diverging != nil {
			done = true
			continue
		}
		total += found.Bytes
		left = max(left-found.Bytes, 0)
	}
	return done || total >= minBytes
}

// ahead returns what a read calls that does not find its records at hand. The first such call of a pass has all of the Fetch's partitions
// read ahead, so that the store is asked for everything at once and not for one after the other.
func (f *fetching) ahead(maxBytes int) func() {
	told := false
	return func() {
		if told {
			return
		}
		told = true
		reqs := make([]ReadRequest, len(f.reads))
		for i, r := range f.reads {
			reqs[i] = r.req
		}
		f.q.server.deps.Reader.ReadAhead(reqs, maxBytes)
	}
}
