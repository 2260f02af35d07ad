package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// extents measures the sequencer by itself, on one core: commits of many extents are checked, given offsets, applied, and encoded as
// entries of the metalog. That is what bounds how many extents a second one coordinator can take, whatever etcd does.
func (b *bench) extents(ctx context.Context, partitions int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	partitions = b.scaled(partitions)
	const topicSize, extentsACommit, now = 100, 1000, 1_700_000_000_000
	seq := coordinator.NewSequencer(state.New(), []byte("bench"))
	emit := func(ev *metalogpb.Event) error { return seq.Emit(now, ev) }
	err := emit(&metalogpb.Event{Kind: &metalogpb.Event_ClusterCreated{ClusterCreated: &metalogpb.ClusterCreated{
		ClusterId: make([]byte, 16), KafkaClusterId: "k", RegionNumber: 1, RegionName: "a", Epoch: int32(base.NextEpoch(1)),
	}}})
	var all []*metalogpb.ExtentMeta
	for p := range partitions {
		var id base.TopicID
		binary.BigEndian.PutUint64(id[8:], uint64(p/topicSize)+1)
		if p%topicSize == 0 {
			err = errors.Join(err, emit(&metalogpb.Event{Kind: &metalogpb.Event_TopicCreated{TopicCreated: &metalogpb.TopicCreated{
				TopicId: id[:], Name: fmt.Sprint("t", p/topicSize), Partitions: topicSize, ReplicationFactor: 1,
			}}}))
		}
		digest := sha256.Sum256(fmt.Append(nil, p)) // each its own, so that entries are as hard to compress as real ones
		all = append(all, &metalogpb.ExtentMeta{TopicId: id[:], Partition: int32(p % topicSize), Length: 1000, Batches: []*metalogpb.BatchMeta{{
			Length: 1000, Records: 10, ProducerId: int64(p) + 1, Digest: digest[:len(base.Digest{})], MaxTimestampMs: now,
		}}})
	}
	session, serr := seq.OpenSession(now, 1, "")
	if err = errors.Join(err, serr); err != nil {
		return err
	}
	count, entryBytes := 0, 0
	began := time.Now()
	for number := uint64(1); time.Since(began) < b.o.seconds && ctx.Err() == nil; number++ {
		req := &metalogpb.CommitRequest{Session: uint64(session), Number: number, ResolvedBelow: number, Size: 1 << 20}
		for i := range min(extentsACommit, len(all)) {
			e := all[(int(number-1)*extentsACommit+i)%len(all)]
			req.Extents = append(req.Extents, e)
		}
		got, err := seq.Commit(now, req)
		if err != nil {
			return err
		}
		for _, e := range got.Extents {
			if code := e.Batches[0].ErrorCode; code != 0 {
				return fmt.Errorf("commit %d: a batch was refused with code %d", number, code)
			}
		}
		for _, e := range req.Extents { // the producer's next batch
			e.Batches[0].BaseSequence += e.Batches[0].Records
		}
		for seq.Pending() {
			value, _, _, err := seq.Next()
			if err != nil {
				return err
			}
			entryBytes += len(value)
		}
		count += len(req.Extents)
	}
	b.report.add(sectionMany, "sequencer, extents a second on one core, "+counted(partitions, "partition"), float64(count)/time.Since(began).Seconds(), "/s").
		aim(aimSequencer)
	b.report.add(sectionMany, "sequencer, bytes of metalog an extent", float64(entryBytes)/float64(count), "B")
	return nil
}
