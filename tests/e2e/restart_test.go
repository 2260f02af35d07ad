package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

// A kill of the whole process under load loses nothing that was acked, in either region, and committed offsets stand; the
// producer that was cut off goes on without a duplicate.
func TestKillAndStart(t *testing.T) {
	d := harness.NewDev(t)
	p := d.Start()
	a := d.Endpoints("a").Kafka
	createTopic(t, a, "t", 3)
	ctx := testContext(t, 2*time.Minute)

	g := newClient(t, a, kgo.ConsumeTopics("t"), kgo.ConsumerGroup("g"), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	producer := newClient(t, a, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	rows := witness.NewLedger()
	for i := range 300 {
		rows.Produce(ctx, producer, &kgo.Record{Topic: "t", Partition: int32(i % 3), Value: fmt.Appendf(nil, "first %d", i)}, nil)
	}
	if err := producer.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < 300; {
		f := g.PollFetches(ctx)
		if err := f.Err0(); err != nil {
			t.Fatal(err)
		}
		n += f.NumRecords()
	}
	if err := g.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	g.Close()

	for i := range 5000 {
		rows.Produce(ctx, producer, &kgo.Record{Topic: "t", Partition: int32(i % 3), Value: fmt.Appendf(nil, "second %d", i)}, nil)
		if i == 2500 {
			p.Kill()
		}
	}
	p = d.Start()
	if err := producer.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	checkLedger(t, rows, readAll(t, a, "t"), nil)
	if n := rows.Acked(); n != 5300 {
		t.Errorf("%d records were acked, want 5300: %v", n, rows.Err())
	}
	offsets, err := kadm.NewClient(newClient(t, a)).FetchOffsets(ctx, "g")
	if err != nil {
		t.Fatal(err)
	}
	for partition := range int32(3) {
		if o, ok := offsets.Lookup("t", partition); !ok || o.At != 100 {
			t.Errorf("committed offset of partition %d: %+v, want 100", partition, o)
		}
	}
	d.WaitCaughtUp()
	samePartitions(t, readAll(t, a, "t"), readAll(t, d.Endpoints("b").Kafka, "t"))
	p.Stop()
	d.Start() // and after a clean stop it starts again
	checkLedger(t, rows, readAll(t, a, "t"), nil)
}

// samePartitions checks that two regions give the same records at the same offsets.
func samePartitions(t *testing.T, a, b witness.Contents) {
	t.Helper()
	if len(a) != len(b) {
		t.Errorf("%d partitions and %d", len(a), len(b))
	}
	for p := range a {
		if len(a[p]) != len(b[p]) {
			t.Errorf("partition %d: %d records and %d", p, len(a[p]), len(b[p]))
		}
		for i := range min(len(a[p]), len(b[p])) {
			if !witness.SameRecord(a[p][i], b[p][i]) {
				t.Fatalf("partition %d, offset %d: %v and %v", p, i, a[p][i], b[p][i])
			}
		}
	}
}
