package lint

import "fmt"

// Rule names a law as allow.txt does.
type Rule string

// The rules; doc.go says what they hold.
const (
	RuleImport         Rule = "import"
	RulePure           Rule = "pure"
	RuleCall           Rule = "call"
	RuleFileLength     Rule = "file-length"
	RuleFunctionLength Rule = "function-length"
	RuleComment        Rule = "comment"
	RuleAllow          Rule = "allow"
)

var rules = []Rule{RuleImport, RulePure, RuleCall, RuleFileLength, RuleFunctionLength, RuleComment}

// Problem is one breach. Path, Rule and Subject are what a line of allow.txt names.
type Problem struct {
	Rule    Rule
	Path    string // of the file
	Line    int
	Subject string // the import, call or function at fault; "-" when the file itself is
	Message string
}

// String gives the form that editors jump to.
func (p Problem) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", p.Path, p.Line, p.Rule, p.Message)
}

// Check holds every rule against the files.
func Check(files []*File) []Problem {
	var all []Problem
	for _, f := range files {
		all = append(all, checkImports(f)...)
		all = append(all, checkPure(f)...)
		all = append(all, checkCalls(f)...)
		all = append(all, checkSize(f)...)
		all = append(all, checkComments(f)...)
	}
	return all
}
