package lint

import (
	"fmt"
	"go/ast"
	"slices"
	"strconv"
	"strings"
)

// checkImports holds R1. Test files may import what they like: a suite runs on every backend.
func checkImports(f *File) []Problem {
	if f.Test {
		return nil
	}
	own, ok := findLayer(f.Dir())
	if !ok {
		return []Problem{{
			Rule: RuleImport, Path: f.Path, Line: 1, Subject: "-",
			Message: fmt.Sprintf("folder %s has no layer: give it one in internal/lint/layers.go", f.Dir()),
		}}
	}
	var out []Problem
	for _, spec := range f.Syntax.Imports {
		name := importPath(spec)
		target, inModule := strings.CutPrefix(name, Module+"/") // target is name when it is not
		why := whyNotLibrary(f.Dir(), name)
		if inModule {
			why = whyNotPackage(f.Dir(), own, target)
		}
		if why != "" {
			out = append(out, Problem{
				Rule: RuleImport, Path: f.Path, Line: f.line(spec.Pos()), Subject: target,
				Message: fmt.Sprintf("imports %s: %s", target, why),
			})
		}
	}
	return out
}

// checkPure holds R2.
func checkPure(f *File) []Problem {
	if f.Test || !under(f.Dir(), purePackages...) {
		return nil
	}
	var out []Problem
	for _, spec := range f.Syntax.Imports {
		if name := importPath(spec); slices.Contains(impure, name) {
			out = append(out, Problem{
				Rule: RulePure, Path: f.Path, Line: f.line(spec.Pos()), Subject: name,
				Message: fmt.Sprintf("imports %s: state is a pure function of the log, so no clock, random source or I/O here", name),
			})
		}
	}
	return out
}

// whyNotPackage says why dir, of layer own, may not import the module's package target; "" when it may.
func whyNotPackage(dir string, own layer, target string) string {
	if under(target, suites...) && !under(dir, suites...) {
		return "an acceptance suite is for test files"
	}
	if under(target, backends...) && own != wiring && own != tests && !under(dir, backends...) {
		return "only wiring (cmd, internal/region, internal/dev) names a backend; take the interface instead"
	}
	theirs, ok := findLayer(target)
	if !ok {
		return "it has no layer in internal/lint/layers.go"
	}
	if theirs == own || theirs == leaf {
		return ""
	}
	allowed := mayImport[own]
	if slices.Contains(allowed, everything) || slices.Contains(allowed, theirs) {
		return ""
	}
	return fmt.Sprintf("imports point down only, and layer %s may not import layer %s", own, theirs)
}

// whyNotLibrary says why dir may not import a package of another module; "" when it may.
func whyNotLibrary(dir, name string) string {
	for library, folders := range libraries {
		if under(name, library) && !under(dir, folders...) {
			return fmt.Sprintf("%s is for %s only", library, strings.Join(folders, ", "))
		}
	}
	return ""
}

// importPath returns the path that spec imports. The parser has checked that it is a string.
func importPath(spec *ast.ImportSpec) string {
	name, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value
	}
	return name
}
