package lint

import (
	"fmt"
	"regexp"
)

// unfinished finds the marks of work left undone.
var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)

// checkComments holds R5.
func checkComments(f *File) []Problem {
	if f.Generated || under(f.Dir(), "internal/lint") {
		return nil
	}
	var out []Problem
	for _, group := range f.Syntax.Comments {
		for _, c := range group.List {
			mark := unfinished.FindString(c.Text)
			if mark == "" {
				continue
			}
			out = append(out, Problem{
				Rule: RuleComment, Path: f.Path, Line: f.line(c.Pos()), Subject: mark,
				Message: fmt.Sprintf("a comment says %s: do it, or open an issue", mark),
			})
		}
	}
	return out
}
