package cluster

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

// What a coordinator is told by its flags to admit is what clients of the agents can make.
func TestCoordinatorLimits(t *testing.T) {
	c := harness.NewCluster(t, harness.ClusterConfig{Agents: 1, Coordinators: 1, Coordinator: []string{
		"--max-topics", "2", "--max-partitions", "7", "--max-partitions-per-topic", "4", "--max-offsets-per-group", "2",
	}})
	ctx := testContext(t, time.Minute)
	adm := kadm.NewClient(newClient(t, c.Kafka()))
	for _, step := range []struct {
		name       string
		partitions int32
		want       error
	}{
		{"a", 5, kerr.InvalidPartitions}, {"a", 4, nil}, {"b", 4, kerr.PolicyViolation}, {"b", 3, nil}, {"c", 1, kerr.PolicyViolation},
	} {
		if _, err := adm.CreateTopic(ctx, step.partitions, -1, nil, step.name); !errors.Is(err, step.want) {
			t.Errorf("topic %s with %d partitions: %v, want %v", step.name, step.partitions, err, step.want)
		}
	}
	var offsets kadm.Offsets
	for p := range int32(3) {
		offsets.AddOffset("a", p, 1, -1)
	}
	committed, err := adm.CommitOffsets(ctx, "g", offsets)
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	committed.Each(func(o kadm.OffsetResponse) {
		if o.Err == nil {
			taken++
		} else if !errors.Is(o.Err, kerr.InvalidCommitOffsetSize) {
			t.Errorf("partition %d: %v", o.Partition, o.Err)
		}
	})
	if taken != 2 {
		t.Errorf("%d of 3 offsets are taken, want 2", taken)
	}
}
