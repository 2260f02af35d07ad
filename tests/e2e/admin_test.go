package e2e

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

// What administrators change at the source is so at the shadow, in order with the records, and they change it there only; after
// the flip they change it at the region that took over.
func TestAdminOverALink(t *testing.T) {
	x := newDisaster(t, true)
	ctx := testContext(t, time.Minute)
	a, b := x.Endpoints("a").Kafka, x.Endpoints("b").Kafka
	atA, atB := kadm.NewClient(newClient(t, a)), kadm.NewClient(newClient(t, b, kgo.MetadataMinAge(100*time.Millisecond)))
	createTopic(t, a, "t", 2)
	producer := newClient(t, a, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(100*time.Millisecond))
	ledger := witness.NewLedger()
	send := func(partition int32, n int) {
		t.Helper()
		for i := range n {
			ledger.Produce(ctx, producer, &kgo.Record{Topic: "t", Partition: partition, Value: fmt.Appendf(nil, "%d %d %d", partition, i, time.Now().UnixNano())}, nil)
		}
		if err := producer.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	send(0, 100)
	send(1, 50)
	change := func(cl *kadm.Client, partitions int, retention string, deleteTo int64) error {
		grown, err := cl.UpdatePartitions(ctx, partitions, "t")
		altered, err2 := cl.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &retention}}, "t")
		deleted, err3 := cl.DeleteRecords(ctx, kadm.Offsets{"t": {0: {Topic: "t", Partition: 0, At: deleteTo}}})
		one, err4 := altered.On("t", nil)
		return errors.Join(err, err2, err3, err4, grown.Error(), one.Err, deleted.Error())
	}
	if err := change(atA, 4, "3600000", 40); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, 10*time.Second, "the producer knows the new partition", func() string {
		producer.ForceMetadataRefresh()
		if err := producer.ProduceSync(ctx, &kgo.Record{Topic: "t", Partition: 3, Value: []byte("probe")}).FirstErr(); err != nil {
			return err.Error()
		}
		return ""
	})
	check := func(cl *kadm.Client, partitions int, retention string, start int64) {
		t.Helper()
		topics, err := cl.ListTopics(ctx, "t")
		if err != nil || len(topics["t"].Partitions) != partitions {
			t.Errorf("%d partitions, %v; want %d", len(topics["t"].Partitions), err, partitions)
		}
		configs, err := cl.DescribeTopicConfigs(ctx, "t")
		if err != nil {
			t.Fatal(err)
		}
		one, _ := configs.On("t", nil)
		for _, c := range one.Configs {
			if c.Key == "retention.ms" && c.MaybeValue() != retention {
				t.Errorf("retention.ms is %s, want %s", c.MaybeValue(), retention)
			}
		}
		starts, err := cl.ListStartOffsets(ctx, "t")
		if o, _ := starts.Lookup("t", 0); err != nil || o.Offset != start {
			t.Errorf("partition 0 starts at %d, %v; want %d", o.Offset, err, start)
		}
	}
	x.WaitCaughtUp()
	check(atA, 4, "3600000", 40)
	check(atB, 4, "3600000", 40)
	if err := change(atB, 5, "1000", 50); !errors.Is(err, kerr.PolicyViolation) {
		t.Errorf("changed at the shadow: %v", err)
	}

	x.strike()
	x.failover()
	check(atB, 4, "3600000", 40)
	if err := change(atB, 5, "7200000", 60); err != nil {
		t.Errorf("after the flip: %v", err)
	}
	check(atB, 5, "7200000", 60)
	end := ends(t, b, "t")
	if end[0] != 100 || end[1] != 50 || len(end) != 5 {
		t.Errorf("ends at b: %v", end)
	}
	// Below the start there is nothing any more, and a reader is told so.
	reader := newClient(t, b, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"t": {0: kgo.NewOffset().At(10)}}), kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	if err := reader.PollFetches(ctx).Err(); !errors.Is(err, kerr.OffsetOutOfRange) {
		t.Errorf("a fetch below the start: %v", err)
	}
}
