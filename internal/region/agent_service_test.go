package region

import (
	"log/slog"
	"testing"

	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	bucket "github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
)

// An agent is told which incarnation a head is of: without it a view of any would do.
func TestHeadNamesItsIncarnation(t *testing.T) {
	log := memory.NewServer().Open(nil)
	if _, err := log.Campaign(t.Context(), "leader", ""); err != nil {
		t.Fatal(err)
	}
	pos, err := log.Position(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	coord := coordinator.New(coordinator.Config{Log: log, Objects: objstore.AsObjects(bucket.New()), Logger: slog.New(slog.DiscardHandler)})
	head, err := (&agentService{&Coordinator{coord: coord}}).Head(t.Context(), nil)
	if err != nil || head.Msg.Incarnation != pos.Incarnation || pos.Incarnation == "" {
		t.Fatalf("%v, %v, want incarnation %s", head, err, pos.Incarnation)
	}
}
