package linkconfig

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// TextMax is the size of the largest link.yaml that is accepted, bytes: it is kept in the metalog as it was given.
const TextMax = 64 << 10

// errorsMax is how many errors of one file are reported.
const errorsMax = 20

// Config is what a link.yaml says.
type Config struct {
	// Link is complete and valid: a request to create the link may carry it as it is.
	Link *metalogpb.LinkConfig
	// Paused asks for the link to be paused from its creation on.
	Paused bool
	// Warnings are in the order of the file.
	Warnings []Warning
}

// Warning tells of a setting that is accepted, but does not do what its author may expect.
type Warning struct {
	Line    int // from 1
	Message string
}

// String gives "line 3: …".
func (w Warning) String() string { return fmt.Sprintf("line %d: %s", w.Line, w.Message) }

// Error is one mistake in a link.yaml.
type Error struct {
	Line    int // from 1; 0 when the whole file is meant
	Message string
}

// Error gives "line 3: …".
func (e Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Message)
}

// Errors are the mistakes in a link.yaml, in the order of the file; never empty.
type Errors []Error

// Error gives a line for each.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Parse reads a link.yaml. Its error is of type Errors, or wraps base.ErrTooLarge.
func Parse(text []byte) (*Config, error) {
	if len(text) > TextMax {
		return nil, fmt.Errorf("link.yaml has %d bytes, at most %d are accepted: %w", len(text), TextMax, base.ErrTooLarge)
	}
	if !utf8.Valid(text) {
		return nil, Errors{{Message: "the file is not UTF-8 text; save it as UTF-8"}}
	}
	root, err := document(text)
	if err != nil {
		return nil, err
	}
	p := &parser{
		config: &Config{Link: &metalogpb.LinkConfig{
			SourceYaml:       string(text),
			OnTopicDeleted:   OnDeletedKeep,
			OnTopicRecreated: OnRecreatedFault,
			CredentialFiles:  map[string]string{},
		}},
		lines: map[string]int{},
	}
	field{name: "link.yaml", line: root.Line, node: root}.section(p, linkSchema())
	p.validate()
	if len(p.errors) > 0 {
		slices.SortStableFunc(p.errors, func(a, b Error) int { return cmp.Compare(a.Line, b.Line) })
		return nil, p.errors[:min(len(p.errors), errorsMax)]
	}
	slices.SortStableFunc(p.config.Warnings, func(a, b Warning) int { return cmp.Compare(a.Line, b.Line) })
	return p.config, nil
}

// parser gathers what one pass over the file finds.
type parser struct {
	config *Config
	errors Errors
	// lines remembers where settings stand that are judged only at the end.
	lines map[string]int
}

func (p *parser) fail(line int, format string, args ...any) {
	p.errors = append(p.errors, Error{Line: line, Message: fmt.Sprintf(format, args...)})
}

func (p *parser) warn(line int, format string, args ...any) {
	p.config.Warnings = append(p.config.Warnings, Warning{Line: line, Message: fmt.Sprintf(format, args...)})
}
