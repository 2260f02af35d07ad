package differential

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// pair is a field in both answers.
type pair struct{ gnomon, kfake string }

// difference is one element of an answer in which fields differ, or which one of the answers has not.
type difference struct {
	label   string // of the request
	req     kmsg.Request
	api     string
	version int16
	element
	diff  map[string]pair // fields that differ
	kfake element         // the same in kfake's answer
	// whole are both answers: what one element is may be the other's reason.
	whole struct{ gnomon, kfake kmsg.Response }
	roots struct{ gnomon, kfake element }
}

const absent = "absent"

// compare gives the differences between two answers to one request.
func compare(g, k *side, ga, ka answer) []*difference {
	of, with := flatten(g, ga), flatten(k, ka)
	paths := map[string]bool{}
	for p := range of {
		paths[p] = true
	}
	for p := range with {
		paths[p] = true
	}
	var out []*difference
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		ge, ghas := of[path]
		ke, khas := with[path]
		d := &difference{
			label: ga.label, req: ka.req, api: kmsg.NameForKey(ga.req.Key()), version: ga.req.GetVersion(), element: ge, kfake: ke, diff: map[string]pair{},
		}
		d.whole.gnomon, d.whole.kfake = ga.resp, ka.resp
		d.roots.gnomon, d.roots.kfake = of[""], with[""]
		switch {
		case !ghas:
			d.element = ke
			d.diff[""] = pair{absent, "there"}
		case !khas:
			d.diff[""] = pair{"there", absent}
		default:
			compareFields(d.diff, ge.fields, ke.fields)
		}
		if len(d.diff) > 0 {
			out = append(out, d)
		}
	}
	return out
}

func compareFields(out map[string]pair, g, k map[string]string) {
	for name := range g {
		if _, both := k[name]; !both || g[name] != k[name] {
			out[name] = pair{g[name], k[name]}
		}
	}
	for name := range k {
		if _, both := g[name]; !both {
			out[name] = pair{"", k[name]}
		}
	}
}

func (d *difference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s v%d (%s) %s:", d.api, d.version, d.label, d.path)
	for _, name := range slices.Sorted(maps.Keys(d.diff)) {
		fmt.Fprintf(&b, " %s is %q, kfake's is %q;", name, d.diff[name].gnomon, d.diff[name].kfake)
	}
	return b.String()
}

// is tells whether a field differs in just that way; "*" stands for any value.
func (d *difference) is(field, gnomon, kfake string) bool {
	p, differs := d.diff[field]
	return differs && (gnomon == "*" || p.gnomon == gnomon) && (kfake == "*" || p.kfake == kfake)
}

// codes tells whether the error codes differ in just that way.
func (d *difference) codes(gnomon, kfake int16) bool {
	return d.is("ErrorCode", fmt.Sprint(gnomon), fmt.Sprint(kfake))
}

// refused tells whether kfake's element has an error.
func (d *difference) refused() bool {
	code, has := d.kfake.fields["ErrorCode"]
	return has && code != "0"
}

// only tells which of the two has the element at all.
func (d *difference) only() string {
	switch p := d.diff[""]; absent {
	case p.gnomon:
		return "kfake"
	case p.kfake:
		return "gnomon"
	}
	return ""
}
