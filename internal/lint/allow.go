package lint

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Exception is one line of allow.txt: rule | path | subject | reason.
type Exception struct {
	Rule    Rule
	Path    string // a file, or a folder with all below it
	Subject string
	Reason  string
	Line    int
}

// reasonMin is the length below which a reason explains nothing.
const reasonMin = 20

// ParseExceptions reads allow.txt. Empty lines and lines that begin with # do not count.
func ParseExceptions(r io.Reader) ([]Exception, error) {
	var out []Exception
	scanner := bufio.NewScanner(r)
	for line := 1; scanner.Scan(); line++ {
		text := strings.TrimSpace(scanner.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		fields := strings.Split(text, "|")
		if len(fields) != 4 {
			return nil, fmt.Errorf("line %d: want rule | path | subject | reason, got %d fields", line, len(fields))
		}
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		e := Exception{Rule: Rule(fields[0]), Path: fields[1], Subject: fields[2], Reason: fields[3], Line: line}
		if !slices.Contains(rules, e.Rule) {
			return nil, fmt.Errorf("line %d: no rule is named %q; rules are %v", line, e.Rule, rules)
		}
		if len(e.Reason) < reasonMin {
			return nil, fmt.Errorf("line %d: the reason %q explains nothing", line, e.Reason)
		}
		out = append(out, e)
	}
	return out, scanner.Err()
}

func (e Exception) excuses(p Problem) bool {
	return e.Rule == p.Rule && e.Subject == p.Subject && under(p.Path, e.Path)
}

// Apply takes away the problems that an exception excuses, and adds one for each exception that excuses none.
func Apply(problems []Problem, exceptions []Exception, file string) []Problem {
	used := make([]bool, len(exceptions))
	var left []Problem
	for _, p := range problems {
		excused := false
		for i, e := range exceptions {
			if e.excuses(p) { // a second line for the same excuses nothing
				excused, used[i] = true, true
				break
			}
		}
		if !excused {
			left = append(left, p)
		}
	}
	for i, e := range exceptions {
		if !used[i] {
			left = append(left, Problem{
				Rule: RuleAllow, Path: file, Line: e.Line, Subject: e.Subject,
				Message: fmt.Sprintf("excuses nothing any more (%s %s %s): take the line away", e.Rule, e.Path, e.Subject),
			})
		}
	}
	return left
}
