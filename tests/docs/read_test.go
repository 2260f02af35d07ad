// Package docs tests the documents: what they say of commands, flags, events, metrics and files is so in the code.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// document is one Markdown file.
type document struct {
	name string // below the root
	text string
}

// block is a fenced block of code; kind is what stands behind the fence.
type block struct {
	kind string
	line int
	text string
}

// documents are the files that people read: at the root, and below docs.
func documents(t *testing.T) []document {
	t.Helper()
	var out []document
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			name, err := filepath.Rel(root, p)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, read(t, name))
		}
	}
	if len(out) < 10 {
		t.Fatalf("found %d documents only", len(out))
	}
	return out
}

func read(t *testing.T, name string) document {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return document{name: filepath.ToSlash(name), text: string(raw)}
}

// blocks cuts the fenced blocks out, and the blocks that are indented by four spaces.
func (d document) blocks() (blocks []block, prose string) {
	var rest strings.Builder
	var open *block
	for i, line := range strings.Split(d.text, "\n") {
		kind, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			open = &block{kind: kind, line: i + 1}
		case fence:
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		case strings.HasPrefix(line, "    "):
			blocks = append(blocks, block{line: i + 1, text: line + "\n"})
		default:
			rest.WriteString(line)
		}
		rest.WriteByte('\n')
	}
	return blocks, rest.String()
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// spans are the pieces of code in the prose.
func (d document) spans() []string {
	_, prose := d.blocks()
	var out []string
	for _, m := range codeSpan.FindAllStringSubmatch(prose, -1) {
		out = append(out, strings.ReplaceAll(m[1], "\n", " "))
	}
	return out
}

// table gives the rows of the table whose header begins with first, as cells.
func (d document) table(t *testing.T, first string) [][]string {
	t.Helper()
	var rows [][]string
	inside := false
	for line := range strings.Lines(d.text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "| "+first+" |") {
			inside = true
			continue
		}
		if inside && !strings.HasPrefix(line, "|") {
			break
		}
		if inside && !strings.HasPrefix(line, "|---") {
			cells := strings.Split(strings.Trim(line, "|"), " | ")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("%s has no table that begins with %q", d.name, first)
	}
	return rows
}

// named takes the code spans out of cells.
func named(cells ...string) []string {
	var out []string
	for _, c := range cells {
		for _, m := range codeSpan.FindAllStringSubmatch(c, -1) {
			out = append(out, m[1])
		}
	}
	return out
}

// same compares two sets of names.
func same(t *testing.T, what string, have, want []string) {
	t.Helper()
	for _, name := range want {
		if !slices.Contains(have, name) {
			t.Errorf("%s: %s is not documented", what, name)
		}
	}
	for _, name := range have {
		if !slices.Contains(want, name) {
			t.Errorf("%s: %s is documented and does not exist", what, name)
		}
	}
}
