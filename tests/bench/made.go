package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

const (
	madeTopic       = 100   // partitions of each topic
	madeObject      = 1_000 // spans of each object
	madeIncarnation = "00000000000000be"
)

// madeTime is of all that is made, Unix milliseconds: lately, or the leader would begin with deleting what its topics keep no longer.
var madeTime = time.Now().UnixMilli()

// made is the state of a region that is made here, not streamed: its events are applied, and only a snapshot of the end is stored.
type made struct{ partitions, spans int }

// maker applies events. What the log would hold of them is computed, for its hash chain, and thrown away.
type maker struct {
	seq  *coordinator.Sequencer
	fail error
}

func (m *maker) emit(ev *metalogpb.Event) {
	if m.fail == nil {
		m.fail = m.seq.Emit(madeTime, ev)
	}
	for m.fail == nil && m.seq.Pending() {
		_, _, _, m.fail = m.seq.Next()
	}
}

func madeID(topic int) []byte {
	var id base.TopicID
	binary.BigEndian.PutUint64(id[:], 1)
	binary.BigEndian.PutUint64(id[8:], uint64(topic)+1)
	return id[:]
}

// state makes it.
func (x made) state(cluster base.ClusterID) (*coordinator.Sequencer, error) {
	m := &maker{seq: coordinator.NewSequencer(state.New(), []byte("bench"))}
	m.emit(&metalogpb.Event{Kind: &metalogpb.Event_ClusterCreated{ClusterCreated: &metalogpb.ClusterCreated{
		ClusterId: cluster[:], KafkaClusterId: "bench", RegionNumber: 1, RegionName: "a", Epoch: int32(base.NextEpoch(1)),
	}}})
	for t := 0; t*madeTopic < x.partitions; t++ {
		m.emit(&metalogpb.Event{Kind: &metalogpb.Event_TopicCreated{TopicCreated: &metalogpb.TopicCreated{
			TopicId: madeID(t), Name: fmt.Sprintf("made-%d", t), Partitions: int32(min(madeTopic, x.partitions-t*madeTopic)), ReplicationFactor: 1,
		}}})
	}
	session := uint64(m.seq.State().NextSession())
	m.emit(&metalogpb.Event{Kind: &metalogpb.Event_SessionOpened{SessionOpened: &metalogpb.SessionOpened{Session: session, NodeId: 1}}})
	for number, n := uint64(1), 0; n < x.spans && m.fail == nil; number++ {
		count := min(madeObject, x.spans-n)
		m.emit(&metalogpb.Event{Kind: &metalogpb.Event_ObjectCommitted{ObjectCommitted: x.object(session, number, n, count)}})
		n += count
	}
	return m.seq, m.fail
}

// object holds spans n to n+count, each of ten records of another partition.
func (x made) object(session, number uint64, n, count int) *metalogpb.ObjectCommitted {
	const records, spanBytes = 10, 10 << 10
	out := &metalogpb.ObjectCommitted{Session: session, Number: number, ResolvedBelow: number + 1, Size: int64(count) * spanBytes}
	chain := sha256.Sum256(binary.BigEndian.AppendUint64(nil, number))
	for i := range count {
		partition, turn := (n+i)%x.partitions, int64((n+i)/x.partitions)
		id := madeID(partition / madeTopic)
		if last := len(out.Topics) - 1; last < 0 || string(out.Topics[last].TopicId) != string(id) {
			out.Topics = append(out.Topics, &metalogpb.TopicExtents{TopicId: id})
		}
		t := out.Topics[len(out.Topics)-1]
		t.Spans = append(t.Spans, &metalogpb.SpanCommitted{
			Partition: int32(partition % madeTopic), BaseOffset: turn * records, LastOffset: turn*records + records - 1, Position: int64(i) * spanBytes, Length: spanBytes,
			MaxTimestampMs: madeTime, Chain: chain[:len(base.Chain{})], Extent: int32(i), Batches: 1,
		})
	}
	return out
}

// storedState is what was made, where a coordinator finds it.
type storedState struct {
	bytes int           // of the snapshot, not compressed
	load  time.Duration // to read, prove and decompress it: what no start can do without
}

// store makes the state and puts its snapshot into the cluster's bucket, and the keys that lead to it into its etcd. The log is
// empty behind it, as after a trim.
func (x made) store(ctx context.Context, c *cluster) (storedState, error) {
	var out storedState
	defer debug.FreeOSMemory() // the state's memory is needed by what is measured
	raw, err := hex.DecodeString(c.cfg.id)
	if err != nil {
		return out, err
	}
	cluster := base.ClusterID(raw)
	seq, err := x.state(cluster)
	if err != nil {
		return out, err
	}
	payload, err := seq.State().Snapshot()
	if err != nil {
		return out, err
	}
	bucket, err := c.at.bucket(ctx, c.cfg.name)
	if err != nil {
		return out, err
	}
	objects := objstore.AsObjects(bucket)
	head := seq.Head()
	pointer, err := archive.PutSnapshot(ctx, objects, madeIncarnation, head.Seq, head.Hash, payload)
	if err != nil {
		return out, err
	}
	out.bytes = len(payload)
	etcd, err := dialEtcd(c.etcd)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, etcd.close()) }()
	put := func(key string, value []byte) {
		err = errors.Join(err, etcd.put(ctx, []byte("/gnomon/"+cluster.String()+"/"+key), value))
	}
	put("current", []byte(madeIncarnation))
	put("head", marshal(&metalogpb.Head{Seq: uint64(head.Seq), Hash: head.Hash[:]}))
	put("snapshot", marshal(pointer))
	put("archive", marshal(&metalogpb.Pointer{Seq: uint64(head.Seq), Object: "none", Hash: head.Hash[:]}))
	began := time.Now()
	_, gerr := archive.GetSnapshot(ctx, objects, pointer)
	out.load = time.Since(began)
	return out, errors.Join(err, gerr)
}

func marshal(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err) // small messages of ours
	}
	return b
}
