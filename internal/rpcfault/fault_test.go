package rpcfault_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"connectrpc.com/connect"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/rpcfault"
	"github.com/gnomon-stream/gnomon/pkg/coordinatorpb"
)

var sentinels = []error{
	base.ErrNotFound, base.ErrNotLeader, base.ErrReadOnly, base.ErrFenced, base.ErrTooLarge, base.ErrVersion, base.ErrCorrupt, base.ErrUnavailable,
}

// Each sentinel is itself, and no other, at the other end; the words are the ones that were said.
func TestSentinelsCross(t *testing.T) {
	for _, s := range sentinels {
		err := fmt.Errorf("what was done: %w", s)
		for name, got := range map[string]error{
			"in a message": rpcfault.Err(rpcfault.Of(err)), "as an RPC error": rpcfault.From(rpcfault.Connect(err)),
		} {
			if got.Error() != err.Error() {
				t.Errorf("%s: %q, said %q", name, got, err)
			}
			for _, other := range sentinels {
				if errors.Is(got, other) != errors.Is(other, s) {
					t.Errorf("%s: %v is %v: %v", name, s, other, errors.Is(got, other))
				}
			}
		}
	}
}

func TestKafkaCodesCross(t *testing.T) {
	got := rpcfault.From(rpcfault.Connect(fmt.Errorf("topic: %w", kerr.PolicyViolation)))
	if !errors.Is(got, kerr.PolicyViolation) || errors.Is(got, base.ErrUnavailable) {
		t.Errorf("%v", got)
	}
}

// What says nothing of itself may have taken effect, and may pass.
func TestUnknownIsUnavailable(t *testing.T) {
	for name, err := range map[string]error{
		"broken connection": rpcfault.From(connect.NewError(connect.CodeUnavailable, errors.New("EOF"))),
		"bug at the server": rpcfault.From(rpcfault.Connect(errors.New("odd"))),
		"newer peer":        rpcfault.Err(&coordinatorpb.Fault{Kind: "of the future", Message: "x"}),
	} {
		if !errors.Is(err, base.ErrUnavailable) || rpcfault.IsUntouched(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if rpcfault.From(nil) != nil || rpcfault.Connect(nil) != nil || rpcfault.Of(nil) != nil {
		t.Error("no error becomes one")
	}
}

func TestUntouched(t *testing.T) {
	if got := rpcfault.From(rpcfault.Untouched(base.ErrNotLeader)); !rpcfault.IsUntouched(got) || !errors.Is(got, base.ErrNotLeader) {
		t.Errorf("%v", got)
	}
	if got := rpcfault.From(rpcfault.Connect(base.ErrNotLeader)); rpcfault.IsUntouched(got) {
		t.Errorf("%v", got)
	}
}

// RPC codes are for people and tools that know no details.
func TestCodes(t *testing.T) {
	for want, err := range map[connect.Code]error{
		connect.CodeNotFound: base.ErrNotFound, connect.CodeUnavailable: base.ErrNotLeader, connect.CodeFailedPrecondition: base.ErrFenced,
		connect.CodeCanceled: context.Canceled, connect.CodeInternal: errors.New("odd"),
	} {
		if got := connect.CodeOf(rpcfault.Connect(err)); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}
