package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

// Every codec of an idempotent producer, headers, and keys and values that are empty or missing, sent to one agent, come out
// of the other agent and of region B as they went in.
func TestEveryCodec(t *testing.T) {
	t.Parallel()
	d := harness.NewDev(t)
	d.Start()
	a, ctx := d.Endpoints("a").Kafka, testContext(t, time.Minute)
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	ledgers := map[string]*witness.Ledger{}
	for name, codec := range codecs {
		createTopic(t, a, name, 2)
		rows := witness.NewLedger()
		ledgers[name] = rows
		for i := range a {
			cl := newClient(t, a[i:i+1], kgo.ProducerBatchCompression(codec), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			for n := range 100 {
				rows.Produce(ctx, cl, &kgo.Record{
					Topic: name, Partition: int32(n % 2), Key: [][]byte{nil, {}, []byte("key")}[n%3], Value: fmt.Appendf(nil, "%s by agent %d, %d", name, i, n),
					Headers: []kgo.RecordHeader{{Key: "empty"}, {Key: "n", Value: fmt.Append(nil, n)}},
				}, nil)
			}
			if err := cl.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	createTopic(t, a, "tombstones", 1)
	for _, value := range [][]byte{nil, {}} { // which Kafka tells apart
		if err := newClient(t, a).ProduceSync(ctx, &kgo.Record{Topic: "tombstones", Key: []byte("gone"), Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	d.WaitCaughtUp()
	for name, rows := range ledgers {
		first := readAll(t, a[:1], name)
		samePartitions(t, first, readAll(t, a[1:], name))
		samePartitions(t, first, readAll(t, d.Endpoints("b").Kafka, name))
		checkLedger(t, rows, first, nil)
		if n := rows.Acked(); n != 200 {
			t.Errorf("%s: %d rows acked, want 200", name, n)
		}
	}
	at := readAll(t, d.Endpoints("b").Kafka, "tombstones")[0]
	if len(at) != 2 || at[0].Value != nil || at[1].Value == nil {
		t.Errorf("a missing and an empty value came out as %v", at)
	}
}
