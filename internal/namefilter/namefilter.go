// Package namefilter decides which topics and groups a shadow link chooses, by the rules that users of Redpanda's
// shadow links know: a rule includes or excludes, by a literal name or a prefix; EXCLUDE wins; what matches no rule is
// excluded; the literal "*" matches every name.
//
// It is pure, and part of how state is computed from the metalog: a change of what a given list of rules matches is a
// change of Apply and needs a new feature level.
package namefilter

import (
	"fmt"
	"strings"

	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// Values of a rule's fields.
const (
	Literal  = "LITERAL"
	Prefix   = "PREFIX"
	Include  = "INCLUDE"
	Exclude  = "EXCLUDE"
	Wildcard = "*"
)

type rule struct {
	exclude, prefix bool
	name            string
}

func (r rule) match(name string) bool {
	if r.prefix {
		return strings.HasPrefix(name, r.name)
	}
	return r.name == Wildcard || r.name == name
}

// Matcher matches names against a list of rules. The zero value matches nothing.
type Matcher struct{ rules []rule }

// New checks the rules and returns their matcher. The error names the first rule that is wrong, counted from 1.
func New(filters []*metalogpb.Filter) (Matcher, error) {
	var m Matcher
	for i, f := range filters {
		switch {
		case f.PatternType != Literal && f.PatternType != Prefix:
			return Matcher{}, fmt.Errorf("filter %d: pattern_type is %q, want LITERAL or PREFIX", i+1, f.PatternType)
		case f.FilterType != Include && f.FilterType != Exclude:
			return Matcher{}, fmt.Errorf("filter %d: filter_type is %q, want INCLUDE or EXCLUDE", i+1, f.FilterType)
		case f.Name == "":
			return Matcher{}, fmt.Errorf("filter %d: name is empty", i+1)
		case f.PatternType == Prefix && f.Name == Wildcard:
			return Matcher{}, fmt.Errorf("filter %d: \"*\" is for pattern_type LITERAL only", i+1)
		}
		m.rules = append(m.rules, rule{exclude: f.FilterType == Exclude, prefix: f.PatternType == Prefix, name: f.Name})
	}
	return m, nil
}

// Match tells whether the rules choose name.
func (m Matcher) Match(name string) bool {
	chosen := false
	for _, r := range m.rules {
		if !r.match(name) {
			continue
		}
		if r.exclude {
			return false
		}
		chosen = true
	}
	return chosen
}
