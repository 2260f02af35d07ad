package lint

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
)

// banned are the functions that R3 keeps out of pkg/, with what to do instead. A mention counts, not only a call: a clock
// that is the default of a Config is an exception to be stated.
var banned = map[string]string{
	"time.Now":     "take a clock: now func() time.Time",
	"time.Since":   "take a clock: now func() time.Time",
	"time.Until":   "take a clock: now func() time.Time",
	"os.Getenv":    "take the value: cmd reads the environment",
	"os.LookupEnv": "take the value: cmd reads the environment",
	"os.Environ":   "take the value: cmd reads the environment",
	"os.Exit":      "return an error: cmd chooses the exit code",
	"log.Fatal":    "return an error: cmd chooses the exit code",
	"log.Fatalf":   "return an error: cmd chooses the exit code",
	"log.Fatalln":  "return an error: cmd chooses the exit code",
}

// checkCalls holds R3.
func checkCalls(f *File) []Problem {
	if f.Test || f.Generated || !under(f.Dir(), "pkg") || under(f.Dir(), suites...) {
		return nil
	}
	var out []Problem
	local := localNames(f)
	ast.Inspect(f.Syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				out = append(out, Problem{
					Rule: RuleCall, Path: f.Path, Line: f.line(n.Pos()), Subject: "init",
					Message: "has an init function: do it in a constructor",
				})
			}
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if !ok || local[pkg.Name] == "" {
				return true
			}
			name := local[pkg.Name] + "." + n.Sel.Name
			if instead, found := banned[name]; found {
				out = append(out, Problem{
					Rule: RuleCall, Path: f.Path, Line: f.line(n.Pos()), Subject: name,
					Message: fmt.Sprintf("uses %s: %s", name, instead),
				})
			}
		}
		return true
	})
	return out
}

// localNames maps the names under which the file imports the packages of banned functions to those packages. A local
// variable of the same name would be taken for the package; the code has none, and a false alarm is one rename away.
func localNames(f *File) map[string]string {
	names := map[string]string{}
	for _, spec := range f.Syntax.Imports {
		name := importPath(spec)
		if !slices.Contains([]string{"time", "os", "log"}, name) {
			continue
		}
		local := path.Base(name)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		names[local] = name
	}
	return names
}
