package kafkaapi

import (
	"encoding/binary"
	"net"
)

// Versions of Fetch from which its answer has a field.
const (
	fetchErrorSince     = 7 // and the session id
	fetchLogStartSince  = 5
	fetchReplicaSince   = 11
	fetchFlexibleSince  = 12
	fetchTopicIDsSince  = 13
	fetchTagDiverging   = 0
	fetchDivergingBytes = 4 + 8 + 1
)

// fetchEncoder writes a Fetch answer by hand: what stands between the records goes into one buffer, the records stay
// where they are (K7). A test compares it with kmsg's encoding in all versions.
type fetchEncoder struct {
	b        []byte
	flexible bool
	version  int16
	cuts     []fetchCut
}

// fetchCut says that batches come after the first `at` bytes of the buffer.
type fetchCut struct {
	at      int
	batches [][]byte
}

func (r *fetchResponse) encode(head []byte) net.Buffers {
	e := fetchEncoder{b: head, version: r.version, flexible: r.version >= fetchFlexibleSince}
	e.i32(0) // throttle time
	if r.version >= fetchErrorSince {
		e.i16(r.errorCode)
		e.i32(0) // no session
	}
	e.count(len(r.topics))
	for i := range r.topics {
		t := &r.topics[i]
		if r.version >= fetchTopicIDsSince {
			e.b = append(e.b, t.id[:]...)
		} else {
			e.str(t.name)
		}
		e.count(len(t.partitions))
		for j := range t.partitions {
			e.partition(&t.partitions[j])
		}
		e.noTags()
	}
	e.noTags()
	return e.buffers()
}

func (e *fetchEncoder) partition(p *fetchPartitionResult) {
	e.i32(p.partition)
	e.i16(p.errorCode)
	if p.errorCode != 0 {
		e.offsets(-1, -1, -1)
		e.aborted(nil, false)
		e.records(nil, 0)
		e.noTags()
		return
	}
	e.offsets(int64(p.found.HighWatermark), int64(p.found.LastStable), int64(p.found.LogStart))
	e.aborted(p.found.Aborted, p.committed)
	e.records(p.found.Batches, p.found.Bytes)
	e.diverging(p.found.Diverging)
}

func (e *fetchEncoder) offsets(highWatermark, lastStable, logStart int64) {
	e.i64(highWatermark)
	e.i64(lastStable)
	if e.version >= fetchLogStartSince {
		e.i64(logStart)
	}
}

// aborted writes the list of aborted transactions, which is null where nobody asked for it.
func (e *fetchEncoder) aborted(list []AbortedTxn, asked bool) {
	if !asked {
		e.null()
	} else {
		e.count(len(list))
		for _, a := range list {
			e.i64(a.ProducerID)
			e.i64(int64(a.FirstOffset))
			e.noTags()
		}
	}
	if e.version >= fetchReplicaSince {
		e.i32(-1)
	}
}

// records writes the size of the records and notes where they go. None is an empty set, never null.
func (e *fetchEncoder) records(batches [][]byte, size int) {
	e.count(size)
	if len(batches) > 0 {
		e.cuts = append(e.cuts, fetchCut{at: len(e.b), batches: batches})
	}
}

func (e *fetchEncoder) diverging(d *EpochEnd) {
	if d == nil || !e.flexible {
		e.noTags()
		return
	}
	e.b = append(e.b, 1, fetchTagDiverging, fetchDivergingBytes)
	e.i32(int32(d.Epoch))
	e.i64(int64(d.End))
	e.noTags()
}

// buffers puts the pieces in order.
func (e *fetchEncoder) buffers() net.Buffers {
	n := 1 + len(e.cuts)
	for _, c := range e.cuts {
		n += len(c.batches)
	}
	out, from := make(net.Buffers, 0, n), 0
	for _, c := range e.cuts {
		out = append(out, e.b[from:c.at])
		out = append(out, c.batches...)
		from = c.at
	}
	if from < len(e.b) || from == 0 {
		out = append(out, e.b[from:])
	}
	return out
}

func (e *fetchEncoder) i16(v int16) { e.b = binary.BigEndian.AppendUint16(e.b, uint16(v)) }
func (e *fetchEncoder) i32(v int32) { e.b = binary.BigEndian.AppendUint32(e.b, uint32(v)) }
func (e *fetchEncoder) i64(v int64) { e.b = binary.BigEndian.AppendUint64(e.b, uint64(v)) }

// count writes the length of an array or of bytes.
func (e *fetchEncoder) count(n int) {
	if e.flexible {
		e.b = binary.AppendUvarint(e.b, uint64(n)+1)
		return
	}
	e.i32(int32(n))
}

// null writes an array that is null.
func (e *fetchEncoder) null() {
	if e.flexible {
		e.b = append(e.b, 0)
		return
	}
	e.i32(-1)
}

func (e *fetchEncoder) str(s string) {
	if e.flexible {
		e.b = binary.AppendUvarint(e.b, uint64(len(s))+1)
	} else {
		e.i16(int16(len(s)))
	}
	e.b = append(e.b, s...)
}

func (e *fetchEncoder) noTags() {
	if e.flexible {
		e.b = append(e.b, 0)
	}
}
