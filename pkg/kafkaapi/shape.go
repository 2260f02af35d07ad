package kafkaapi

import (
	"encoding/binary"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// walker goes over a request body before kmsg decodes it, and checks that everything it counts is really there. The
// decoder makes room for an array by its count, up to a byte of input an element, and reads as many tagged fields as a
// count says, be they there or not: a body of 100 MiB could cost gigabytes, one of ten bytes minutes (K3).
type walker struct {
	b        []byte
	version  int16
	flexible bool // compact lengths and tagged fields (KIP-482)
	elements int  // how many array elements and tagged fields are still allowed
	why      string
}

// check runs a shape over a body.
func checkShape(shape func(*walker), body []byte, version int16, flexible bool, elements int) error {
	w := walker{b: body, version: version, flexible: flexible, elements: elements}
	shape(&w)
	w.tags()
	if w.why != "" {
		return fmt.Errorf("request body: %s: %w", w.why, base.ErrCorrupt)
	}
	return nil
}

func (w *walker) fail(why string) {
	if w.why == "" {
		w.why = why
	}
	w.b = nil
}

// skip passes n bytes.
func (w *walker) skip(n int) {
	if n < 0 || n > len(w.b) {
		w.fail("it ends too early")
		return
	}
	w.b = w.b[n:]
}

// since passes n bytes that are there from a version on.
func (w *walker) since(version int16, n int) {
	if w.version >= version {
		w.skip(n)
	}
}

func (w *walker) uvarint() int {
	v, n := binary.Uvarint(w.b[:min(len(w.b), binary.MaxVarintLen32)])
	if n <= 0 || v > 1<<32-1 {
		w.fail("a length is no varint")
		return 0
	}
	w.b = w.b[n:]
	return int(v)
}

func (w *walker) int(n int) int {
	if len(w.b) < n {
		w.fail("it ends too early")
		return 0
	}
	v := 0
	if n == 2 {
		v = int(int16(binary.BigEndian.Uint16(w.b)))
	} else {
		v = int(int32(binary.BigEndian.Uint32(w.b)))
	}
	w.b = w.b[n:]
	return v
}

// length reads the length of something: -1 stands for null.
func (w *walker) length(width int) int {
	n := 0
	if w.flexible {
		n = w.uvarint() - 1
	} else {
		n = w.int(width)
	}
	if n < -1 {
		w.fail("a length is negative")
	}
	return n
}

// str passes a string, which may be null.
func (w *walker) str() { w.skip(max(w.length(2), 0)) }

// strSince passes a string that is there from a version on.
func (w *walker) strSince(version int16) {
	if w.version >= version {
		w.str()
	}
}

// bytes passes a byte array, which may be null.
func (w *walker) bytes() { w.skip(max(w.length(4), 0)) }

// array passes an array, which may be null.
func (w *walker) array(element func()) {
	n := w.length(4)
	for i := 0; i < n && w.why == ""; i++ {
		if w.elements--; w.elements < 0 {
			w.fail("it has too many elements")
			return
		}
		if len(w.b) == 0 {
			w.fail("it has fewer elements than it says")
			return
		}
		element()
	}
}

// structs passes an array of structs, each of which ends in tagged fields.
func (w *walker) structs(element func()) {
	w.array(func() {
		element()
		w.tags()
	})
}

// int32s passes an array of fixed-width numbers.
func (w *walker) int32s() {
	n := max(w.length(4), 0)
	if w.elements -= n; w.elements < 0 {
		w.fail("it has too many elements")
		return
	}
	w.skip(4 * n)
}

// int8s passes an array of bytes.
func (w *walker) int8s() {
	n := max(w.length(4), 0)
	if w.elements -= n; w.elements < 0 {
		w.fail("it has too many elements")
		return
	}
	w.skip(n)
}

// strs passes an array of strings.
func (w *walker) strs() { w.array(w.str) }

// tags passes the tagged fields at the end of a struct. What is in them the shapes look at in taggedFields only.
func (w *walker) tags() { w.taggedFields(nil) }

// taggedFields passes tagged fields; known says what one looks like that the decoder knows.
func (w *walker) taggedFields(known map[int]func(*walker)) {
	if !w.flexible {
		return
	}
	for n := w.uvarint(); n > 0 && w.why == ""; n-- {
		if w.elements--; w.elements < 0 {
			w.fail("it has too many tagged fields")
			return
		}
		tag, size := w.uvarint(), w.uvarint()
		if size > len(w.b) {
			w.fail("a tagged field is cut off")
			return
		}
		if shape := known[tag]; shape != nil {
			inner := *w
			inner.b = w.b[:size]
			shape(&inner)
			w.elements = inner.elements
			if inner.why != "" {
				w.fail(inner.why)
				return
			}
		}
		w.skip(size)
	}
}
