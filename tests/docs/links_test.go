package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// Every link between documents leads to a file of this repository.
func TestLinks(t *testing.T) {
	for _, d := range documents(t) {
		_, prose := d.blocks()
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			to := filepath.Join(filepath.Dir(d.name), target)
			if !filepath.IsLocal(to) {
				t.Errorf("%s: link %s leads out of the repository", d.name, m[1])
				continue
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s: link %s leads nowhere", d.name, m[1])
			}
		}
	}
}

var goPath = regexp.MustCompile(`^(cmd|internal|pkg|proto|tests|deploy|tools)/[a-z0-9/_.-]+$`)

// Every file and package of the repository that is named exists.
func TestPaths(t *testing.T) {
	for _, d := range documents(t) {
		for _, span := range d.spans() {
			if !goPath.MatchString(span) {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, span)); err != nil {
				t.Errorf("%s names %s, which does not exist", d.name, span)
			}
		}
	}
}

// Every package that is not for tests alone has its line in the table of packages.
func TestPackages(t *testing.T) {
	var have []string
	for _, row := range read(t, "docs/ARCHITECTURE.md").table(t, "package") {
		have = append(have, named(row[0])...)
		// The last cell may name packages that lie below.
		for _, below := range named(row[1:]...) {
			have = append(have, named(row[0])[0]+"/"+below)
		}
	}
	for _, top := range []string{"cmd", "internal", "pkg"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, e os.DirEntry, err error) error {
			if err != nil || !e.IsDir() {
				return err
			}
			files, err := filepath.Glob(filepath.Join(path, "*.go"))
			if err != nil || len(files) == 0 {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			if !contains(have, filepath.ToSlash(name)) {
				t.Errorf("docs/ARCHITECTURE.md does not name package %s", name)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// contains tells whether name is in the list, or is generated code below a package that is.
func contains(list []string, name string) bool {
	for _, x := range list {
		if x == name || x == filepath.ToSlash(filepath.Dir(name)) && strings.HasSuffix(name, "connect") {
			return true
		}
	}
	return false
}

// The runbook fits on one screen.
func TestRunbookIsShort(t *testing.T) {
	if n := strings.Count(read(t, "docs/FAILOVER.md").text, "\n"); n > 60 {
		t.Errorf("docs/FAILOVER.md has %d lines, at most 60 fit on a screen", n)
	}
}
