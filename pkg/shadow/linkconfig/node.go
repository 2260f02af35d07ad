package linkconfig

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Kinds of values, as messages name them.
const (
	kindText     = "a text"
	kindFlag     = "true or false"
	kindNumber   = "a whole number"
	kindDuration = "a duration such as 30s"
	kindList     = "a list"
	kindSection  = "a section (indented keys)"
)

// schema maps the keys of a section to what reads their values.
type schema map[string]func(p *parser, f field)

// field is a key of the file with its value, or an item of a list.
type field struct {
	name string
	line int
	node *yaml.Node
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// document returns the value of the file's only document.
func document(text []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	err := decoder.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF):
		return nil, Errors{{Message: "the file is empty; deploy/link.yaml is a sample to start from"}}
	case err != nil:
		return nil, syntaxError(err)
	case len(doc.Content) != 1:
		return nil, Errors{{Message: "the file holds no YAML value"}}
	}
	switch err := decoder.Decode(&more); {
	case err == nil:
		return nil, Errors{{Line: more.Line, Message: "a second YAML document begins here; one file is one link"}}
	case !errors.Is(err, io.EOF):
		return nil, syntaxError(err)
	}
	return doc.Content[0], nil
}

// syntaxError takes the line out of the library's message.
func syntaxError(err error) error {
	message := err.Error()
	match := yamlLine.FindStringSubmatch(message)
	if match == nil {
		return Errors{{Message: "the file is not YAML: " + message}}
	}
	line, _ := strconv.Atoi(match[1]) // no number is line 0: the whole file
	return Errors{{Line: line, Message: "the file is not YAML: " + strings.TrimPrefix(message, match[0])}}
}

// section reads a mapping by a schema. A section without a value, all of it commented out, is an empty one.
func (f field) section(p *parser, s schema) {
	if f.isNull() {
		return
	}
	if f.node.Kind != yaml.MappingNode {
		f.wrongKind(p, kindSection)
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(f.node.Content); i += 2 {
		key, value := f.node.Content[i], f.node.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" {
			p.fail(key.Line, "a key of %s is not a plain name; YAML's merge keys, anchors and the like are not accepted here", f.name)
			continue
		}
		if line, twice := first[key.Value]; twice {
			p.fail(key.Line, "%s is given twice in %s, first in line %d", clip(key.Value), f.name, line)
			continue
		}
		first[key.Value] = key.Line
		read, known := s[key.Value]
		if !known {
			p.fail(key.Line, "%s is unknown in %s%s", strconv.Quote(clip(key.Value)), f.name, suggest(key.Value, slices.Sorted(maps.Keys(s))))
			continue
		}
		read(p, field{name: key.Value, line: key.Line, node: value})
	}
}

// items reads a list, one call an item. Items are named after the list.
func (f field) items(p *parser, read func(p *parser, item field)) {
	if f.isNull() {
		return
	}
	if f.node.Kind != yaml.SequenceNode {
		f.wrongKind(p, kindList)
		return
	}
	for _, n := range f.node.Content {
		read(p, field{name: "an item of " + f.name, line: n.Line, node: n})
	}
}

// text reads a text that is not empty; false after an error.
func (f field) text(p *parser) (string, bool) {
	if !f.scalar(p, kindText, "!!str") {
		return "", false
	}
	if strings.TrimSpace(f.node.Value) == "" {
		p.fail(f.line, "%s is empty", f.name)
		return "", false
	}
	return f.node.Value, true
}

// flag reads true or false; the second result is false after an error.
func (f field) flag(p *parser) (value, ok bool) {
	if !f.scalar(p, kindFlag, "!!bool") {
		return false, false
	}
	if err := f.node.Decode(&value); err != nil { // an explicit tag, !!bool, on something else
		f.wrongKind(p, kindFlag)
		return false, false
	}
	return value, true
}

// number checks that the value is a whole number; no setting uses one so far.
func (f field) number(p *parser) { f.scalar(p, kindNumber, "!!int") }

// duration checks that the value is a duration.
func (f field) duration(p *parser) {
	if !f.scalar(p, kindDuration, "!!str", "!!int") {
		return
	}
	if _, err := time.ParseDuration(f.node.Value); err != nil && f.node.ShortTag() == "!!str" {
		f.wrongKind(p, kindDuration)
	}
}

// moment checks that the value is a point in time: text, timestamp or milliseconds.
func (f field) moment(p *parser) { f.scalar(p, "a point in time", "!!str", "!!int", "!!timestamp") }

// texts checks a list of texts and returns it.
func (f field) texts(p *parser) []string {
	var out []string
	f.items(p, func(p *parser, item field) {
		if s, ok := item.text(p); ok {
			out = append(out, s)
		}
	})
	return out
}

// empty checks that the value is {} or nothing.
func (f field) empty(p *parser) { f.section(p, schema{}) }

// choice reads a text that must be one of the given ones, whatever its case, and returns it as given here.
func (f field) choice(p *parser, of ...string) (string, bool) {
	s, ok := f.text(p)
	if !ok {
		return "", false
	}
	for _, one := range of {
		if strings.EqualFold(s, one) {
			return one, true
		}
	}
	p.fail(f.line, "%s must be one of %s%s", f.name, strings.Join(of, ", "), suggest(strings.ToUpper(s), of))
	return "", false
}

func (f field) scalar(p *parser, want string, tags ...string) bool {
	if f.node.Kind != yaml.ScalarNode || !slices.Contains(tags, f.node.ShortTag()) {
		f.wrongKind(p, want)
		return false
	}
	return true
}

func (f field) isNull() bool { return f.node.Kind == yaml.ScalarNode && f.node.ShortTag() == "!!null" }

// wrongKind says what was wanted and what was found, without the value: it may be a secret in the wrong place.
func (f field) wrongKind(p *parser, want string) {
	found := "something else"
	hint := ""
	switch {
	case f.isNull():
		found = "nothing"
	case f.node.Kind == yaml.MappingNode:
		found = "a section"
	case f.node.Kind == yaml.SequenceNode:
		found = "a list"
	case f.node.Kind == yaml.AliasNode:
		found = "an alias, which is not accepted here"
	case f.node.Kind == yaml.ScalarNode:
		found = map[string]string{
			"!!str": "a text", "!!int": "a number", "!!float": "a number", "!!bool": "true or false", "!!timestamp": "a date",
		}[f.node.ShortTag()]
		if found == "" {
			found = "a value with a tag of its own"
		}
		if want == kindText {
			hint = "; put it in quotes"
		}
	}
	p.fail(f.line, "%s must be %s, but it is %s%s", f.name, want, found, hint)
}
