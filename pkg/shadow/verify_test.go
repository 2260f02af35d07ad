package shadow

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// has looks for a mismatch.
func has(list []*adminpb.Mismatch, topic string, partition int32, offset int64, reason string) bool {
	return slices.ContainsFunc(list, func(m *adminpb.Mismatch) bool {
		return m.Topic == topic && m.Partition == partition && m.Offset == offset && strings.Contains(m.Reason, reason)
	})
}

// Heads that are equal say nothing of bytes: what is not here, and a topic that is not copied, is not equal, by either way to verify.
func TestVerifyTellsWhatIsNotHere(t *testing.T) {
	l := startLink(t)
	l.atSource(func(a *region) {
		a.topic("x")
		a.produce(to{"x", 0, 2, 'a'})
		for _, n := range []int32{2, 3} {
			id := a.produce(to{"x", 0, n, 'b'})
			a.remove(id.Key())
		}
		a.produce(to{"x", 1, 1, 'c'})
	})
	l.caughtUp()
	l.until("faulted the topic", func(x *state.Link) bool { return x.Image().TopicByName("x").Info().Fault != "" })
	got, err := l.Verify(t.Context())
	if err != nil || got.Equal || !has(got.Mismatches, "x", -1, -1, "FAULTED") || !has(got.Mismatches, "x", 0, 2, "offsets 2 to 6 are not in this region's bucket yet") {
		t.Errorf("verify: %v, %v", got, err)
	}
	got = l.b.deep()
	if got.Equal || !has(got.Mismatches, "x", -1, -1, "FAULTED") || !has(got.Mismatches, "x", 0, 2, "offsets 2 to 6 are not in this region's bucket yet") {
		t.Errorf("deep: %v", got)
	}
}

// A link that is FAULTED is not equal, though it shows nothing; and nor is one that never had anything. Neither is waited for.
func TestVerifyOfAFaultedLink(t *testing.T) {
	l := startLink(t)
	l.caughtUp()
	fault := &metalogpb.LinkFaulted{Link: "l", Reason: "set back"}
	if err := l.b.Do(t.Context(), func(tx Tx) error {
		return tx.Emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkFaulted{LinkFaulted: fault}})
	}); err != nil {
		t.Fatal(err)
	}
	got, err := l.Verify(t.Context())
	if err != nil || got.Equal || got.SourceUnreachable || !has(got.Mismatches, "", -1, -1, "the link is FAULTED: set back") {
		t.Errorf("verify: %v, %v", got, err)
	}
	if got := l.b.deep(); got.Equal || !has(got.Mismatches, "", -1, -1, "the link is FAULTED: set back") {
		t.Errorf("deep: %v", got)
	}
	fresh := newRegion(t, 3)
	fresh.shadow(l.a, "*")
	if got := fresh.deep(); got.Equal || !has(got.Mismatches, "", -1, -1, "nothing of the source is here yet") {
		t.Errorf("deep of a link that never ran: %v", got)
	}
}

// A paused link is not compared, and says so at once.
func TestVerifyOfAPausedLink(t *testing.T) {
	l := startLink(t)
	l.caughtUp()
	if err := l.b.Do(t.Context(), func(tx Tx) error {
		return tx.Emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkPaused{LinkPaused: &metalogpb.LinkPaused{Link: "l", Paused: true}}})
	}); err != nil {
		t.Fatal(err)
	}
	l.Restart()
	l.atSource(func(a *region) { a.topic("x") })
	start := time.Now()
	got, err := l.Verify(t.Context())
	if err != nil || got.Equal || !got.SourceUnreachable || !strings.Contains(got.Detail, "the link is paused") || time.Since(start) > 5*time.Second {
		t.Errorf("%v, %v after %v", got, err, time.Since(start))
	}
}
