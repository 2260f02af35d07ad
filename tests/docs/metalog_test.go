package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// events are the kinds of event that the metalog has.
func events() (out []string) {
	kinds := (&metalogpb.Event{}).ProtoReflect().Descriptor().Oneofs().ByName("kind").Fields()
	for i := range kinds.Len() {
		out = append(out, string(kinds.Get(i).Message().Name()))
	}
	return out
}

// docs/METADATA.md has a line for each event.
func TestEvents(t *testing.T) {
	var have []string
	for _, row := range read(t, "docs/METADATA.md").table(t, "event") {
		have = append(have, named(row[0])...)
	}
	same(t, "events", have, events())
}

// What docs/METADATA.md says to be written by this build is made somewhere outside of the tests, and nothing else is.
func TestEventsWritten(t *testing.T) {
	code := source(t)
	for _, row := range read(t, "docs/METADATA.md").table(t, "event") {
		name, says := named(row[0])[0], row[len(row)-1]
		made := strings.Contains(code, "metalogpb.Event_"+name+"{")
		if made != (says == "yes") {
			t.Errorf("docs/METADATA.md says %q to whether %s is written; made by the code: %v", says, name, made)
		}
	}
}

// source is the code that may write events: not the state, which only applies them, and not the suites.
func source(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range []string{"pkg/coordinator", "pkg/shadow", "pkg/recovery", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			all.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}
