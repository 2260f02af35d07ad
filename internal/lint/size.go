package lint

import (
	"fmt"
	"go/ast"
)

// Limits of R4, in lines.
const (
	fileLinesMax     = 400
	functionLinesMax = 70
)

// checkSize holds R4.
func checkSize(f *File) []Problem {
	if f.Generated {
		return nil
	}
	var out []Problem
	if f.Lines > fileLinesMax {
		out = append(out, Problem{
			Rule: RuleFileLength, Path: f.Path, Line: fileLinesMax + 1, Subject: "-",
			Message: fmt.Sprintf("has %d lines, more than %d: split it by purpose", f.Lines, fileLinesMax),
		})
	}
	if f.Test {
		return out
	}
	for _, decl := range f.Syntax.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		lines := f.line(fn.End()) - f.line(fn.Pos()) + 1
		if lines <= functionLinesMax {
			continue
		}
		out = append(out, Problem{
			Rule: RuleFunctionLength, Path: f.Path, Line: f.line(fn.Pos()), Subject: functionName(fn),
			Message: fmt.Sprintf("%s has %d lines, more than %d: split it", functionName(fn), lines, functionLinesMax),
		})
	}
	return out
}

// functionName gives "name", or "Type.name" for a method.
func functionName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	receiver := fn.Recv.List[0].Type
	for {
		switch t := receiver.(type) {
		case *ast.StarExpr:
			receiver = t.X
		case *ast.IndexExpr:
			receiver = t.X
		case *ast.IndexListExpr:
			receiver = t.X
		case *ast.Ident:
			return t.Name + "." + fn.Name.Name
		default:
			return fn.Name.Name
		}
	}
}
