package golden

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/types/descriptorpb"
)

// A dump is only worth anything if it shows every byte, also of a message that ends too early.
func TestDumpIsComplete(t *testing.T) {
	message := []byte{0x0a, 3, 'a', 'b', 'c', 0x22, 4, 0x0a, 2, 'x', 'y', 0x50, 7, 0x3d, 1, 2, 3, 4}
	for n := range len(message) + 1 {
		d := NewDump(message[:n])
		if n > 2 {
			d.Title("begins")
		}
		d.Message((&descriptorpb.FileDescriptorProto{}).ProtoReflect().Descriptor())
		got, err := undump(d.String())
		if err != nil || !bytes.Equal(got, message[:n]) {
			t.Fatalf("of %d bytes the dump gives %x, %v:\n%s", n, got, err, d.String())
		}
	}
}
