package cli

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

type topicAlterFlags struct {
	configs    []string
	deletes    []string
	partitions int32
	dryRun     bool
}

type topicAltered struct {
	Name string `json:"name"`
	// Partitions is how many it has now; absent when it was not to change.
	Partitions int32             `json:"partitions,omitempty"`
	Set        map[string]string `json:"set,omitempty"`
	Deleted    []string          `json:"deleted,omitempty"`
	// Result is "altered" or, with --dry-run, "valid".
	Result string `json:"result"`
}

func topicAlter(env *Env) *cobra.Command {
	var f topicAlterFlags
	cmd := &cobra.Command{
		Use: "alter NAME...", Short: "Change configs of topics, add partitions",
		Long: "Set configs of topics, put configs back to their defaults, add partitions.\n\n" +
			"Partitions cannot be taken away. Records of a key may go to another partition once there are more; what is written stays where it is.\n" +
			"Topics of a shadow are altered at its source.",
		Example: "  gnomon topic alter orders --config retention.ms=86400000 --delete-config retention.bytes\n" +
			"  gnomon topic alter orders --partitions 12",
		Args: arguments(1, -1, "at least one name"),
		RunE: func(cmd *cobra.Command, names []string) error {
			changes, err := f.changes()
			switch {
			case err != nil:
				return err
			case cmd.Flags().Changed("partitions") && f.partitions < 1:
				return usagef("--partitions is how many there are to be, at least 1, and not %d", f.partitions)
			case len(changes) == 0 && f.partitions == 0:
				return usagef("nothing is to be altered: give --config, --delete-config or --partitions")
			}
			return env.administer(cmd.Context(), func(ctx context.Context, admin *kadm.Client) error {
				return env.alterTopics(ctx, admin, f, changes, names)
			})
		},
	}
	env.addBrokers(cmd)
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.configs, "config", "c", nil, "a property as name=value; may be repeated")
	flags.StringArrayVar(&f.deletes, "delete-config", nil, "the name of a property that goes back to its default; may be repeated")
	flags.Int32VarP(&f.partitions, "partitions", "p", 0, "how many partitions there are to be")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only check whether the topics could be altered")
	return cmd
}

// changes are the operations that the flags ask for, by name.
func (f *topicAlterFlags) changes() ([]kadm.AlterConfig, error) {
	set, err := parseConfigs(f.configs)
	if err != nil {
		return nil, err
	}
	var out []kadm.AlterConfig
	for name, value := range set {
		out = append(out, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: value})
	}
	for i, name := range f.deletes {
		switch {
		case name == "" || strings.Contains(name, "="):
			return nil, usagef("--delete-config takes the name of a property, and got %q", name)
		case set[name] != nil:
			return nil, usagef("%s is both to be set and to be deleted", name)
		case slices.Contains(f.deletes[:i], name):
			return nil, usagef("--delete-config gives %s twice", name)
		}
		out = append(out, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: name})
	}
	slices.SortFunc(out, func(a, b kadm.AlterConfig) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// alterTopics checks both changes of each topic before it makes the first: a topic is then altered as a whole, or not at all (but for
// what happens between the check and the change).
func (e *Env) alterTopics(ctx context.Context, admin *kadm.Client, f topicAlterFlags, changes []kadm.AlterConfig, names []string) error {
	done := []topicAltered{}
	var failures []error
	for _, name := range names {
		err := alterTopic(ctx, admin, f.partitions, changes, name, true)
		if err == nil && !f.dryRun {
			err = alterTopic(ctx, admin, f.partitions, changes, name, false)
		}
		if err != nil {
			failures = append(failures, err)
			continue
		}
		one := topicAltered{Name: name, Partitions: f.partitions, Result: "altered"}
		if f.dryRun {
			one.Result = "valid"
		}
		for _, c := range changes {
			if c.Value == nil {
				one.Deleted = append(one.Deleted, c.Name)
				continue
			}
			if one.Set == nil {
				one.Set = map[string]string{}
			}
			one.Set[c.Name] = *c.Value
		}
		done = append(done, one)
	}
	return e.emitSome(done, len(done), failures, func(w io.Writer) {
		row(w, "NAME", "RESULT")
		for _, t := range done {
			row(w, t.Name, t.Result)
		}
	})
}

func alterTopic(ctx context.Context, admin *kadm.Client, partitions int32, changes []kadm.AlterConfig, name string, validate bool) error {
	what := "alter topic " + name
	if partitions > 0 {
		update := admin.UpdatePartitions
		if validate {
			update = admin.ValidateUpdatePartitions
		}
		responses, err := update(ctx, int(partitions), name)
		if err != nil {
			return failKafka(what, err)
		}
		if r, err := responses.On(name, nil); err != nil {
			return failKafka(what, err)
		} else if r.Err != nil {
			return failWords(what, r.Err, r.ErrMessage)
		}
	}
	if len(changes) == 0 {
		return nil
	}
	alter := admin.AlterTopicConfigs
	if validate {
		alter = admin.ValidateAlterTopicConfigs
	}
	responses, err := alter(ctx, changes, name)
	if err != nil {
		return failKafka(what, err)
	}
	if r, err := responses.On(name, nil); err != nil {
		return failKafka(what, err)
	} else if r.Err != nil {
		return failWords(what, r.Err, r.ErrMessage)
	}
	return nil
}
