package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/directory"
)

const (
	consumeTopic = "consume"
	consumeBytes = 64 << 20 // that the agents' caches hold
)

// consume measures readers of a topic from its start: right after it was written and read once, when it is in the agents' caches, and after
// a start, when it has to come from the bucket.
func (b *bench) consume(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.warm()+3*b.o.seconds+4*settle)
	defer cancel()
	c, err := b.startCluster("consume", "--memory-bytes", fmt.Sprint(1<<30))
	if err != nil {
		return err
	}
	defer func() { c.stop() }()
	if err := createTopic(ctx, c.kafka, consumeTopic, 16); err != nil {
		return err
	}
	if err := fill(ctx, c.kafka, b.scaled(consumeBytes/recordBytes)); err != nil {
		return err
	}
	gets, err := b.rawGets(ctx)
	if err != nil {
		return err
	}
	cold, err := readOnce(ctx, c.kafka, b.scaled(consumeBytes/recordBytes))
	if err != nil {
		return err
	}
	hot := 0.0
	for began := time.Now(); time.Since(began) < b.o.seconds; {
		mbps, err := readOnce(ctx, c.kafka, b.scaled(consumeBytes/recordBytes))
		if err != nil {
			return err
		}
		hot = max(hot, mbps)
	}
	b.report.add("consume cold, 1 consumer, 16 partitions", cold, "MB/s", limit{Name: "raw GET of 8 MiB, 4 at once", Value: gets})
	b.report.add("consume hot, 1 consumer, 16 partitions", hot, "MB/s", limit{Name: "raw GET of 8 MiB, 4 at once", Value: gets})
	return nil
}

func fill(ctx context.Context, brokers []string, records int) error {
	cl, err := producer(brokers, consumeTopic)
	if err != nil {
		return err
	}
	defer cl.Close()
	for range records {
		cl.Produce(ctx, &kgo.Record{Value: noise()}, nil)
	}
	return cl.Flush(ctx)
}

// readOnce reads a number of records from the start, and gives the rate of it.
func readOnce(ctx context.Context, brokers []string, records int) (mbps float64, err error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(consumeTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	began, bytes := time.Now(), 0
	for n := 0; n < records; {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return 0, err
		}
		n += fs.NumRecords()
		bytes = n * recordBytes
	}
	return float64(bytes) / mb / time.Since(began).Seconds(), nil
}

// rawGets reads objects of 8 MiB from the same kind of bucket, four at once.
func (b *bench) rawGets(ctx context.Context) (mbps float64, err error) {
	store, err := directory.Open(filepath.Join(b.dir, "gets"))
	if err != nil {
		return 0, err
	}
	defer func() { _ = store.Close() }()
	const objects = 8
	payload := payloadOf(putBytes)
	for i := range objects {
		if err := store.Put(ctx, fmt.Sprintf("data/%d", i), payload); err != nil {
			return 0, err
		}
	}
	var next atomic.Int64
	times, took, _, err := b.closed(ctx, putsAtOnce, func(ctx context.Context) (time.Duration, error) {
		began := time.Now()
		into := make([]byte, putBytes)
		err := store.GetRange(ctx, fmt.Sprintf("data/%d", next.Add(1)%objects), 0, into)
		return time.Since(began), err
	})
	if err != nil {
		return 0, err
	}
	return float64(len(times)) * putBytes / mb / took, nil
}
