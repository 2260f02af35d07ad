package shadow

import (
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// A cut behind which nothing was heard of may have lost something: how much is unknown, and not nothing.
func TestUnknownLoss(t *testing.T) {
	for _, c := range []struct {
		flip *metalogpb.RegionFlipped
		want float64 // -1: unknown
	}{
		{&metalogpb.RegionFlipped{Fenced: true, CutTimeMs: 1000, SourceTimeMs: 3000}, 0},
		{&metalogpb.RegionFlipped{CutTimeMs: 1000, SourceTimeMs: 3000}, 2},
		{&metalogpb.RegionFlipped{CutTimeMs: 1000, SourceTimeMs: 1000}, -1},
		{&metalogpb.RegionFlipped{CutTimeMs: 1000}, -1},
	} {
		got := rpoSeconds(c.flip)
		if (got == nil) != (c.want < 0) || got != nil && *got != c.want {
			t.Errorf("%v: %v, want %v", c.flip, got, c.want)
		}
	}
}

// What is known of the source when a link ends stays as it is: this region's own writes are not the source's. The report that is
// given again says what the log knows.
func TestStatusAfterFailover(t *testing.T) {
	l := startLink(t)
	l.atSource(func(a *region) { a.topic("x"); a.produce(to{"x", 0, 2, 'a'}) })
	l.caughtUp()
	l.w.set("etcd", true)
	first, err := l.Failover(t.Context(), Options{})
	if err != nil || first.RpoSeconds != nil || !strings.Contains(first.Detail, "out of reach") {
		t.Fatalf("%v, %v", first, err)
	}
	again, err := l.Failover(t.Context(), Options{})
	if err != nil || again.Detail == "" || again.RpoSeconds != nil {
		t.Errorf("again: %v, %v", again, err)
	}
	l.atSource(func(a *region) { a.produce(to{"x", 0, 1, 'c'}) }) // so that the runner finds out
	l.done <- <-l.done                                            // it has ended: b belongs to this goroutine now
	l.b.topics = l.a.topics
	if l.b.session, err = l.b.seq.OpenSession(l.b.now, 1, ""); err != nil {
		t.Fatal(err)
	}
	l.b.produce(to{"x", 0, 5, 'b'})
	for _, r := range []*Runner{l.Runner, NewRunner(Config{Link: "l", Metalog: l.b, Now: time.Now})} { // one that was started since, too
		st := r.Status()
		p := st.Topics[0].Partitions[0]
		if st.State != FailedOver || p.EndOffset != 7 || p.SourceEndOffset == nil || *p.SourceEndOffset != 2 || *p.LagOffsets != 0 {
			t.Errorf("status %v", st)
		}
		if st.SourceSeq == nil || *st.SourceSeq != first.SourceSeq || st.AsOfMs == nil || *st.LagEvents != 0 || st.LagSeconds != nil {
			t.Errorf("status of the link %v", st)
		}
	}
}

// A dry run says one thing: with the source in reach nothing is lost, though the link is paused.
func TestDryRunOfAPausedLink(t *testing.T) {
	l := startLink(t)
	l.atSource(func(a *region) { a.topic("x") })
	l.caughtUp()
	if err := l.b.Do(t.Context(), func(tx Tx) error {
		return tx.Emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkPaused{LinkPaused: &metalogpb.LinkPaused{Link: "l", Paused: true}}})
	}); err != nil {
		t.Fatal(err)
	}
	l.Restart()
	got, err := l.Failover(t.Context(), Options{DryRun: true})
	if err != nil || got.Mode != ModeFenced || strings.Contains(got.Detail, "paused") || !strings.Contains(got.Detail, "nothing acked would be lost") {
		t.Errorf("in reach: %v, %v", got, err)
	}
	if got.RpoSeconds == nil || *got.RpoSeconds != 0 {
		t.Errorf("in reach: RPO %v", got.RpoSeconds)
	}
	l.w.set("etcd", true)
	got, err = l.Failover(t.Context(), Options{DryRun: true})
	if err != nil || got.Mode != ModeCut || !strings.Contains(got.Detail, "paused") || strings.Contains(got.Detail, "nothing acked") || got.RpoSeconds != nil {
		t.Errorf("out of reach: %v, %v", got, err)
	}
	l.until("stayed a shadow", (*state.Link).Active)
}
