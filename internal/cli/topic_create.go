package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gnomon-stream/gnomon/internal/base"
)

type topicCreateFlags struct {
	partitions  int32
	replication int16
	configs     []string
	ifNotExists bool
	dryRun      bool
}

type topicCreated struct {
	Name       string `json:"name"`
	ID         string `json:"id,omitempty"`
	Partitions int32  `json:"partitions"`
	// Result is "created", "exists" or, with --dry-run, "valid".
	Result string `json:"result"`
}

func topicCreate(env *Env) *cobra.Command {
	var f topicCreateFlags
	cmd := &cobra.Command{
		Use: "create NAME...", Short: "Create topics",
		Example: "  gnomon topic create orders --partitions 6 --config retention.ms=86400000",
		Args:    arguments(1, -1, "at least one name"),
		RunE: func(cmd *cobra.Command, names []string) error {
			configs, err := parseConfigs(f.configs)
			if err != nil {
				return err
			}
			return env.administer(cmd.Context(), func(ctx context.Context, admin *kadm.Client) error {
				return env.createTopics(ctx, admin, f, configs, names)
			})
		},
	}
	env.addBrokers(cmd)
	flags := cmd.Flags()
	flags.Int32VarP(&f.partitions, "partitions", "p", -1, "number of partitions (-1: the cluster's default)")
	flags.Int16Var(&f.replication, "replication-factor", -1, "what clients are told; the bucket keeps the data safe (-1: the cluster's default)")
	flags.StringArrayVarP(&f.configs, "config", "c", nil, "a property as name=value; may be repeated")
	flags.BoolVar(&f.ifNotExists, "if-not-exists", false, "a topic that is there already is no error")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only check whether the topics could be created")
	return cmd
}

func parseConfigs(pairs []string) (map[string]*string, error) {
	configs := map[string]*string{}
	for _, pair := range pairs {
		name, value, found := strings.Cut(pair, "=")
		if !found || name == "" {
			return nil, usagef("--config takes name=value, and got %q", pair)
		}
		if _, twice := configs[name]; twice {
			return nil, usagef("--config gives %s twice", name)
		}
		configs[name] = &value
	}
	return configs, nil
}

// createTopics tells what became of each topic, and fails if one could not be created.
func (e *Env) createTopics(ctx context.Context, admin *kadm.Client, f topicCreateFlags, configs map[string]*string, names []string) error {
	create, result := admin.CreateTopics, "created"
	if f.dryRun {
		create, result = admin.ValidateCreateTopics, "valid"
	}
	responses, err := create(ctx, f.partitions, f.replication, configs, names...)
	if err != nil {
		return failKafka("create the topics", err)
	}
	done := []topicCreated{}
	var failures []error
	for _, name := range names {
		r, err := responses.On(name, nil)
		switch {
		case err != nil:
			failures = append(failures, failKafka("create topic "+name, err))
		case errors.Is(r.Err, kerr.TopicAlreadyExists) && f.ifNotExists:
			done = append(done, topicCreated{Name: name, Partitions: f.partitions, Result: "exists"})
		case r.Err != nil:
			failures = append(failures, failWords("create topic "+name, r.Err, r.ErrMessage))
		default:
			one := topicCreated{Name: name, Partitions: max(r.NumPartitions, f.partitions), Result: result}
			if r.ID != (kadm.TopicID{}) {
				one.ID = base.TopicID(r.ID).String()
			}
			done = append(done, one)
		}
	}
	if len(done) > 0 || e.JSON() {
		err := e.Emit(done, func(w io.Writer) {
			row(w, "NAME", "RESULT", "PARTITIONS", "ID")
			for _, t := range done {
				row(w, t.Name, t.Result, partitionsText(t.Partitions), t.ID)
			}
		})
		if err != nil {
			return err
		}
	}
	return joined(failures)
}

func partitionsText(n int32) string {
	if n < 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
