package cli

import (
	"cmp"
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// deletion is a partition with the offset below which its records are to go.
type deletion struct {
	topic      string
	partition  int32
	before     int64 // endOfRecord for all
	start, end int64 // of the partition as it is
}

// newStart is where the partition would begin.
func (d deletion) newStart() int64 {
	if d.before == endOfRecord {
		return d.end
	}
	return max(d.start, d.before)
}

// planDeletion finds the partitions, and refuses offsets beyond their ends before anything is deleted.
func planDeletion(ctx context.Context, admin *kadm.Client, wanted []wantedOffset) ([]deletion, error) {
	const what = "delete the records"
	var names []string
	for _, w := range wanted {
		names = append(names, w.Topic)
	}
	details, err := requireTopics(ctx, admin, what, names...)
	if err != nil {
		return nil, err
	}
	starts, err := admin.ListStartOffsets(ctx, names...)
	if err != nil {
		return nil, failKafka(what, err)
	}
	ends, err := admin.ListEndOffsets(ctx, names...)
	if err != nil {
		return nil, failKafka(what, err)
	}
	var plan []deletion
	for _, w := range wanted {
		for _, p := range partitionsOf(details[w.Topic], w.Partition) {
			start, found := starts.Lookup(w.Topic, p)
			end, _ := ends.Lookup(w.Topic, p)
			switch {
			case !found:
				return nil, Fail(what, fmt.Errorf("topic %s has no partition %d", w.Topic, p), "see what there is with `gnomon topic describe`")
			case start.Err != nil || end.Err != nil:
				return nil, failKafka(what, cmp.Or(start.Err, end.Err))
			case *w.Offset > end.Offset:
				err := fmt.Errorf("partition %d of %s ends at %d, below %d", p, w.Topic, end.Offset, *w.Offset)
				return nil, Fail(what, err, remedies[kerr.OffsetOutOfRange])
			}
			plan = append(plan, deletion{topic: w.Topic, partition: p, before: *w.Offset, start: start.Offset, end: end.Offset})
		}
	}
	return plan, nil
}

// partitionsOf is the partition, or all that the topic has.
func partitionsOf(d kadm.TopicDetail, partition int32) []int32 {
	if partition != allPartitions {
		return []int32{partition}
	}
	var out []int32
	for _, p := range d.Partitions.Sorted() {
		out = append(out, p.Partition)
	}
	return out
}
