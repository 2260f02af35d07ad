package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// byHandler are the keys that each line has.
var byHandler = []string{"time", "level", "msg"}

// docs/OPERATIONS.md has every key that a line of the log may have, and none of a line's own is one of the handler's.
func TestLogKeys(t *testing.T) {
	var have []string
	for _, row := range read(t, "docs/OPERATIONS.md").table(t, "key") {
		have = append(have, named(row[0])...)
	}
	used := slices.Clone(byHandler)
	lines := 0
	for _, top := range []string{"internal", "pkg"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				keys, ok := logKeys(t, path, call)
				if ok {
					lines++
				}
				for _, key := range keys {
					if slices.Contains(byHandler, key) {
						t.Errorf("%s: a line has a second %q", path, key)
					}
					if !slices.Contains(used, key) {
						used = append(used, key)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	same(t, "keys of log lines", have, used)
	if lines < 40 {
		t.Errorf("%d calls of a logger were found: is the pattern still right?", lines)
	}
}

// logKeys are the keys of a call of a logger: x.Logger.Info("…", key, value), x.log.With(key, value). False for other calls.
func logKeys(t *testing.T, path string, call *ast.CallExpr) (keys []string, ok bool) {
	method, isSelector := call.Fun.(*ast.SelectorExpr)
	if !isSelector {
		return nil, false
	}
	first, isMethod := map[string]int{"Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "Log": 3, "With": 0}[method.Sel.Name]
	of := ""
	switch x := method.X.(type) {
	case *ast.SelectorExpr:
		of = x.Sel.Name
	case *ast.Ident:
		of = x.Name
	}
	if !isMethod || !slices.Contains([]string{"Logger", "logger", "log"}, of) {
		return nil, false
	}
	for i := first; i < len(call.Args); i += 2 {
		key, isText := call.Args[i].(*ast.BasicLit)
		if !isText {
			t.Errorf("%s: a key of a log line is no text as it stands", path)
			continue
		}
		name, err := strconv.Unquote(key.Value)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, name)
	}
	return keys, true
}
