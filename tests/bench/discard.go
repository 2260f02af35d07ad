package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// discarder is a broker that acks what it reads and keeps nothing: with it the load generator shows what it can do.
type discarder struct {
	host      string
	port      int32
	producers atomic.Int64
}

// discardKeys are the APIs served, in all versions that the generator's library knows.
var discardKeys = []kmsg.Key{kmsg.Produce, kmsg.Metadata, kmsg.ApiVersions, kmsg.InitProducerID}

// discard serves until ctx ends. It prints a line with the word ready and its address.
func discard(ctx context.Context, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	at := l.Addr().(*net.TCPAddr)
	d := &discarder{host: at.IP.String(), port: int32(at.Port)}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	if _, err := fmt.Fprintf(out, "ready %s\n", l.Addr()); err != nil {
		return err
	}
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		conns.Go(func() {
			defer context.AfterFunc(ctx, func() { _ = c.Close() })()
			defer func() { _ = c.Close() }()
			_ = d.serve(c) // it ends with the client, or with ctx
		})
	}
}

// serve answers the requests of a connection one after the other.
func (d *discarder) serve(c net.Conn) error {
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
		var err error
		if out, err = d.answer(frame, out[:0]); err != nil {
			return err
		}
		if _, err := c.Write(out); err != nil {
			return err
		}
	}
}

func (d *discarder) answer(frame, out []byte) ([]byte, error) {
	key, version := int16(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:]))
	req := kmsg.RequestForKey(key)
	if !slices.Contains(discardKeys, kmsg.Key(key)) || version > req.MaxVersion() {
		return nil, fmt.Errorf("request with key %d, version %d", key, version)
	}
	req.SetVersion(version)
	id := int(int16(binary.BigEndian.Uint16(frame[8:])))
	at := 10 + max(id, 0)
	if req.IsFlexible() {
		at++ // no tagged fields
	}
	if at > len(frame) {
		return nil, errors.New("short request")
	}
	if err := req.ReadFrom(frame[at:]); err != nil {
		return nil, err
	}
	resp := d.respond(req)
	resp.SetVersion(version)
	out = append(append(out, 0, 0, 0, 0), frame[4:8]...)
	if resp.IsFlexible() && kmsg.Key(key) != kmsg.ApiVersions { // whose answer has the old header in all versions
		out = append(out, 0)
	}
	out = resp.AppendTo(out)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out, nil
}

func (d *discarder) respond(req kmsg.Request) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.ProduceRequest:
		return acks(req)
	case *kmsg.MetadataRequest:
		return d.metadata(req)
	case *kmsg.InitProducerIDRequest:
		resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
		resp.ProducerID = d.producers.Add(1)
		return resp
	}
	resp := kmsg.NewPtrApiVersionsResponse()
	for _, key := range discardKeys {
		resp.ApiKeys = append(resp.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: key.Int16(), MaxVersion: kmsg.RequestForKey(key.Int16()).MaxVersion()})
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
