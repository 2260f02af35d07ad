package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/gnomon-stream/gnomon/tests/history/check"
)

// Workload is what a run does.
type Workload struct {
	Brokers    []string
	Topic      string // is made
	Partitions int32
	Records    int           // at most
	For        time.Duration // writing
	Rate       int           // records a second, of all producers
	Final      time.Duration // for what is under way when writing has ended, and then for reading everything; 0 leaves it out

	ends []atomic.Int64 // the highest that anybody was told, by partition
}

const (
	membersStay  = 3 * time.Second
	leavingGrace = 2 * time.Second // for members that leave, and producers that wait, when the cluster is gone
)

var groups = map[string]kgo.GroupBalancer{"cooperative": kgo.CooperativeStickyBalancer(), "eager": kgo.RangeBalancer()}

// Run does all of it. Clients that cannot reach their agent wait; an error says that the workload did not come to its end.
func (w *Workload) Run(ctx context.Context, rec *Recorder) error {
	ctx, cancel := context.WithTimeout(ctx, w.For+2*w.Final+leavingGrace)
	defer cancel()
	rec.End(rec.Invoke(w.about()), check.OK)
	cl, err := w.client("")
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	keep := "-1"
	configs := map[string]*string{"retention.ms": &keep, "retention.bytes": &keep} // nothing goes but what the workload deletes
	if _, err := adm.CreateTopic(ctx, w.Partitions, -1, configs, w.Topic); err != nil {
		return fmt.Errorf("create topic %s: %w", w.Topic, err)
	}
	writing, stop := context.WithTimeout(ctx, w.For)
	defer stop()
	var producers, others sync.WaitGroup
	var sent atomic.Int64
	for i, pin := range append([]string{""}, w.Brokers...) {
		who := fmt.Sprintf("%d", i)
		producers.Go(func() { w.produce(ctx, writing, rec, int32(i), pin, &sent) })
		others.Go(func() { w.consume(writing, rec, "consumer-"+who, pin) })
		others.Go(func() { w.ask(writing, rec, "asker-"+who, pin) })
		for group := range groups {
			others.Go(func() { w.join(writing, rec, group, group+"-"+who, pin, i == 0) })
		}
	}
	if w.Partitions > 1 {
		others.Go(func() { w.trim(writing, rec, adm) })
	}
	producers.Wait()
	others.Wait()
	if w.Final == 0 {
		return rec.Err()
	}
	return errors.Join(w.readAll(ctx, rec), rec.Err())
}

// about is the first line of a history. From then on the workload is that of its topic.
func (w *Workload) about() check.Event {
	w.ends = make([]atomic.Int64, w.Partitions)
	e := check.Event{F: check.Topic, Topic: w.Topic}
	for p := range w.Partitions {
		e.At = append(e.At, check.At{Partition: p})
	}
	return e
}

// readAll reads everything through every agent.
func (w *Workload) readAll(ctx context.Context, rec *Recorder) error {
	rec.End(rec.Invoke(check.Event{F: check.Final}), check.OK)
	ctx, cancel := context.WithTimeout(ctx, w.Final)
	defer cancel()
	var readers errgroup.Group
	for i, pin := range w.Brokers {
		readers.Go(func() error { return w.readToEnd(ctx, rec, fmt.Sprint("final-", i), pin) })
	}
	return readers.Wait()
}

// told notes that a partition reaches to end: askers fetch there, through other agents.
func (w *Workload) told(partition int32, end int64) {
	for at := &w.ends[partition]; ; {
		if known := at.Load(); end <= known || at.CompareAndSwap(known, end) {
			return
		}
	}
}

// client goes to pin for whatever agent it wants to speak to; "" leaves it its choice.
func (w *Workload) client(pin string, opts ...kgo.Opt) (*kgo.Client, error) {
	opts = append([]kgo.Opt{
		kgo.SeedBrokers(w.Brokers...), kgo.MetadataMinAge(100 * time.Millisecond), kgo.FetchMaxWait(200 * time.Millisecond),
		kgo.Dialer(func(ctx context.Context, network, address string) (net.Conn, error) {
			if pin != "" {
				address = pin
			}
			d := net.Dialer{Timeout: 2 * time.Second}
			return d.DialContext(ctx, network, address)
		}),
	}, opts...)
	return kgo.NewClient(opts...)
}

func encode(v check.Value) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(v.Producer))
	return binary.BigEndian.AppendUint64(b, uint64(v.Number))
}

// decode takes what is no value of ours for one that was never sent.
func decode(b []byte) check.Value {
	if len(b) != 12 {
		return check.Value{Producer: -1, Number: int64(len(b))}
	}
	return check.Value{Producer: int32(binary.BigEndian.Uint32(b)), Number: int64(binary.BigEndian.Uint64(b[4:]))}
}

func (w *Workload) produce(ctx, writing context.Context, rec *Recorder, id int32, pin string, sent *atomic.Int64) {
	cl, err := w.client(pin, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.MaxBufferedRecords(200))
	if err != nil {
		return
	}
	defer cl.Close()
	pace := time.Second * time.Duration(len(w.Brokers)+1) / time.Duration(w.Rate)
	for n := int64(0); writing.Err() == nil && sent.Add(1) <= int64(w.Records); n++ {
		v, p := check.Value{Producer: id, Number: n}, int32(n)%w.Partitions
		op := rec.Invoke(check.Event{
			F: check.Send, Process: fmt.Sprint("producer-", id), Agent: pin, Records: []check.Record{{Partition: p, Offset: -1, Value: v}},
		})
		cl.Produce(ctx, &kgo.Record{Topic: w.Topic, Partition: p, Value: encode(v)}, func(r *kgo.Record, err error) {
			if err != nil {
				op.Error = err.Error()
				rec.End(op, check.Info)
				return
			}
			op.Records = []check.Record{{Partition: p, Offset: r.Offset, Value: v}}
			rec.End(op, check.OK)
			w.told(p, r.Offset+1)
		})
		time.Sleep(pace)
	}
	flush, cancel := context.WithTimeout(ctx, w.Final)
	defer cancel()
	_ = cl.Flush(flush) // what is not acked then is unknown
}
