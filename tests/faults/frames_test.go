package faults

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// patience is how long tests wait for what a healthy process does within milliseconds: this one may share its cores.
const patience = 30 * time.Second

// wire is a bare connection to an agent.
type wire struct {
	t  testing.TB
	nc net.Conn
}

func dial(t testing.TB, addr string) *wire {
	t.Helper()
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t, nc}
	t.Cleanup(w.close)
	return w
}

func (w *wire) close() { _ = w.nc.Close() }

// send writes bytes. The server may have hung up already: what it does is seen by what is read. Any goroutine may call it.
func (w *wire) send(b []byte) {
	w.t.Helper()
	if err := w.nc.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		w.t.Error(err)
	}
	if _, err := w.nc.Write(b); errors.Is(err, os.ErrDeadlineExceeded) {
		w.t.Errorf("the server takes nothing and does not hang up: %v", err)
	}
}

const correlation = 4711

// request encodes a request in a version, its size prefix included.
func request(req kmsg.Request, version int16) []byte {
	req.SetVersion(version)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("faults")).AppendRequest(nil, req, correlation)
}

// header is size, key, version, correlation id and an empty client id.
func header(size uint32, key, version int16) []byte {
	b := binary.BigEndian.AppendUint32(nil, size)
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, correlation)
	return binary.BigEndian.AppendUint16(b, 0)
}

// frame is a request of a body's size.
func frame(key, version int16, body ...byte) []byte {
	return append(header(uint32(10+len(body)), key, version), body...)
}

// answer reads one response and gives what follows its correlation id.
func (w *wire) answer() []byte {
	w.t.Helper()
	if err := w.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		w.t.Fatal(err)
	}
	var size [8]byte
	if _, err := io.ReadFull(w.nc, size[:]); err != nil {
		w.t.Fatalf("no answer: %v", err)
	}
	if id := binary.BigEndian.Uint32(size[4:]); id != correlation {
		w.t.Fatalf("answer to correlation id %d, want %d", id, correlation)
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:])-4)
	if _, err := io.ReadFull(w.nc, b); err != nil {
		w.t.Fatalf("half an answer: %v", err)
	}
	return b
}

// ask sends a request and decodes its answer.
func (w *wire) ask(req kmsg.Request, version int16) kmsg.Response {
	w.t.Helper()
	w.send(request(req, version))
	b := w.answer()
	resp := req.ResponseKind()
	resp.SetVersion(version)
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		b = b[1:] // no tagged fields
	}
	if err := resp.ReadFrom(b); err != nil {
		w.t.Fatalf("answer to %s: %v", kmsg.NameForKey(req.Key()), err)
	}
	return resp
}

// closed wants the server to hang up, without an answer.
func (w *wire) closed() {
	w.t.Helper()
	if err := w.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		w.t.Fatal(err)
	}
	var b [64]byte
	n, err := w.nc.Read(b[:])
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.t.Fatalf("the connection is still open after %s", patience)
	}
	if n > 0 {
		w.t.Fatalf("an answer where there must be none: %x", b[:n])
	}
}

// batchOf is a record batch of one record for each value. change may spoil its header; the CRC is computed afterwards.
func batchOf(change func(b []byte), values ...string) []byte {
	b := make([]byte, 61)
	now := uint64(time.Now().UnixMilli())
	binary.BigEndian.PutUint32(b[12:], 0xffffffff) // leader epoch -1
	b[16] = 2
	binary.BigEndian.PutUint32(b[23:], uint32(len(values)-1))
	binary.BigEndian.PutUint64(b[27:], now)
	binary.BigEndian.PutUint64(b[35:], now)
	binary.BigEndian.PutUint64(b[43:], 0xffffffffffffffff) // producer id -1
	binary.BigEndian.PutUint16(b[51:], 0xffff)
	binary.BigEndian.PutUint32(b[53:], 0xffffffff)
	binary.BigEndian.PutUint32(b[57:], uint32(len(values)))
	for i, v := range values {
		record := binary.AppendVarint([]byte{0, 0}, int64(i)) // attributes, timestamp delta, offset delta
		record = append(record, 1)                            // no key: -1
		record = binary.AppendVarint(record, int64(len(v)))
		record = append(append(record, v...), 0) // no headers
		b = append(binary.AppendVarint(b, int64(len(record))), record...)
	}
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	if change != nil {
		change(b)
	}
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// messageSet is one message of the formats before record batches: magic 0 or 1.
func messageSet(magic byte, value string) []byte {
	m := []byte{magic, 0}
	if magic == 1 {
		m = binary.BigEndian.AppendUint64(m, uint64(time.Now().UnixMilli()))
	}
	m = binary.BigEndian.AppendUint32(m, 0xffffffff) // no key
	m = append(binary.BigEndian.AppendUint32(m, uint32(len(value))), value...)
	m = append(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(m)), m...)
	return append(binary.BigEndian.AppendUint32(make([]byte, 8), uint32(len(m))), m...)
}

// produceRequest has one batch for partition 0 of a topic.
func produceRequest(topic string, id [16]byte, acks int16, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = acks, 10_000
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = records
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.TopicID, rt.Partitions = topic, id, []kmsg.ProduceRequestTopicPartition{p}
	req.Topics = append(req.Topics, rt)
	return req
}

// fetchRequest asks for one partition of topic "t".
func fetchRequest(id [16]byte, partition int32, offset int64, epoch int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 100, 1, 1<<31-1
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = partition, offset, 1<<31-1, epoch
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID, rt.Partitions = "t", id, []kmsg.FetchRequestTopicPartition{p}
	req.Topics = append(req.Topics, rt)
	return req
}
