package docs

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/gnomon-stream/gnomon/internal/daemon"
)

// docs/OPERATIONS.md has every flag of gnomon dev, and docs/LINK.md every command of gnomon shadow with its flags.
func TestFlags(t *testing.T) {
	var have []string
	for _, row := range read(t, "docs/OPERATIONS.md").table(t, "flag") {
		have = append(have, named(row[0])...)
	}
	dev, _, err := tree(t).Find([]string{"dev"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "flags of gnomon dev", have, flags(dev))

	var names []string
	for _, row := range read(t, "docs/LINK.md").table(t, "command") {
		for _, line := range named(row[0]) {
			words := strings.Fields(line)
			names = append(names, words[2])
			cmd, _, err := tree(t).Find(words[1:])
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Join(row, " ")
			for _, f := range flags(cmd) {
				if f != "--file" && !strings.Contains(text, f) {
					t.Errorf("docs/LINK.md: %s of %s is not documented", f, line)
				}
			}
		}
	}
	shadow, _, err := tree(t).Find([]string{"shadow"})
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, c := range shadow.Commands() {
		want = append(want, c.Name())
	}
	same(t, "commands of gnomon shadow", names, want)
}

var flagName = regexp.MustCompile(`(?m)^ .*?(--[a-z-]+)`)

// flags are those of the command itself.
func flags(cmd *cobra.Command) (out []string) {
	for _, m := range flagName.FindAllStringSubmatch(cmd.LocalNonPersistentFlags().FlagUsages(), -1) {
		if m[1] != "--help" {
			out = append(out, m[1])
		}
	}
	return out
}

// docs/OPERATIONS.md has every setting of an agent and of a coordinator.
func TestSettings(t *testing.T) {
	for command, run := range map[string]func(context.Context, daemon.Env) int{"agent": daemon.RunAgent, "coordinator": daemon.RunCoordinator} {
		var help strings.Builder
		env := daemon.Env{Args: []string{"--help"}, Getenv: func(string) string { return "" }, Out: &help, Err: &help}
		if code := run(t.Context(), env); code != 0 {
			t.Fatal(code, help.String())
		}
		var have, want []string
		for _, row := range read(t, "docs/OPERATIONS.md").table(t, command) {
			have = append(have, named(row[0])...)
		}
		for _, m := range settingName.FindAllStringSubmatch(help.String(), -1) {
			if m[1] != "config" {
				want = append(want, m[1])
			}
		}
		same(t, "settings of "+command, have, want)
	}
}

var settingName = regexp.MustCompile(`(?m)^  -([a-z-]+)`)
