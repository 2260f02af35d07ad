package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

// history is what region A has before region B exists: records, some of them in a topic that is deleted again, group
// offsets, and a snapshot behind which the log was trimmed.
func history(t *testing.T, d *harness.Dev, region *harness.Process, rows *witness.Ledger) {
	t.Helper()
	a := d.Endpoints("a").Kafka
	createTopic(t, a, "t", 3)
	createTopic(t, a, "gone", 1)
	ctx := testContext(t, 2*time.Minute)
	cl := newClient(t, a, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	for i := range 240 {
		rows.Produce(ctx, cl, &kgo.Record{Topic: "t", Partition: int32(i % 3), Value: fmt.Appendf(nil, "before %d", i)}, nil)
		if i%4 == 0 {
			cl.Produce(ctx, &kgo.Record{Topic: "gone", Value: fmt.Appendf(nil, "gone %d", i)}, nil)
		}
		if i%2 == 0 { // many small objects, and so many entries
			if err := cl.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(ctx, 1, -1, nil, "more"); !errors.Is(err, kerr.PolicyViolation) {
		t.Errorf("a topic more than the region may have: %v", err)
	}
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: "t", Partition: 1, At: 33, LeaderEpoch: -1, Metadata: "from before"})
	if err := adm.CommitAllOffsets(ctx, "g", offsets); err != nil {
		t.Fatal(err)
	}
	if _, err := adm.DeleteTopic(ctx, "gone"); err != nil {
		t.Fatal(err)
	}
	// Not before its pointer is in etcd.
	harness.Eventually(t, 30*time.Second, "a snapshot of region A", func() string {
		if !strings.Contains(region.Log(), "snapshot written") {
			return region.Log()
		}
		return ""
	})
}

// A link that is made late begins with the source's snapshot, tails at once, brings the history after it, and is then as
// good as one that was there from the first record.
func TestBootstrapFromSnapshot(t *testing.T) {
	t.Parallel()
	d := harness.NewDev(t)
	a := d.Start("--region", "a", "--snapshot-every", "40", "--max-topics", "2", "--max-partitions", "4", "--log-level", "info")
	rows := witness.NewLedger()
	history(t, d, a, rows)
	a.Kill() // A itself starts from its snapshot, archive and what is left in etcd
	a = d.Start("--region", "a", "--snapshot-every", "40")
	checkLedger(t, rows, readAll(t, d.Endpoints("a").Kafka, "t"), nil)

	b := d.Start("--region", "b", "--log-level", "info")
	d.WaitLink("ACTIVE")
	ctx := testContext(t, time.Minute)
	cl := newClient(t, d.Endpoints("a").Kafka, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := range 60 {
		rows.Produce(ctx, cl, &kgo.Record{Topic: "t", Partition: int32(i % 3), Value: fmt.Appendf(nil, "after %d", i)}, nil)
	}
	if err := cl.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	d.WaitCaughtUp()
	var adopted struct {
		Bytes struct{ Resident, Remote int64 }
	}
	harness.Eventually(t, 30*time.Second, "the history is here", func() string {
		d.Admin("b", &adopted, "shadow", "status", harness.Link)
		if adopted.Bytes.Remote > 0 || adopted.Bytes.Resident == 0 {
			return fmt.Sprintf("%+v", adopted)
		}
		return ""
	})
	for _, deep := range []bool{false, true} {
		var v struct {
			Equal      bool
			Mismatches []any
		}
		d.Admin("b", &v, "shadow", "verify", harness.Link, fmt.Sprintf("--deep=%v", deep))
		if !v.Equal {
			t.Errorf("verify (deep %v): %+v", deep, v)
		}
	}
	for _, want := range []string{"adopted the source's snapshot", "backfills"} {
		if !strings.Contains(b.Log(), want) {
			t.Errorf("region B does not say that it %s:\n%s", want, b.Log())
		}
	}
	atB := d.Endpoints("b").Kafka
	samePartitions(t, readAll(t, d.Endpoints("a").Kafka, "t"), readAll(t, atB, "t"))

	a.Kill()
	var f harness.Failover
	d.Admin("b", &f, "shadow", "failover", harness.Link, "--yes")
	checkLedger(t, rows, readAll(t, atB, "t"), boundary(f, "t"))
	offsets, err := kadm.NewClient(newClient(t, atB)).FetchOffsets(ctx, "g")
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := offsets.Lookup("t", 1); !ok || o.At != 33 || o.Metadata != "from before" {
		t.Errorf("the group's offset at B is %+v, want 33", o)
	}
}
