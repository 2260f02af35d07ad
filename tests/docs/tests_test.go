package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testFunction = regexp.MustCompile(`(?m)^func (Test[A-Z]\w*)\(`)
	testName     = regexp.MustCompile(`^Test[A-Z]\w*$`)
)

// Every test that a document names exists.
func TestNamedTests(t *testing.T) {
	have := map[string]bool{}
	for _, top := range []string{"internal", "pkg", "tests"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			raw, err := os.ReadFile(path)
			for _, m := range testFunction.FindAllSubmatch(raw, -1) {
				have[string(m[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	named := 0
	for _, d := range documents(t) {
		for _, span := range d.spans() {
			if !testName.MatchString(span) {
				continue
			}
			if named++; !have[span] {
				t.Errorf("%s names %s, which does not exist", d.name, span)
			}
		}
	}
	if named < 20 {
		t.Errorf("the documents name %d tests only: is the pattern still right?", named)
	}
}
