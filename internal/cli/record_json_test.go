package cli_test

import (
	"strings"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/cli"
)

// What `consume` and `metastore quarantine export` write of a record: text as it is, bytes in base64, no null.
func TestRecordJSON(t *testing.T) {
	whole := cli.RecordOf([]byte("<é>"), []byte("\xff\x00"))
	whole.AddHeader("a", []byte(""))
	whole.AddHeader("b", []byte("\xfe"))
	whole.AddHeader("c", nil)
	for want, r := range map[string]cli.RecordJSON{
		`{"key":"<é>","value_base64":"/wA=","headers":[{"key":"a","value":""},{"key":"b","value_base64":"/g=="},{"key":"c"}]}`: whole,
		`{"value":""}`: cli.RecordOf(nil, []byte{}),
		`{}`:           cli.RecordOf(nil, nil),
	} {
		var out strings.Builder
		line := struct{ cli.RecordJSON }{r} // embedded, as both commands have it
		if err := cli.WriteLine(&out, line); err != nil || out.String() != want+"\n" {
			t.Errorf("got %q, want %s, %v", out.String(), want, err)
		}
	}
}
