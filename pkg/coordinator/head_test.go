package coordinator

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// A head is of the log that there is, and none while there is none: an empty etcd may be one that was lost.
func TestHead(t *testing.T) {
	c := newCluster(t)
	idle := New(Config{Log: c.server.Open(nil), Objects: objstore.AsObjects(c.bucket), Logger: slog.New(slog.DiscardHandler)})
	if head, err := idle.Head(t.Context()); !errors.Is(err, base.ErrUnavailable) {
		t.Fatalf("head of an empty etcd: %v, %v", head, err)
	}
	c.lead("a").end()
	want := c.position().Point()
	if head, err := idle.Head(t.Context()); err != nil || head != want || want.Incarnation == "" || want.Seq == 0 {
		t.Fatalf("head %v, %v, want %v", head, err, want)
	}
}
