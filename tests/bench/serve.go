package main

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// serveRecords are in each batch that the broker that discards hands out: about what a producer's batch of 1 MB holds.
const serveRecords = 960

// serveBatch makes a batch at offset 0. Its offset lies outside of what its CRC covers, so that one batch serves all offsets.
func serveBatch() []byte {
	var records []byte
	for i := range int32(serveRecords) {
		r := kmsg.Record{OffsetDelta: i, Value: noise()}
		r.Length = int32(len(r.AppendTo(nil)) - 1) // the length itself, while 0, takes one byte
		records = r.AppendTo(records)
	}
	b := kmsg.RecordBatch{
		PartitionLeaderEpoch: 0, Magic: 2, LastOffsetDelta: serveRecords - 1, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		NumRecords: serveRecords, Records: records,
	}
	const beforeLength, beforeCRC = 12, 21
	out := b.AppendTo(nil)
	binary.BigEndian.PutUint32(out[8:], uint32(len(out)-beforeLength))
	binary.BigEndian.PutUint32(out[beforeCRC-4:], crc32.Checksum(out[beforeCRC:], crc32.MakeTable(crc32.Castagnoli)))
	return out
}

// listed: every partition begins at 0 and has no end.
func listed(req *kmsg.ListOffsetsRequest) *kmsg.ListOffsetsResponse {
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewListOffsetsResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewListOffsetsResponseTopicPartition()
			rp.Partition, rp.Offset, rp.LeaderEpoch = p.Partition, 0, 0
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// fetched gives a batch of each partition that is asked for, without sessions. The batch itself is not copied: the system
// reads it where it lies, so the answer costs next to nothing. size is what is to be written.
func (d *discarder) fetched(req *kmsg.FetchRequest, id []byte) (out net.Buffers, size int) {
	const end = math.MaxInt64 / 2 // there are always more records
	be := binary.BigEndian
	head := append(make([]byte, 4, 128), id...)
	head = be.AppendUint32(head, 0) // throttle
	if req.Version >= 7 {
		head = be.AppendUint16(head, 0) // no error
		head = be.AppendUint32(head, 0) // no session
	}
	head = be.AppendUint32(head, uint32(len(req.Topics)))
	for _, t := range req.Topics {
		head = be.AppendUint16(head, uint16(len(t.Topic)))
		head = append(head, t.Topic...)
		head = be.AppendUint32(head, uint32(len(t.Partitions)))
		for _, p := range t.Partitions {
			head = be.AppendUint32(head, uint32(p.Partition))
			head = be.AppendUint16(head, 0) // no error
			head = be.AppendUint64(head, end)
			head = be.AppendUint64(head, end)
			if req.Version >= 5 {
				head = be.AppendUint64(head, 0) // log start
			}
			head = be.AppendUint32(head, 0) // no aborted transactions
			if req.Version >= 11 {
				head = be.AppendUint32(head, math.MaxUint32) // no preferred replica
			}
			head = be.AppendUint32(head, uint32(len(d.batch)))
			head = be.AppendUint64(head, uint64(p.FetchOffset/serveRecords*serveRecords))
			out = append(out, head, d.batch[8:])
			head = nil
		}
	}
	if len(head) > 0 {
		out = append(out, head)
	}
	for _, b := range out {
		size += len(b)
	}
	be.PutUint32(out[0], uint32(size-4))
	return out, size
}
