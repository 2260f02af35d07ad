package linkconfig

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/gnomon-stream/gnomon/internal/namefilter"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

var linkName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// ValidName tells whether a link may have this name: it becomes part of metric labels, paths and URLs.
func ValidName(name string) error {
	if name == "" {
		return errors.New("a link needs a name")
	}
	if !linkName.MatchString(name) {
		return fmt.Errorf("a link's name has 1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end; %q does not", clip(name))
	}
	return nil
}

// clip shortens what a message quotes.
func clip(s string) string {
	const quoteMax = 80
	if r := []rune(s); len(r) > quoteMax {
		return string(r[:quoteMax]) + "…"
	}
	return s
}

// validate judges what only the whole file shows.
func (p *parser) validate() {
	link := p.config.Link
	if err := ValidName(link.Name); err != nil && !p.failedAt(p.lines["name"]) {
		p.fail(p.lines["name"], "name: %v", err)
	}
	if len(link.Coordinators) == 0 && !p.failedUnder("coordinators") {
		p.fail(p.lines["coordinators"], "source: coordinators lists none; give the admin URL of at least one coordinator of the source")
	}
	if link.Bucket == "" && !p.failedUnder("bucket") {
		p.fail(p.lines["bucket"], "source: bucket is missing; give the URL of the source's bucket")
	}
	for _, c := range credentials {
		file, env := p.lines[c.name+"_file"], p.lines[c.name+"_env"]
		if file > 0 && env > 0 {
			p.fail(max(file, env), "%s_file and %s_env are both given; keep one", c.name, c.name)
		}
	}
	if len(p.errors) > 0 {
		return
	}
	p.validateChoice()
}

// validateChoice warns of a link that does less than its author may expect.
func (p *parser) validateChoice() {
	link := p.config.Link
	if len(link.EtcdEndpoints) == 0 {
		p.warn(1, "source: etcd lists no endpoint: a failover cannot fence the source in its etcd, so records may be lost that a fence would have saved")
	}
	if !slices.ContainsFunc(link.TopicFilters, func(f *metalogpb.Filter) bool { return f.FilterType == namefilter.Include }) {
		p.warn(max(1, p.lines["auto_create_shadow_topic_filters"]),
			"no filter includes a topic, so the link shows none; pattern_type LITERAL, filter_type INCLUDE, name '*' includes all")
	}
	if line := p.lines["group_filters"]; line > 0 && len(link.GroupFilters) == 0 {
		p.warn(line, "group_filters is empty, which is as if it were not there: the offsets of every group follow")
	}
}

// failedAt tells whether an error was found in the line.
func (p *parser) failedAt(line int) bool {
	for _, e := range p.errors {
		if e.Line == line {
			return true
		}
	}
	return false
}

// failedUnder tells whether a setting stands in the file and something in it, or in what follows, was wrong: then its
// absence needs no second message.
func (p *parser) failedUnder(name string) bool {
	line, given := p.lines[name]
	if !given {
		return false
	}
	for _, e := range p.errors {
		if e.Line >= line {
			return true
		}
	}
	return false
}
