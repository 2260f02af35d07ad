package docs

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/cli/ops"
)

// tree is the command tree of the real program. A command of the test's own gets hold of it.
func tree(t *testing.T) *cobra.Command {
	t.Helper()
	var found *cobra.Command
	hook := func(*cli.Env) *cobra.Command {
		return &cobra.Command{Use: "hook", Hidden: true, RunE: func(cmd *cobra.Command, _ []string) error {
			found = cmd.Root()
			return nil
		}}
	}
	env := &cli.Env{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard, Getenv: func(string) string { return "" }, Now: time.Now}
	if code := cli.Run(context.Background(), env, []string{"hook"}, append(ops.Commands(), hook)...); code != 0 || found == nil {
		t.Fatalf("no command tree: exit code %d", code)
	}
	return found
}

// Every command line of gnomon in a document is one that the program takes: names, flags, and in blocks of code the number
// of arguments as well.
func TestCommandLines(t *testing.T) {
	n := 0
	for _, d := range documents(t) {
		blocks, _ := d.blocks()
		for _, b := range blocks {
			for line := range strings.Lines(b.text) {
				for _, args := range commandLines(line) {
					n++
					if err := parse(tree(t), args, true); err != nil {
						t.Errorf("%s: gnomon %s: %v", d.name, strings.Join(args, " "), err)
					}
				}
			}
		}
		for _, span := range d.spans() {
			for _, args := range commandLines(span) {
				n++
				if err := parse(tree(t), args, false); err != nil {
					t.Errorf("%s: gnomon %s: %v", d.name, strings.Join(args, " "), err)
				}
			}
		}
	}
	if n < 40 {
		t.Errorf("found %d command lines only", n)
	}
}

// Every command of the program is named in a document.
func TestCommandsAreDocumented(t *testing.T) {
	var text strings.Builder
	for _, d := range documents(t) {
		text.WriteString(d.text)
	}
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		if cmd.Runnable() && !cmd.HasSubCommands() && !cmd.Hidden && !strings.Contains(text.String(), cmd.CommandPath()) {
			t.Errorf("no document names %s", cmd.CommandPath())
		}
		for _, child := range cmd.Commands() {
			look(child)
		}
	}
	for _, name := range []string{"topic", "group", "shadow", "produce", "consume", "health", "dev", "demo"} {
		cmd, _, err := tree(t).Find([]string{name})
		if err != nil {
			t.Fatal(err)
		}
		look(cmd)
	}
}

// commandLines finds the calls of gnomon in a line, and gives their arguments.
func commandLines(line string) [][]string {
	line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
	line, _, _ = strings.Cut(line, " #")
	line, _, _ = strings.Cut(line, "  ") // what follows is said about it
	line = strings.ReplaceAll(line, "go run ./cmd/gnomon", "gnomon")
	var out [][]string
	for _, part := range strings.FieldsFunc(line, func(r rune) bool { return r == '|' || r == ';' || r == '&' }) {
		words := strings.Fields(part)
		if len(words) < 2 || words[0] != "gnomon" {
			continue
		}
		if i := slices.Index(words, ">"); i > 0 {
			words = words[:i]
		}
		out = append(out, words[1:])
	}
	return out
}

func parse(root *cobra.Command, args []string, whole bool) error {
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	cmd.InitDefaultHelpFlag()
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if cmd.HasSubCommands() && cmd.Flags().NArg() > 0 {
		return &unknownCommand{cmd.Flags().Arg(0)}
	}
	if !whole {
		return nil
	}
	if err := cmd.ValidateRequiredFlags(); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

type unknownCommand struct{ name string }

func (u *unknownCommand) Error() string { return "no command is named " + u.name }
