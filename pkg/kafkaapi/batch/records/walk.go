package records

import (
	"encoding/binary"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// Record is what Walk tells of a record.
type Record struct {
	OffsetDelta    int32
	TimestampDelta int64 // ms from the batch's base timestamp
	HasKey         bool
}

// Walk calls fn for each of count records that lie in b, decompressed, until it returns false or an error. base.ErrCorrupt
// when they are not exactly that many, one after the other, with offset deltas from 0 on.
func Walk(b []byte, count int32, fn func(Record) (more bool, err error)) error {
	for i := range count {
		size, n := binary.Varint(b)
		if n <= 0 || size < 0 || size > int64(len(b)-n) {
			return corrupt(i, "overruns the batch")
		}
		r, ok := parse(b[n : n+int(size)])
		switch {
		case !ok:
			return corrupt(i, "is malformed")
		case r.OffsetDelta != i:
			return corrupt(i, "has another offset than its place")
		}
		more, err := fn(r)
		if err != nil || !more {
			return err
		}
		b = b[n+int(size):]
	}
	if len(b) > 0 {
		return fmt.Errorf("%d bytes follow the last record: %w", len(b), base.ErrCorrupt)
	}
	return nil
}

func corrupt(record int32, why string) error {
	return fmt.Errorf("record %d of the batch %s: %w", record, why, base.ErrCorrupt)
}

// parse reads one record without its length: attributes, timestamp delta, offset delta, key, value, headers
// (https://kafka.apache.org/documentation/#record).
func parse(b []byte) (r Record, ok bool) {
	c := cursor{b: b}
	c.skip(1)
	r.TimestampDelta = c.varint()
	delta := c.varint()
	r.OffsetDelta = int32(delta)
	r.HasKey = c.bytes()
	c.bytes()
	headers := c.varint()
	for i := int64(0); i < headers && !c.failed; i++ {
		if !c.bytes() {
			return r, false // a header has a name
		}
		c.bytes()
	}
	return r, !c.failed && headers >= 0 && len(c.b) == 0 && int64(r.OffsetDelta) == delta
}

type cursor struct {
	b      []byte
	failed bool
}

func (c *cursor) skip(n int64) {
	if n < 0 || n > int64(len(c.b)) {
		c.b, c.failed = nil, true
		return
	}
	c.b = c.b[n:]
}

func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.b)
	if n <= 0 {
		c.b, c.failed = nil, true
		return 0
	}
	c.b = c.b[n:]
	return v
}

// bytes passes bytes with their length in front; false for null.
func (c *cursor) bytes() bool {
	n := c.varint()
	if n == -1 {
		return false
	}
	c.skip(n)
	return !c.failed
}
