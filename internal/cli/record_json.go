package cli

import (
	"encoding/json"
	"io"
	"unicode/utf8"
)

// RecordJSON is what a producer wrote into a record, as every command shows it, embedded in a line with its place. What is no UTF-8 text
// is given in base64, under the name that says so; a null is absent.
type RecordJSON struct {
	Key         *string      `json:"key,omitempty"`
	KeyBase64   []byte       `json:"key_base64,omitempty"`
	Value       *string      `json:"value,omitempty"`
	ValueBase64 []byte       `json:"value_base64,omitempty"`
	Headers     []headerJSON `json:"headers,omitempty"`
}

type headerJSON struct {
	Key         string  `json:"key"`
	Value       *string `json:"value,omitempty"`
	ValueBase64 []byte  `json:"value_base64,omitempty"`
}

// RecordOf shows a key and a value; headers are added.
func RecordOf(key, value []byte) (r RecordJSON) {
	r.Key, r.KeyBase64 = textOrBytes(key)
	r.Value, r.ValueBase64 = textOrBytes(value)
	return r
}

// AddHeader adds a header of the record.
func (r *RecordJSON) AddHeader(key string, value []byte) {
	h := headerJSON{Key: key}
	h.Value, h.ValueBase64 = textOrBytes(value)
	r.Headers = append(r.Headers, h)
}

// WriteLine writes v as one line of JSON, with the characters that records have.
func WriteLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// textOrBytes gives bytes as text when they are text.
func textOrBytes(b []byte) (*string, []byte) {
	if b == nil {
		return nil, nil
	}
	if !utf8.Valid(b) {
		return nil, b
	}
	text := string(b)
	return &text, nil
}
