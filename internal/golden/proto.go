package golden

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Message takes the rest of the data as a protobuf message: a line a field, by its number and name. It reads the wire
// format on its own and shares no code with the codec but the names.
func (d *Dump) Message(md protoreflect.MessageDescriptor) { d.message(md, len(d.data), 0) }

func (d *Dump) message(md protoreflect.MessageDescriptor, end, depth int) {
	for d.at < end {
		number, kind, n := protowire.ConsumeTag(d.data[d.at:end])
		if n < 0 {
			d.Field(end-d.at, "no field begins here")
			return
		}
		name, field := fmt.Sprintf("field %d", number), md.Fields().ByNumber(number)
		if field != nil {
			name = fmt.Sprintf("%d %s", number, field.Name())
		}
		name = strings.Repeat("  ", depth) + name
		rest := d.data[d.at+n : end]
		switch kind {
		case protowire.VarintType:
			v, size := protowire.ConsumeVarint(rest)
			d.Field(n+max(size, 0), "%s: %d", name, int64(v))
		case protowire.BytesType:
			b, size := protowire.ConsumeBytes(rest)
			if size < 0 {
				d.Field(end-d.at, "%s: overruns", name)
				return
			}
			if field == nil || field.Kind() != protoreflect.MessageKind {
				d.Field(n+size, "%s: %s", name, shown(field, b))
				continue
			}
			d.Field(n+size-len(b), "%s: %d bytes", name, len(b))
			d.message(field.Message(), d.at+len(b), depth+1)
		default:
			d.Field(n+max(protowire.ConsumeFieldValue(number, kind, rest), 0), "%s", name)
		}
	}
}

func shown(field protoreflect.FieldDescriptor, b []byte) string {
	if field != nil && field.Kind() == protoreflect.StringKind {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%d bytes", len(b))
}
