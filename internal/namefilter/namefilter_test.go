package namefilter_test

import (
	"testing"

	"github.com/gnomon-stream/gnomon/internal/namefilter"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

func rule(pattern, kind, name string) *metalogpb.Filter {
	return &metalogpb.Filter{PatternType: pattern, FilterType: kind, Name: name}
}

func TestMatch(t *testing.T) {
	all := rule("LITERAL", "INCLUDE", "*")
	for _, c := range []struct {
		what  string
		rules []*metalogpb.Filter
		name  string
		want  bool
	}{
		{"no rule chooses nothing", nil, "a", false},
		{"what matches nothing is excluded", []*metalogpb.Filter{rule("LITERAL", "INCLUDE", "b")}, "a", false},
		{"literal", []*metalogpb.Filter{rule("LITERAL", "INCLUDE", "a")}, "a", true},
		{"literal is the whole name", []*metalogpb.Filter{rule("LITERAL", "INCLUDE", "a")}, "ab", false},
		{"names are case-sensitive", []*metalogpb.Filter{rule("LITERAL", "INCLUDE", "a")}, "A", false},
		{"star", []*metalogpb.Filter{all}, "anything", true},
		{"star is no glob", []*metalogpb.Filter{rule("LITERAL", "INCLUDE", "a*")}, "ab", false},
		{"prefix", []*metalogpb.Filter{rule("PREFIX", "INCLUDE", "or")}, "orders", true},
		{"prefix is at the start", []*metalogpb.Filter{rule("PREFIX", "INCLUDE", "or")}, "for", false},
		{"prefix with a star inside is literal", []*metalogpb.Filter{rule("PREFIX", "INCLUDE", "a*")}, "ab", false},
		{"exclude wins, before", []*metalogpb.Filter{rule("PREFIX", "EXCLUDE", "or"), all}, "orders", false},
		{"exclude wins, after", []*metalogpb.Filter{all, rule("PREFIX", "EXCLUDE", "or")}, "orders", false},
		{"exclude wins over a closer include", []*metalogpb.Filter{rule("LITERAL", "INCLUDE", "orders"), rule("PREFIX", "EXCLUDE", "or")}, "orders", false},
		{"exclude leaves the others", []*metalogpb.Filter{all, rule("PREFIX", "EXCLUDE", "or")}, "other", true},
		{"exclude alone chooses nothing", []*metalogpb.Filter{rule("LITERAL", "EXCLUDE", "a")}, "b", false},
		{"exclude of all", []*metalogpb.Filter{all, rule("LITERAL", "EXCLUDE", "*")}, "a", false},
	} {
		m, err := namefilter.New(c.rules)
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if got := m.Match(c.name); got != c.want {
			t.Errorf("%s: %q gives %v", c.what, c.name, got)
		}
	}
	if (namefilter.Matcher{}).Match("a") {
		t.Error("the zero Matcher matches")
	}
}

func TestRulesThatAreRefused(t *testing.T) {
	good := rule("LITERAL", "INCLUDE", "a")
	for want, bad := range map[string]*metalogpb.Filter{
		`filter 2: pattern_type is "literal", want LITERAL or PREFIX`: rule("literal", "INCLUDE", "a"),
		`filter 2: filter_type is "", want INCLUDE or EXCLUDE`:        rule("LITERAL", "", "a"),
		`filter 2: name is empty`:                                     rule("PREFIX", "INCLUDE", ""),
		`filter 2: "*" is for pattern_type LITERAL only`:              rule("PREFIX", "EXCLUDE", "*"),
	} {
		if _, err := namefilter.New([]*metalogpb.Filter{good, bad}); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}
