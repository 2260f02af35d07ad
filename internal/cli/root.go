package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// Command makes a command that reads and writes through env.
type Command func(env *Env) *cobra.Command

// Run runs the command line args (without the program's name) and returns the exit code: 0, 1 when the command failed,
// 2 when the command line is wrong, or what an error with an ExitCode method says.
func Run(ctx context.Context, env *Env, args []string, more ...Command) int {
	root := &cobra.Command{
		Use:           "gnomon",
		Short:         "Kafka-compatible streaming on object storage, with a shadow region for disaster recovery",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          arguments(0, 0, "a command"),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(env.In)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	root.SetArgs(args)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVar(&env.format, "format", formatText, "how results are shown: text or json")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if env.format != formatText && env.format != formatJSON {
			wrong := env.format
			env.format = formatText
			return usagef("--format is %q: use text or json", wrong)
		}
		return nil
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; see `%s --help`", err, cmd.CommandPath())
	})
	for _, c := range append([]Command{topicCommand, produceCommand, consumeCommand, groupCommand, versionCommand}, more...) {
		root.AddCommand(c(env))
	}
	adviseOnArguments(root)
	err := root.ExecuteContext(ctx)
	code := env.report(err)
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return code
}

// parent makes a command that only groups others.
func parent(use, short string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("%q is no command of %s; see `%s --help`", args[0], cmd.CommandPath(), cmd.CommandPath())
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(children...)
	return cmd
}

// arguments checks how many arguments there are; what names them.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if n := len(args); n < least || most >= 0 && n > most {
			return usagef("%s takes %s, not %d arguments; see `%s --help`", cmd.CommandPath(), what, n, cmd.CommandPath())
		}
		return nil
	}
}

// adviseOnArguments has each command that leaves its arguments to cobra's checks answer a wrong number of them as C2 has it.
func adviseOnArguments(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			var usage usageError
			if err == nil || errors.As(err, &usage) {
				return err
			}
			return usagef("%w; see `%s --help`", err, cmd.CommandPath())
		}
	}
	for _, child := range cmd.Commands() {
		adviseOnArguments(child)
	}
}

// Usage makes an error of a mistake in the command line.
func Usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }
