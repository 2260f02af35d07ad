package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

// What was produced through one agent is read through each.
func TestThreeAgents(t *testing.T) {
	c := harness.NewCluster(t, harness.ClusterConfig{})
	createTopic(t, c.Kafka(), "t", 3)
	ctx := testContext(t, time.Minute)
	rows := witness.NewLedger()
	for i, addr := range c.Kafka() {
		producer := newClient(t, []string{addr}, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		for n := range 300 {
			rows.Produce(ctx, producer, &kgo.Record{Topic: "t", Partition: int32(n % 3), Value: fmt.Appendf(nil, "%d/%d", i, n)}, nil)
		}
		if err := producer.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for _, addr := range c.Kafka() {
		checkLedger(t, rows, readAll(t, []string{addr}, "t"), nil)
	}
}
