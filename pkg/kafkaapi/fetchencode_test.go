package kafkaapi

import (
	"bytes"
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
)

func flatten(b net.Buffers) []byte { return bytes.Join(b, nil) }

// reference is r as kmsg has it.
func reference(r *fetchResponse) *kmsg.FetchResponse {
	out := kmsg.NewPtrFetchResponse()
	out.Version, out.ErrorCode = r.version, r.errorCode
	for _, t := range r.topics {
		kt := kmsg.NewFetchResponseTopic()
		kt.Topic, kt.TopicID = t.name, t.id
		for _, p := range t.partitions {
			kp := kmsg.NewFetchResponseTopicPartition()
			kp.Partition, kp.ErrorCode, kp.HighWatermark, kp.PreferredReadReplica = p.partition, p.errorCode, -1, -1
			kp.RecordBatches = []byte{}
			if p.errorCode == 0 {
				kp.HighWatermark, kp.LastStableOffset, kp.LogStartOffset = int64(p.found.HighWatermark), int64(p.found.LastStable), int64(p.found.LogStart)
				kp.RecordBatches = append(kp.RecordBatches, bytes.Join(p.found.Batches, nil)...)
				if p.committed {
					kp.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
					for _, a := range p.found.Aborted {
						ka := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
						ka.ProducerID, ka.FirstOffset = a.ProducerID, int64(a.FirstOffset)
						kp.AbortedTransactions = append(kp.AbortedTransactions, ka)
					}
				}
				if d := p.found.Diverging; d != nil {
					kp.DivergingEpoch.Epoch, kp.DivergingEpoch.EndOffset = int32(d.Epoch), int64(d.End)
				}
			}
			kt.Partitions = append(kt.Partitions, kp)
		}
		out.Topics = append(out.Topics, kt)
	}
	return out
}

// The encoder by hand gives the bytes that kmsg gives, in all versions.
func TestFetchEncodingMatchesKmsg(t *testing.T) {
	big := bytes.Repeat([]byte{7}, 100_000)
	found := func(batches ...[]byte) ReadResult {
		r := ReadResult{Batches: batches, HighWatermark: 10, LastStable: 9, LogStart: 3}
		for _, b := range batches {
			r.Bytes += len(b)
		}
		return r
	}
	aborted := found([]byte("abc"))
	aborted.Aborted = []AbortedTxn{{ProducerID: 5, FirstOffset: 6}, {ProducerID: 7, FirstOffset: 8}}
	diverged := found()
	diverged.Diverging = &EpochEnd{Epoch: 3, End: 99}
	responses := []fetchResponse{
		{},
		{errorCode: 70},
		{topics: []fetchTopic{{name: "empty", id: base.TopicID{1}}}},
		{topics: []fetchTopic{
			{name: "a", id: base.TopicID{1}, partitions: []fetchPartitionResult{
				{partition: 0, found: found([]byte("one"), big)},
				{partition: 1, found: found()},
				{partition: 2, errorCode: 3, committed: true, found: found([]byte("not sent"))},
				{partition: 3, committed: true, found: aborted},
				{partition: 4, found: diverged},
			}},
			{name: "b", id: base.TopicID{2}, partitions: []fetchPartitionResult{{partition: 9, committed: true, found: found([]byte("last"))}}},
		}},
	}
	for version := fetchAPI().min; version <= fetchAPI().max; version++ {
		for i, r := range responses {
			r.version = version
			got, want := flatten(r.encode([]byte("head"))), reference(&r).AppendTo([]byte("head"))
			if !bytes.Equal(got, want) {
				t.Errorf("version %d, response %d:\n got %x\nwant %x", version, i, clip(got), clip(want))
			}
		}
	}
}

func clip(b []byte) []byte { return b[:min(len(b), 300)] }

// K7: the batches go to the socket as the cache has them.
func TestFetchEncodingCopiesNoRecords(t *testing.T) {
	b := []byte("records")
	r := fetchResponse{version: 18, topics: []fetchTopic{{partitions: []fetchPartitionResult{{found: ReadResult{Batches: [][]byte{b}, Bytes: len(b)}}}}}}
	for _, piece := range r.encode(nil) {
		if len(piece) == len(b) && &piece[0] == &b[0] {
			return
		}
	}
	t.Fatal("the batch was copied")
}

func FuzzFetchEncoding(f *testing.F) {
	f.Add(int16(13), uint8(2), uint8(2), []byte("abc"), int32(1), int64(2), true)
	f.Fuzz(func(t *testing.T, version int16, topics, partitions uint8, records []byte, epoch int32, end int64, committed bool) {
		if version < fetchAPI().min || version > fetchAPI().max || epoch == -1 && end == -1 {
			return
		}
		r := fetchResponse{version: version}
		for i := range topics % 5 {
			ft := fetchTopic{name: string(records[:min(len(records), 100)]), id: base.TopicID{i}}
			for p := range partitions % 5 {
				res := ReadResult{Bytes: len(records), HighWatermark: base.Offset(end), Aborted: []AbortedTxn{{ProducerID: end}}}
				if len(records) > 0 {
					res.Batches = [][]byte{records}
				}
				if p%2 == 1 {
					res.Diverging = &EpochEnd{Epoch: base.Epoch(epoch), End: base.Offset(end)}
				}
				ft.partitions = append(ft.partitions, fetchPartitionResult{partition: int32(p), errorCode: int16(p % 3), committed: committed, found: res})
			}
			r.topics = append(r.topics, ft)
		}
		if got, want := flatten(r.encode(nil)), reference(&r).AppendTo(nil); !bytes.Equal(got, want) {
			t.Fatalf("version %d:\n got %x\nwant %x", version, clip(got), clip(want))
		}
	})
}
