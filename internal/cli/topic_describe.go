package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
)

type topicDescription struct {
	topicSummary
	// Configs has what differs from the defaults; absent when the broker does not tell.
	Configs    map[string]string      `json:"configs,omitempty"`
	Partitions []partitionDescription `json:"partition_details"`
}

type partitionDescription struct {
	Partition   int32 `json:"partition"`
	Leader      int32 `json:"leader"`
	LeaderEpoch int32 `json:"leader_epoch"`
	// Start and End are offsets: of the first record, and one above the last. Absent when they could not be had.
	Start *int64 `json:"start_offset,omitempty"`
	End   *int64 `json:"end_offset,omitempty"`
	Error string `json:"error,omitempty"`
}

func topicDescribe(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use: "describe NAME...", Short: "Show partitions, offsets and configs of topics",
		Args: arguments(1, -1, "at least one name"),
		RunE: func(cmd *cobra.Command, names []string) error {
			return env.administer(cmd.Context(), func(ctx context.Context, admin *kadm.Client) error {
				topics, err := env.describeTopics(ctx, admin, names)
				if err != nil {
					return err
				}
				return env.Emit(topics, func(w io.Writer) { writeTopics(w, topics) })
			})
		},
	}
	env.addBrokers(cmd)
	return cmd
}

func (e *Env) describeTopics(ctx context.Context, admin *kadm.Client, names []string) ([]topicDescription, error) {
	const what = "describe the topics"
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
	configs, err := admin.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		e.note("note: the configs are left out: " + cause(err))
	}
	out := []topicDescription{}
	for _, d := range details.Sorted() {
		t := topicDescription{topicSummary: topicSummary{
			Name: d.Topic, ID: base.TopicID(d.ID).String(), Partitions: len(d.Partitions), ReplicationFactor: d.Partitions.NumReplicas(), Internal: d.IsInternal,
		}}
		if c, err := configs.On(d.Topic, nil); err == nil && c.Err == nil {
			t.Configs = setConfigs(c.Configs)
		}
		for _, p := range d.Partitions.Sorted() {
			one := partitionDescription{Partition: p.Partition, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch}
			one.Start, one.End = offsetOf(starts, p), offsetOf(ends, p)
			if p.Err != nil {
				one.Error = cause(p.Err)
			}
			t.Partitions = append(t.Partitions, one)
		}
		out = append(out, t)
	}
	return out, nil
}

// setConfigs keeps what was set for the topic itself.
func setConfigs(all []kadm.Config) map[string]string {
	set := map[string]string{}
	for _, c := range all {
		if c.Source == kmsg.ConfigSourceDynamicTopicConfig {
			set[c.Key] = c.MaybeValue()
		}
	}
	return set
}

func offsetOf(list kadm.ListedOffsets, p kadm.PartitionDetail) *int64 {
	o, ok := list.Lookup(p.Topic, p.Partition)
	if !ok || o.Err != nil {
		return nil
	}
	return &o.Offset
}

func writeTopics(w io.Writer, topics []topicDescription) {
	for i, t := range topics {
		if i > 0 {
			row(w)
		}
		var configs []string
		for name, value := range t.Configs {
			configs = append(configs, name+"="+value)
		}
		slices.Sort(configs)
		row(w, fmt.Sprintf("topic %s, id %s", t.Name, t.ID))
		if len(configs) > 0 {
			row(w, "configs "+strings.Join(configs, " "))
		}
		row(w, "PARTITION", "LEADER", "EPOCH", "START", "END", "RECORDS")
		for _, p := range t.Partitions {
			records := "?"
			if p.Start != nil && p.End != nil {
				records = thousands(*p.End - *p.Start)
			}
			row(w, p.Partition, p.Leader, p.LeaderEpoch, offsetText(p.Start), offsetText(p.End), records)
		}
	}
}

func offsetText(o *int64) string {
	if o == nil {
		return "?"
	}
	return fmt.Sprint(*o)
}
