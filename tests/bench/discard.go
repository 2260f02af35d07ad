package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// discarder is a broker that acks what it reads and keeps nothing, and gives consumers one and the same batch again and
// again: with it the load generator shows what it can do.
type discarder struct {
	host      string
	port      int32
	producers atomic.Int64
	beside    *beside
	batch     []byte // that consumers get
}

// discardKeys are the APIs served, each up to a version; 0: up to the newest that the generator's library knows.
var discardKeys = map[kmsg.Key]int16{
	kmsg.Produce: 0, kmsg.Metadata: 0, kmsg.ApiVersions: 0, kmsg.InitProducerID: 0,
	kmsg.Fetch: 11, kmsg.ListOffsets: 7, // topics by name
}

func newest(key kmsg.Key) int16 {
	if v := discardKeys[key]; v > 0 {
		return v
	}
	return kmsg.RequestForKey(key.Int16()).MaxVersion()
}

// discard serves until ctx ends. It prints a line with the word ready and its address. args: what it does beside, and the
// URL of the bucket for that.
func discard(ctx context.Context, out io.Writer, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("%d arguments", len(args))
	}
	outer := ctx
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	b, err := newBeside(ctx, args[0], args[1], fail)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	at := l.Addr().(*net.TCPAddr)
	d := &discarder{host: at.IP.String(), port: int32(at.Port), beside: b, batch: serveBatch()}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	if _, err := fmt.Fprintf(out, "ready %s\n", l.Addr()); err != nil {
		return err
	}
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		c, err := l.Accept()
		switch {
		case outer.Err() != nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		}
		conns.Go(func() {
			defer context.AfterFunc(ctx, func() { _ = c.Close() })()
			defer func() { _ = c.Close() }()
			_ = d.serve(ctx, c) // it ends with the client, or with ctx
		})
	}
}

// serve answers the requests of a connection one after the other.
func (d *discarder) serve(ctx context.Context, c net.Conn) error {
	in := bufio.NewReaderSize(c, 16<<10)
	var frame, out []byte
	var size [4]byte
	for {
		if _, err := io.ReadFull(in, size[:]); err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint32(size[:]))
		if n < 10 || n > 128<<20 {
			return fmt.Errorf("request of %d bytes", n)
		}
		if cap(frame) < n {
			frame = make([]byte, n)
		}
		frame = frame[:n]
		if _, err := io.ReadFull(in, frame); err != nil {
			return err
		}
		req, id, err := d.read(frame)
		if err != nil {
			return err
		}
		d.beside.passed(ctx, n)
		if fetch, ok := req.(*kmsg.FetchRequest); ok {
			buffers, size := d.fetched(fetch, id)
			d.beside.passed(ctx, size)
			_, err = buffers.WriteTo(c)
		} else {
			out = d.answer(req, id, out[:0])
			_, err = c.Write(out)
		}
		if err != nil {
			return err
		}
	}
}

// read decodes a request; id is its correlation id.
func (d *discarder) read(frame []byte) (req kmsg.Request, id []byte, err error) {
	key, version := int16(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:]))
	req = kmsg.RequestForKey(key)
	if _, ok := discardKeys[kmsg.Key(key)]; !ok || version > newest(kmsg.Key(key)) {
		return nil, nil, fmt.Errorf("request with key %d, version %d", key, version)
	}
	req.SetVersion(version)
	client := int(int16(binary.BigEndian.Uint16(frame[8:])))
	at := 10 + max(client, 0)
	if req.IsFlexible() {
		at++ // no tagged fields
	}
	if at > len(frame) {
		return nil, nil, errors.New("short request")
	}
	return req, frame[4:8], req.ReadFrom(frame[at:])
}

func (d *discarder) answer(req kmsg.Request, id, out []byte) []byte {
	resp := d.respond(req)
	resp.SetVersion(req.GetVersion())
	out = append(append(out, 0, 0, 0, 0), id...)
	if resp.IsFlexible() && kmsg.Key(req.Key()) != kmsg.ApiVersions { // whose answer has the old header in all versions
		out = append(out, 0)
	}
	out = resp.AppendTo(out)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out
}

func (d *discarder) respond(req kmsg.Request) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.ProduceRequest:
		return acks(req)
	case *kmsg.MetadataRequest:
		return d.metadata(req)
	case *kmsg.ListOffsetsRequest:
		return listed(req)
	case *kmsg.InitProducerIDRequest:
		resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
		resp.ProducerID = d.producers.Add(1)
		return resp
	}
	resp := kmsg.NewPtrApiVersionsResponse()
	for key := range discardKeys {
		resp.ApiKeys = append(resp.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: key.Int16(), MaxVersion: newest(key)})
	}
	return resp
}

func acks(req *kmsg.ProduceRequest) *kmsg.ProduceResponse {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range req.Topics {
		rt := kmsg.ProduceResponseTopic{Topic: t.Topic, TopicID: t.TopicID}
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition = p.Partition
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// metadata knows every topic: its name ends in its number of partitions, as the id does.
func (d *discarder) metadata(req *kmsg.MetadataRequest) *kmsg.MetadataResponse {
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	broker := kmsg.NewMetadataResponseBroker()
	broker.NodeID, broker.Host, broker.Port = 1, d.host, d.port
	resp.Brokers, resp.ControllerID = []kmsg.MetadataResponseBroker{broker}, 1
	for _, t := range req.Topics {
		rt := kmsg.NewMetadataResponseTopic()
		name := topicName(int(t.TopicID[15]))
		if t.Topic != nil {
			name = *t.Topic
		}
		n, err := strconv.ParseUint(name[strings.LastIndexByte(name, '-')+1:], 10, 7)
		if err != nil {
			rt.ErrorCode = 3 // UNKNOWN_TOPIC_OR_PARTITION
		}
		rt.Topic = &name
		rt.TopicID[0], rt.TopicID[15] = 1, byte(n)
		for p := range int32(n) {
			rp := kmsg.NewMetadataResponseTopicPartition()
			rp.Partition, rp.Leader, rp.LeaderEpoch, rp.Replicas, rp.ISR = p, 1, 0, []int32{1}, []int32{1}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func topicName(partitions int) string { return fmt.Sprintf("bench-%d", partitions) }
