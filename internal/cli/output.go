package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Emit writes a result to Out: as JSON, or what text writes, in columns where it writes tabs.
func (e *Env) Emit(v any, text func(w io.Writer)) error {
	if !e.JSON() {
		w := tabwriter.NewWriter(e.Out, 0, 4, 2, ' ', 0)
		text(w)
		return w.Flush()
	}
	b, err := encodeJSON(v)
	if err != nil {
		return fmt.Errorf("encode the result as JSON: %w", err)
	}
	_, err = fmt.Fprintln(e.Out, string(b))
	return err
}

// encodeJSON keeps the field names of messages and shows what is zero: null and 0 are different answers.
func encodeJSON(v any) ([]byte, error) {
	if m, ok := v.(proto.Message); ok {
		return protojson.MarshalOptions{Multiline: true, Indent: "  ", UseProtoNames: true, EmitUnpopulated: true}.Marshal(m)
	}
	return json.MarshalIndent(v, "", "  ")
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
