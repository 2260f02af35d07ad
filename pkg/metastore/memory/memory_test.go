package memory_test

import (
	"errors"
	"testing"

	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metastoretest"
)

func TestAcceptance(t *testing.T) {
	metastoretest.Run(t, func(*testing.T) metastoretest.Backend {
		s := memory.NewServer()
		return metastoretest.Backend{
			Open:         func(*testing.T) metastore.Log { return s.Open(nil) },
			ExpireLeader: func(*testing.T) { s.ExpireLeader() },
		}
	})
}

// A fault after the call is an append whose answer was lost; one before it is an append that never was.
func TestFaults(t *testing.T) {
	broken := errors.New("cut")
	for _, phase := range []memory.Phase{memory.Before, memory.After} {
		s := memory.NewServer()
		armed := false
		l := s.Open(func(op string, p memory.Phase) error {
			if armed && op == "append" && p == phase {
				return broken
			}
			return nil
		})
		term, err := l.Campaign(t.Context(), "one", "")
		if err != nil {
			t.Fatal(err)
		}
		value, err := metastore.EncodeEntry(&metalogpb.Entry{Seq: 1})
		if err != nil {
			t.Fatal(err)
		}
		armed = true
		if err := term.Append(t.Context(), metastore.Guard{}, value); !errors.Is(err, broken) {
			t.Fatalf("phase %d: %v", phase, err)
		}
		pos, _ := l.Position(t.Context())
		if appended := pos.Head.Seq == 1; appended != (phase == memory.After) {
			t.Fatalf("phase %d: the head is %d", phase, pos.Head.Seq)
		}
	}
}
