package linkconfig_test

import (
	"errors"
	"os"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/namefilter"
	"github.com/gnomon-stream/gnomon/pkg/shadow/linkconfig"
)

// F3, and that no input does worse than give an error: what is accepted can be stored, is chosen by, and reads back equal.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"../../../deploy/link.yaml", "testdata/peer.yaml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(minimal))
	f.Add([]byte("name: &a [*a]\n"))
	f.Add([]byte("? {a: b}\n: c\n"))
	f.Add([]byte("source: {bucket: \"s3://\\u0000\"}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := linkconfig.Parse(text)
		if err != nil {
			var list linkconfig.Errors
			if !errors.As(err, &list) && !errors.Is(err, base.ErrTooLarge) || errors.As(err, &list) && len(list) == 0 {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if err := linkconfig.ValidName(got.Link.Name); err != nil {
			t.Fatal(err)
		}
		if _, err := namefilter.New(got.Link.TopicFilters); err != nil {
			t.Fatal(err)
		}
		if _, err := namefilter.New(got.Link.GroupFilters); err != nil {
			t.Fatal(err)
		}
		if _, err := proto.Marshal(got.Link); err != nil {
			t.Fatalf("cannot be stored: %v", err)
		}
		again, err := linkconfig.Parse([]byte(got.Link.SourceYaml))
		if err != nil || !proto.Equal(again.Link, got.Link) {
			t.Fatalf("what describe shows reads back as %v, %v", again, err)
		}
	})
}
