package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// deleted is what became of a topic or a group.
type deleted struct {
	Name   string `json:"name"`
	Result string `json:"result"` // "deleted"
}

func topicDelete(env *Env) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete NAME... --yes", Short: "Delete topics with their records",
		Long: "Delete topics, with their records and what groups have committed for them. There is no way back.\n\n" +
			"Topics of a shadow are deleted at its source; what becomes of them at the shadow is the link's on_topic_deleted.",
		Example: "  gnomon topic delete orders --yes",
		Args:    arguments(1, -1, "at least one name"),
		RunE: func(cmd *cobra.Command, names []string) error {
			if !yes {
				return usagef("deleting topics deletes their records for good: say --yes")
			}
			return env.administer(cmd.Context(), func(ctx context.Context, admin *kadm.Client) error {
				responses, err := admin.DeleteTopics(ctx, names...)
				if err != nil {
					return failKafka("delete the topics", err)
				}
				return env.emitDeleted(names, func(name string) error {
					r, err := responses.On(name, nil)
					if err == nil {
						err = r.Err
					}
					if err != nil {
						return failWords("delete topic "+name, err, r.ErrMessage)
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

// emitDeleted tells what became of each.
func (e *Env) emitDeleted(names []string, failed func(name string) error) error {
	done := []deleted{}
	var failures []error
	for _, name := range names {
		if err := failed(name); err != nil {
			failures = append(failures, err)
			continue
		}
		done = append(done, deleted{name, "deleted"})
	}
	return e.emitSome(done, len(done), failures, func(w io.Writer) {
		row(w, "NAME", "RESULT")
		for _, d := range done {
			row(w, d.Name, d.Result)
		}
	})
}

// emitSome writes the n results that there are, if any, and gives the failures of the others.
func (e *Env) emitSome(results any, n int, failures []error, text func(w io.Writer)) error {
	if n > 0 || e.JSON() {
		if err := e.Emit(results, text); err != nil {
			return err
		}
	}
	return joined(failures)
}
