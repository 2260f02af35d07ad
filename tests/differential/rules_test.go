package differential

import (
	"slices"
)

// rule is why a difference is no mistake of Gnomon's.
type rule struct {
	api  string
	name string // a few words for the table
	why  string
	// where tells which elements it is about, and fields which of their fields; none means all.
	where  func(d *difference) bool
	fields []string
	// parts says that the two hold different things from then on: the sequence ends.
	parts bool
	// rare rules explain something in a few of a thousand sequences only.
	rare bool
}

var rules = slices.Concat(topicRules, recordRules, offsetRules, groupRules, configRules)

// explain finds the rules for a difference; none when something of it is left over.
func explain(d *difference) []*rule {
	left := map[string]bool{}
	for name := range d.diff {
		left[name] = true
	}
	var out []*rule
	for _, r := range rules {
		if r.api != d.api || !r.where(d) || !r.takes(left) {
			continue
		}
		out = append(out, r)
		if len(left) == 0 {
			return out
		}
	}
	return nil
}

// takes removes the fields that the rule explains, and tells whether there were any.
func (r *rule) takes(left map[string]bool) bool {
	before := len(left)
	for name := range left {
		if r.fields == nil || slices.Contains(r.fields, name) {
			delete(left, name)
		}
	}
	return len(left) < before
}
