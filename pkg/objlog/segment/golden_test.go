package segment

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
)

var rewrite = flag.Bool("rewrite", false, "write golden files anew")

// TestGolden pins the bytes of format version 1. The files of testdata/v1 are never deleted, and change only with a good
// reason: objects with these bytes are in buckets.
func TestGolden(t *testing.T) {
	for name, built := range map[string]Built{"three-extents": three(t), "empty": Build(testHeader, nil)} {
		file := filepath.Join("testdata", fmt.Sprintf("v%d", Version), name+".hex")
		golden(t, file, annotate(built.Payload.Bytes()))
	}
}

// golden compares a file with what it should hold, or writes it.
func golden(t *testing.T, name, want string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Fatalf("%s differs; if that is meant: go test ./pkg/objlog/segment -rewrite. This build gives:\n%s", name, want)
	}
}

// TestGoldenIsReadable reads the golden bytes themselves, so that a build that writes another version still reads these.
func TestGoldenIsReadable(t *testing.T) {
	files, err := filepath.Glob("testdata/v*/*.hex")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		objects := undump(t, string(text))
		if len(objects) == 0 {
			t.Errorf("%s: no objects", name)
		}
		for i, object := range objects {
			if h, _, err := Verify(object); err != nil || h != testHeader {
				t.Errorf("%s, object %d: %+v, %v", name, i, h, err)
			}
		}
	}
}

// TestFormatDocument keeps the byte dump in docs/FORMAT.md what this build writes; -rewrite writes it anew.
func TestFormatDocument(t *testing.T) {
	const name, begin, end = "../../../docs/FORMAT.md", "<!-- segment dump: begin -->\n", "<!-- segment dump: end -->"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no section between the marks %q and %q", name, strings.TrimSpace(begin), end)
	}
	want := before + begin + "```\n" + annotate(three(t).Payload.Bytes()) + "```\n" + end + after
	golden(t, name, want)
}

// dump is an annotated hex dump in the making: position, up to 16 bytes, what they are.
type dump struct {
	object []byte
	at     int
	text   strings.Builder
}

func (d *dump) title(format string, args ...any) {
	fmt.Fprintf(&d.text, "# "+format+"\n", args...)
}

// field takes the next n bytes.
func (d *dump) field(n int, format string, args ...any) []byte {
	field := d.object[d.at : d.at+n]
	note := "  " + fmt.Sprintf(format, args...)
	for from := 0; from < n; from += 16 {
		row := field[from:min(from+16, n)]
		fmt.Fprintf(&d.text, "%06x  %s\n", d.at+from, strings.TrimRight(fmt.Sprintf("%-32x%s", row, note), " "))
		note = ""
	}
	d.at += n
	return field
}

// u reads an integer of n bytes ahead of the fields.
func (d *dump) u(skip, n int) uint64 {
	var b [8]byte
	copy(b[8-n:], d.object[d.at+skip:d.at+skip+n])
	return binary.BigEndian.Uint64(b[:])
}

// annotate walks the object by the byte table of the package comment, on its own: it shares no code with the codec.
func annotate(object []byte) string {
	d := &dump{object: object}
	d.title("header")
	d.field(8, "magic")
	d.field(2, "format version")
	d.field(2, "header length: %d", d.u(0, 2))
	d.field(16, "cluster id")
	d.field(8, "session")
	d.field(8, "number")
	d.field(4, "CRC-32C of the header")

	trailer := object[len(object)-32:]
	footer := int(binary.BigEndian.Uint64(trailer))
	for d.at < footer {
		n := int(d.u(8, 4)) + 12
		d.title("record batch")
		d.field(8, "base offset, as produced")
		d.field(4, "batch length: %d", n-12)
		d.field(4, "partition leader epoch, as produced")
		d.field(1, "magic; from here on the digest covers")
		d.field(4, "CRC-32C of the batch from its attributes on")
		d.field(40, "attributes to record count")
		d.field(n-61, "records")
	}
	d.footer()
	d.title("trailer")
	d.field(8, "footer position: %d", d.u(0, 8))
	d.field(4, "footer length: %d", d.u(0, 4))
	d.field(4, "CRC-32C of the footer")
	d.field(2, "format version")
	d.field(2, "zero")
	d.field(4, "CRC-32C of the trailer")
	d.field(8, "magic")
	return d.text.String()
}

func (d *dump) footer() {
	d.title("footer")
	extents := d.u(0, 4)
	d.field(4, "extents: %d", extents)
	for range extents {
		d.title("extent")
		topic := base.TopicID(d.object[d.at : d.at+16])
		d.field(16, "topic id %s", topic)
		d.field(4, "partition: %d", int32(d.u(0, 4)))
		d.field(8, "position: %d", d.u(0, 8))
		d.field(8, "length: %d", d.u(0, 8))
		batches := d.u(0, 4)
		d.field(4, "batches: %d", batches)
		for range batches {
			d.title("batch")
			d.field(4, "length: %d", d.u(0, 4))
			d.field(4, "records: %d", d.u(0, 4))
			d.field(8, "producer id: %d", int64(d.u(0, 8)))
			d.field(2, "producer epoch: %d", int16(d.u(0, 2)))
			d.field(4, "base sequence: %d", int32(d.u(0, 4)))
			d.field(2, "attributes")
			d.field(8, "base timestamp, Unix ms: %d", d.u(0, 8))
			d.field(8, "max timestamp, Unix ms: %d", d.u(0, 8))
			d.field(16, "digest")
		}
	}
}

// undump reads the objects back out of dumps. An object begins at position 0.
func undump(t *testing.T, text string) [][]byte {
	t.Helper()
	var objects [][]byte
	for line := range strings.Lines(text) {
		position, rest, found := strings.Cut(line, "  ")
		var at int
		if n, err := fmt.Sscanf(position, "%06x", &at); !found || len(position) != 6 || n != 1 || err != nil {
			continue
		}
		b, err := hex.DecodeString(strings.Fields(rest)[0])
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if at == 0 {
			objects = append(objects, nil)
		}
		last := len(objects) - 1
		if last < 0 || at != len(objects[last]) {
			t.Fatalf("%q does not follow the line before", line)
		}
		objects[last] = append(objects[last], b...)
	}
	return objects
}

// The dump is only worth anything if it shows every byte.
func TestDumpIsComplete(t *testing.T) {
	object := three(t).Payload.Bytes()
	if got := undump(t, annotate(object)); len(got) != 1 || !bytes.Equal(got[0], object) {
		t.Fatal("the dump does not give the object back")
	}
}
