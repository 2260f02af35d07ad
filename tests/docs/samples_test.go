package docs

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gnomon-stream/gnomon/pkg/shadow/linkconfig"
)

// The samples of link.yaml are accepted without a warning.
func TestLinkSamples(t *testing.T) {
	samples := map[string]string{"deploy/link.yaml": read(t, "deploy/link.yaml").text}
	for _, d := range documents(t) {
		blocks, _ := d.blocks()
		for _, b := range blocks {
			if b.kind == "yaml" {
				samples[d.name] = b.text
			}
		}
	}
	if len(samples) < 2 {
		t.Error("docs/LINK.md has no sample")
	}
	for name, text := range samples {
		cfg, err := linkconfig.Parse([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, w := range cfg.Warnings {
			t.Errorf("%s: %s", name, w)
		}
	}
}

// What is said to be JSON is JSON.
func TestJSONSamples(t *testing.T) {
	for _, d := range documents(t) {
		blocks, _ := d.blocks()
		for _, b := range blocks {
			if b.kind == "json" && !json.Valid([]byte(b.text)) {
				t.Errorf("%s, line %d: not JSON", d.name, b.line)
			}
		}
	}
}

// Each decision has its parts, and a line in the list.
func TestDecisions(t *testing.T) {
	list := read(t, "docs/adr/README.md").text
	paths, err := filepath.Glob(filepath.Join(root, "docs/adr/[0-9]*.md"))
	if err != nil || len(paths) == 0 {
		t.Fatal(err, "no decisions")
	}
	for _, path := range paths {
		name := filepath.Base(path)
		d := read(t, "docs/adr/"+name)
		if !strings.Contains(list, "("+name+")") {
			t.Errorf("docs/adr/README.md does not list %s", name)
		}
		title := "# " + name[:4] + ": "
		if !strings.HasPrefix(d.text, title) {
			t.Errorf("%s does not begin with %q", d.name, title)
		}
		for _, part := range []string{"Status: ", "**Context.**", "**Decision.**", "**Consequences.**"} {
			if !strings.Contains(d.text, part) {
				t.Errorf("%s has no %s", d.name, part)
			}
		}
	}
}
