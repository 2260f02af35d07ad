package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/gnomon-stream/gnomon/internal/base"
)

func topicCommand(env *Env) *cobra.Command {
	return parent("topic", "List, create, describe, alter and delete topics", topicList(env), topicCreate(env), topicDescribe(env),
		topicAlter(env), topicDelete(env), topicDeleteRecords(env))
}

type topicSummary struct {
	Name              string `json:"name"`
	ID                string `json:"id"`
	Partitions        int    `json:"partitions"`
	ReplicationFactor int    `json:"replication_factor"`
	Internal          bool   `json:"internal,omitempty"`
}

func topicList(env *Env) *cobra.Command {
	var internal bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the topics",
		Args: arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return env.administer(cmd.Context(), func(ctx context.Context, admin *kadm.Client) error {
				list := admin.ListTopics
				if internal {
					list = admin.ListTopicsWithInternal
				}
				details, err := list(ctx)
				if err != nil {
					return failKafka("list the topics", err)
				}
				return env.emitTopics(details)
			})
		},
	}
	env.addBrokers(cmd)
	cmd.Flags().BoolVar(&internal, "internal", false, "internal topics as well")
	return cmd
}

func (e *Env) emitTopics(details kadm.TopicDetails) error {
	topics := []topicSummary{}
	for _, d := range details.Sorted() {
		topics = append(topics, topicSummary{
			Name: d.Topic, ID: base.TopicID(d.ID).String(), Partitions: len(d.Partitions), ReplicationFactor: d.Partitions.NumReplicas(), Internal: d.IsInternal,
		})
	}
	return e.Emit(topics, func(w io.Writer) {
		if len(topics) == 0 {
			e.note("no topics; create one with `gnomon topic create NAME`")
			return
		}
		row(w, "NAME", "PARTITIONS", "REPLICATION", "ID")
		for _, t := range topics {
			row(w, t.Name, t.Partitions, t.ReplicationFactor, t.ID)
		}
	})
}
