package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// franz is franz-go.
type franz struct{ brokers []string }

func newFranz(brokers []string) client { return franz{brokers} }

func (f franz) client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(f.brokers...)}, opts...)...)
}

// with runs fn with a client and time for it.
func (f franz) with(fn func(ctx context.Context, cl *kgo.Client, adm *kadm.Client) error, opts ...kgo.Opt) error {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	cl, err := f.client(opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	return fn(ctx, cl, kadm.NewClient(cl))
}

var franzCodecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func (f franz) roundTrip(topic, codec string, records []record) ([]record, error) {
	var out []record
	err := f.with(func(ctx context.Context, cl *kgo.Client, adm *kadm.Client) error {
		if _, err := adm.CreateTopic(ctx, 1, -1, nil, topic); err != nil {
			return err
		}
		var all []*kgo.Record
		for _, r := range records {
			k := &kgo.Record{Topic: topic, Key: r.key, Value: r.value}
			for _, h := range r.headers {
				name, value, _ := cut(h)
				k.Headers = append(k.Headers, kgo.RecordHeader{Key: name, Value: value})
			}
			all = append(all, k)
		}
		for i, res := range cl.ProduceSync(ctx, all...) {
			if res.Err != nil || res.Record.Offset != int64(i) {
				return fmt.Errorf("record %d acked at %d, %v", i, res.Record.Offset, res.Err)
			}
		}
		return nil
	}, kgo.ProducerBatchCompression(franzCodecs[codec]))
	if err != nil {
		return nil, err
	}
	err = f.with(func(ctx context.Context, cl *kgo.Client, _ *kadm.Client) error {
		for len(out) < len(records) {
			fs := cl.PollFetches(ctx)
			if err := fs.Err(); err != nil {
				return err
			}
			fs.EachRecord(func(k *kgo.Record) {
				r := record{key: k.Key, value: k.Value}
				for _, h := range k.Headers {
					r.headers = append(r.headers, h.Key+"="+string(h.Value))
				}
				out = append(out, r)
			})
		}
		return nil
	}, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	return out, err
}

func (f franz) offsets(topic string, records int) error {
	var first *kgo.Record
	err := f.with(func(ctx context.Context, cl *kgo.Client, _ *kadm.Client) error {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return err
		}
		first = fs.Records()[0]
		return expect("from an offset", first.Offset, 7)
	}, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(7)}}))
	if err != nil {
		return err
	}
	return f.with(func(ctx context.Context, _ *kgo.Client, adm *kadm.Client) error {
		for what, want := range map[string][2]int64{"start": {0, 0}, "end": {int64(records), int64(records)}, "by time": {0, 7}, "by a time to come": {int64(records), int64(records)}} {
			list := map[string]func() (kadm.ListedOffsets, error){
				"start": func() (kadm.ListedOffsets, error) { return adm.ListStartOffsets(ctx, topic) },
				"end":   func() (kadm.ListedOffsets, error) { return adm.ListEndOffsets(ctx, topic) },
				"by time": func() (kadm.ListedOffsets, error) {
					return adm.ListOffsetsAfterMilli(ctx, first.Timestamp.UnixMilli(), topic)
				},
				"by a time to come": func() (kadm.ListedOffsets, error) {
					return adm.ListOffsetsAfterMilli(ctx, time.Now().Add(time.Hour).UnixMilli(), topic)
				},
			}[what]
			got, err := list()
			if err != nil {
				return err
			}
			if o, _ := got.Lookup(topic, 0); o.Err != nil || o.Offset < want[0] || o.Offset > want[1] {
				return fmt.Errorf("offset %s: %d, %v; want %v", what, o.Offset, o.Err, want)
			}
		}
		return nil
	})
}

func (f franz) group(topic, group string) error {
	return f.with(func(ctx context.Context, cl *kgo.Client, adm *kadm.Client) error {
		if _, err := adm.CreateTopic(ctx, 4, -1, nil, topic); err != nil {
			return err
		}
		for i := range 400 {
			cl.Produce(ctx, &kgo.Record{Topic: topic, Partition: int32(i % 4), Value: fmt.Appendf(nil, "%d", i)}, nil)
		}
		if err := cl.Flush(ctx); err != nil {
			return err
		}
		if err := f.members(ctx, topic, group); err != nil {
			return err
		}
		at := kadm.Offsets{}
		for p := range int32(4) {
			at.Add(kadm.Offset{Topic: topic, Partition: p, At: 100, LeaderEpoch: -1, Metadata: "note"})
		}
		if err := adm.CommitAllOffsets(ctx, group, at); err != nil {
			return err
		}
		got, err := adm.FetchOffsets(ctx, group)
		if err != nil {
			return err
		}
		for p := range int32(4) {
			if o, _ := got.Lookup(topic, p); o.At != 100 || o.Metadata != "note" {
				return fmt.Errorf("committed: %+v", o)
			}
		}
		described, err := adm.DescribeGroups(ctx, group)
		if err != nil {
			return err
		}
		if err := expect("state", described[group].State, "Empty"); err != nil {
			return err
		}
		if _, err := adm.DeleteGroup(ctx, group); err != nil {
			return err
		}
		left, err := adm.ListGroups(ctx)
		_, has := left[group]
		return first(err, expect("the deleted group is listed", has, false))
	}, kgo.RecordPartitioner(kgo.ManualPartitioner()))
}

// members has two members read all 400 records, two partitions each.
func (f franz) members(ctx context.Context, topic, group string) error {
	var mu sync.Mutex
	seen, share := map[string]bool{}, [2]map[int32]bool{{}, {}}
	ctx, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	for n := range 2 {
		change := func(has bool) func(context.Context, *kgo.Client, map[string][]int32) {
			return func(_ context.Context, _ *kgo.Client, ps map[string][]int32) {
				mu.Lock()
				defer mu.Unlock()
				for _, p := range ps[topic] {
					if share[n][p] = has; !has {
						delete(share[n], p)
					}
				}
			}
		}
		cl, err := f.client(kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)))
		if err != nil {
			return err
		}
		all.Go(func() {
			defer cl.Close()
			for ctx.Err() == nil {
				fs := cl.PollFetches(ctx)
				mu.Lock()
				fs.EachRecord(func(r *kgo.Record) { seen[string(r.Value)] = true })
				mu.Unlock()
			}
		})
	}
	return eventually("two members that share the partitions", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(seen) == 400 && len(share[0]) == 2 && len(share[1]) == 2
	})
}

func (f franz) admin(topic string) error {
	return f.with(func(ctx context.Context, cl *kgo.Client, adm *kadm.Client) error {
		hour, two := "3600000", "7200000"
		if _, err := adm.CreateTopic(ctx, 2, -1, map[string]*string{"retention.ms": &hour}, topic); err != nil {
			return err
		}
		grown, err := adm.UpdatePartitions(ctx, 3, topic)
		if err := first(err, grown.Error()); err != nil {
			return err
		}
		altered, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &two}}, topic)
		if err := first(err, altered[0].Err); err != nil {
			return err
		}
		configs, err := adm.DescribeTopicConfigs(ctx, topic)
		if err != nil {
			return err
		}
		for _, c := range configs[0].Configs {
			if c.Key == "retention.ms" && c.MaybeValue() != two {
				return fmt.Errorf("retention.ms is %s", c.MaybeValue())
			}
		}
		for range 10 {
			cl.Produce(ctx, &kgo.Record{Topic: topic, Value: []byte("x")}, nil)
		}
		if err := cl.Flush(ctx); err != nil {
			return err
		}
		deleted, err := adm.DeleteRecords(ctx, kadm.Offsets{topic: {0: {Topic: topic, At: 4}}})
		if err := first(err, deleted.Error()); err != nil {
			return err
		}
		starts, err := adm.ListStartOffsets(ctx, topic)
		o, _ := starts.Lookup(topic, 0)
		if err := first(err, expect("the start after DeleteRecords", o.Offset, 4)); err != nil {
			return err
		}
		if _, err := adm.DescribeAllLogDirs(ctx, nil); err != nil {
			return err
		}
		gone, err := adm.DeleteTopics(ctx, topic)
		return first(err, gone.Error())
	}, kgo.RecordPartitioner(kgo.ManualPartitioner()))
}

func (f franz) before(topic, group string) (map[int32]int64, error) {
	out := map[int32]int64{}
	err := f.with(func(ctx context.Context, cl *kgo.Client, adm *kadm.Client) error {
		for i := range 900 {
			cl.Produce(ctx, &kgo.Record{Topic: topic, Partition: int32(i % 3), Value: fmt.Appendf(nil, "%d", i)}, nil)
		}
		if err := cl.Flush(ctx); err != nil {
			return err
		}
		for n := 0; n < 400; {
			fs := cl.PollRecords(ctx, 100)
			if err := fs.Err(); err != nil {
				return err
			}
			n += fs.NumRecords()
		}
		if err := cl.CommitUncommittedOffsets(ctx); err != nil {
			return err
		}
		got, err := adm.FetchOffsets(ctx, group)
		got.Each(func(o kadm.OffsetResponse) { out[o.Partition] = o.At })
		return err
	}, kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	return out, err
}

func (f franz) after(topic, group string) (map[int32]int64, error) {
	out := map[int32]int64{}
	err := f.with(func(ctx context.Context, cl *kgo.Client, _ *kadm.Client) error {
		for p := range int32(3) {
			if err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Partition: p, Value: []byte("after")}).FirstErr(); err != nil {
				return err
			}
		}
		for len(out) < 3 {
			fs := cl.PollFetches(ctx)
			if err := fs.Err(); err != nil {
				return err
			}
			fs.EachRecord(func(r *kgo.Record) {
				if _, has := out[r.Partition]; !has {
					out[r.Partition] = r.Offset
				}
			})
		}
		return nil
	}, kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	return out, err
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
