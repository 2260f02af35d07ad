// Package golden compares what a test made with a file in its testdata, and writes such files anew with -rewrite.
//
// A file of bytes is an annotated hex dump, so that a change of a format can be read in review. Files of a format version
// (testdata/v1, …) are never deleted: data with these bytes is in buckets and logs.
//
// It is for test files only.
package golden

import (
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write golden files anew")

// Compare fails the test when the file does not hold want. With -rewrite it writes the file.
func Compare(t testing.TB, name, want string) {
	t.Helper()
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Fatalf("%s differs; if that is meant, run the test with -rewrite. This build gives:\n%s", name, want)
	}
}

// Section is Compare for the part of a document between the lines "<!-- name: begin -->" and "<!-- name: end -->".
func Section(t testing.TB, document, name, want string) {
	t.Helper()
	begin, end := fmt.Sprintf("<!-- %s: begin -->\n", name), fmt.Sprintf("<!-- %s: end -->", name)
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no section %q", document, name)
	}
	Compare(t, document, before+begin+want+end+after)
}

// Read returns the bytes of a dump.
func Read(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := undump(string(text))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

// undump reads the bytes back out of a dump. Lines that do not begin with a position are remarks.
func undump(text string) ([]byte, error) {
	var out []byte
	for line := range strings.Lines(text) {
		position, rest, found := strings.Cut(line, "  ")
		var at int
		if n, err := fmt.Sscanf(position, "%06x", &at); !found || len(position) != 6 || n != 1 || err != nil {
			continue
		}
		b, err := hex.DecodeString(strings.Fields(rest)[0])
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		if at != len(out) {
			return nil, fmt.Errorf("%q does not follow the line before, which ends at %06x", line, len(out))
		}
		out = append(out, b...)
	}
	return out, nil
}

// Dump is an annotated hex dump in the making: position, up to 16 bytes, what they are.
type Dump struct {
	data []byte
	at   int
	text strings.Builder
}

// NewDump begins a dump of data.
func NewDump(data []byte) *Dump { return &Dump{data: data} }

// Title adds a remark.
func (d *Dump) Title(format string, args ...any) { fmt.Fprintf(&d.text, "# "+format+"\n", args...) }

// Field takes the next n bytes.
func (d *Dump) Field(n int, format string, args ...any) []byte {
	field := d.data[d.at : d.at+n]
	note := "  " + fmt.Sprintf(format, args...)
	for from := 0; from < n; from += 16 {
		row := field[from:min(from+16, n)]
		fmt.Fprintf(&d.text, "%06x  %s\n", d.at+from, strings.TrimRight(fmt.Sprintf("%-32x%s", row, note), " "))
		note = ""
	}
	d.at += n
	return field
}

// Peek is what the next n bytes are, without taking them.
func (d *Dump) Peek(n int) []byte { return d.data[d.at : d.at+n] }

// Uint is the big-endian number that the next n bytes are, 8 at most, without taking them.
func (d *Dump) Uint(n int) uint64 {
	var b [8]byte
	copy(b[8-n:], d.Peek(n))
	return binary.BigEndian.Uint64(b[:])
}

// String gives the dump; what no field took is shown at its end.
func (d *Dump) String() string {
	if rest := len(d.data) - d.at; rest > 0 {
		d.Field(rest, "left over")
	}
	return d.text.String()
}
