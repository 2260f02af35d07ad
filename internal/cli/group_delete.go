package cli

import (
	"cmp"
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func groupDelete(env *Env) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete NAME... --yes", Short: "Delete consumer groups with their offsets",
		Long:    "Delete consumer groups without members, with all that they have committed. There is no way back.",
		Example: "  gnomon group delete billing --yes",
		Args:    arguments(1, -1, "at least one name"),
		RunE: func(cmd *cobra.Command, names []string) error {
			if !yes {
				return usagef("deleting groups deletes their offsets for good: say --yes")
			}
			return env.administerBy(cmd.Context(), func(ctx context.Context, client *kgo.Client, admin *kadm.Client) error {
				if err := refuseShadow(ctx, client, "delete group "+names[0], names[0]); err != nil {
					return err
				}
				responses, err := admin.DeleteGroups(ctx, names...)
				if err != nil && len(responses) == 0 {
					return failKafka("delete the groups", err)
				}
				return env.emitDeleted(names, func(name string) error {
					r, found := responses[name]
					what := "delete group " + name
					switch {
					case !found:
						return failKafka(what, err)
					case r.Err != nil:
						return failWords(what, r.Err, r.ErrMessage)
					}
					return nil
				})
			})
		},
	}
	env.addBrokers(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

var errNoAnswer = errors.New("the broker said nothing of it")

// groupOffset is a partition of a group whose offset was changed.
type groupOffset struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// From is what was committed before, To what is now; -1 for nothing.
	From int64 `json:"from_offset"`
	To   int64 `json:"to_offset"`
}

func groupDeleteOffsets(env *Env) *cobra.Command {
	var topics []string
	var yes bool
	cmd := &cobra.Command{
		Use: "delete-offsets NAME --topic TOPIC[:PARTITION,…]... --yes", Short: "Delete what a group has committed for topics",
		Long: "Delete what a consumer group has committed for topics that none of its members reads. A consumer without a committed offset\n" +
			"begins where its auto.offset.reset says.",
		Example: "  gnomon group delete-offsets billing --topic orders --topic refunds:0,2 --yes",
		Args:    arguments(1, 1, "the name of one group"),
		RunE: func(cmd *cobra.Command, names []string) error {
			places, err := parsePlaces(topics)
			switch {
			case err != nil:
				return err
			case len(places) == 0:
				return usagef("name the topics by --topic")
			case !yes:
				return usagef("offsets are deleted for good: say --yes")
			}
			return env.administerBy(cmd.Context(), func(ctx context.Context, client *kgo.Client, admin *kadm.Client) error {
				what := "delete offsets of group " + names[0]
				if err := refuseShadow(ctx, client, what, names[0]); err != nil {
					return err
				}
				return env.deleteGroupOffsets(ctx, admin, what, names[0], places)
			})
		},
	}
	env.addBrokers(cmd)
	addPlaces(cmd, &topics)
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

func (e *Env) deleteGroupOffsets(ctx context.Context, admin *kadm.Client, what, group string, places []place) error {
	set, err := findPlaces(ctx, admin, what, places)
	if err != nil {
		return err
	}
	committed, err := admin.FetchOffsets(ctx, group)
	if err != nil {
		return failKafka(what, err)
	}
	responses, err := admin.DeleteOffsets(ctx, group, set)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return Fail(what, errors.New("the group does not exist"), remedies[kerr.GroupIDNotFound])
	}
	if err != nil {
		return failKafka(what, err)
	}
	done := []groupOffset{}
	var failures partitionFailures
	for _, p := range set.Sorted() {
		for _, partition := range p.Partitions {
			one := groupOffset{p.Topic, partition, committedAt(committed, p.Topic, partition), -1}
			if err, found := responses.Lookup(p.Topic, partition); !found || err != nil {
				failures.add(p.Topic, partition, cmp.Or[error](err, errNoAnswer))
			} else if one.From >= 0 {
				done = append(done, one)
			}
		}
	}
	return e.emitOffsets(done, failures.errors(what+" for"))
}

// emitOffsets tells which offsets were changed.
func (e *Env) emitOffsets(done []groupOffset, failures []error) error {
	if len(done) == 0 && len(failures) == 0 {
		e.note("nothing was committed there")
	}
	return e.emitSome(done, len(done), failures, func(w io.Writer) {
		row(w, "TOPIC", "PARTITION", "FROM", "TO")
		for _, d := range done {
			row(w, d.Topic, d.Partition, orDash(d.From), orDash(d.To))
		}
	})
}

// committedAt is what a group has committed for a partition, -1 for nothing.
func committedAt(committed kadm.OffsetResponses, topic string, partition int32) int64 {
	if o, ok := committed.Lookup(topic, partition); ok && o.Err == nil {
		return o.At
	}
	return -1
}
