package segment

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/golden"
)

// TestGolden pins the bytes of format version 1. The files of testdata/v1 are never deleted, and change only with a good
// reason: objects with these bytes are in buckets.
func TestGolden(t *testing.T) {
	for name, built := range map[string]Built{"three-extents": three(t), "empty": Build(testHeader, nil)} {
		file := filepath.Join("testdata", fmt.Sprintf("v%d", Version), name+".hex")
		golden.Compare(t, file, annotate(built.Payload.Bytes()))
	}
}

// TestGoldenIsReadable reads the golden bytes themselves, so that a build that writes another version still reads these.
func TestGoldenIsReadable(t *testing.T) {
	files, err := filepath.Glob("testdata/v*/*.hex")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, name := range files {
		if h, _, err := Verify(golden.Read(t, name)); err != nil || h != testHeader {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
}

// TestFormatDocument keeps the byte dump in docs/FORMAT.md what this build writes; -rewrite writes it anew.
func TestFormatDocument(t *testing.T) {
	golden.Section(t, "../../../docs/FORMAT.md", "segment dump", "```\n"+annotate(three(t).Payload.Bytes())+"```\n")
}

// annotate walks the object by the byte table of the package comment, on its own: it shares no code with the codec.
func annotate(object []byte) string {
	d := golden.NewDump(object)
	d.Title("header")
	d.Field(8, "magic")
	d.Field(2, "format version")
	d.Field(2, "header length: %d", d.Uint(2))
	d.Field(16, "cluster id")
	d.Field(8, "session")
	d.Field(8, "number")
	d.Field(4, "CRC-32C of the header")

	trailer := object[len(object)-32:]
	footer := int(binary.BigEndian.Uint64(trailer))
	for at := 48; at < footer; {
		n := int(binary.BigEndian.Uint32(d.Peek(12)[8:])) + 12
		at += n
		d.Title("record batch")
		d.Field(8, "base offset, as produced")
		d.Field(4, "batch length: %d", n-12)
		d.Field(4, "partition leader epoch, as produced")
		d.Field(1, "magic; from here on the digest covers")
		d.Field(4, "CRC-32C of the batch from its attributes on")
		d.Field(40, "attributes to record count")
		d.Field(n-61, "records")
	}
	annotateFooter(d)
	d.Title("trailer")
	d.Field(8, "footer position: %d", d.Uint(8))
	d.Field(4, "footer length: %d", d.Uint(4))
	d.Field(4, "CRC-32C of the footer")
	d.Field(2, "format version")
	d.Field(2, "zero")
	d.Field(4, "CRC-32C of the trailer")
	d.Field(8, "magic")
	return d.String()
}

func annotateFooter(d *golden.Dump) {
	d.Title("footer")
	extents := d.Uint(4)
	d.Field(4, "extents: %d", extents)
	for range extents {
		d.Title("extent")
		topic := base.TopicID(d.Peek(16))
		d.Field(16, "topic id %s", topic)
		d.Field(4, "partition: %d", int32(d.Uint(4)))
		d.Field(8, "position: %d", d.Uint(8))
		d.Field(8, "length: %d", d.Uint(8))
		batches := d.Uint(4)
		d.Field(4, "batches: %d", batches)
		for range batches {
			d.Title("batch")
			d.Field(4, "length: %d", d.Uint(4))
			d.Field(4, "records: %d", d.Uint(4))
			d.Field(8, "producer id: %d", int64(d.Uint(8)))
			d.Field(2, "producer epoch: %d", int16(d.Uint(2)))
			d.Field(4, "base sequence: %d", int32(d.Uint(4)))
			d.Field(2, "attributes")
			d.Field(8, "base timestamp, Unix ms: %d", d.Uint(8))
			d.Field(8, "max timestamp, Unix ms: %d", d.Uint(8))
			d.Field(16, "digest")
		}
	}
}
