package docs

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
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
