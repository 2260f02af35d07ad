package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Emit writes a result to Out: as JSON, or what text writes, in columns where it writes tabs.
func (e *Env) Emit(v any, text func(w io.Writer)) error {
	if !e.JSON() {
		w := tabwriter.NewWriter(e.Out, 0, 4, 2, ' ', 0)
		text(w)
		return w.Flush()
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the result as JSON: %w", err)
	}
	_, err = fmt.Fprintln(e.Out, string(b))
	return err
}

// row writes cells as one line of a table.
func row(w io.Writer, cells ...any) {
	text := make([]string, len(cells))
	for i, c := range cells {
		text[i] = fmt.Sprint(c)
	}
	_, _ = fmt.Fprintln(w, strings.Join(text, "\t"))
}

// Row writes cells as one line of a table.
func Row(w io.Writer, cells ...any) { row(w, cells...) }

// note tells a person something that is no result.
func (e *Env) note(text string) {
	if !e.JSON() {
		_, _ = fmt.Fprintln(e.Err, text)
	}
}
