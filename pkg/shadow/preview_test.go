package shadow

import (
	"strings"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// A dry run asks the source's etcd what a failover would meet there, says it, and writes nothing. What it foresees is what then happens.
func TestDryRunAsksForTheFence(t *testing.T) {
	for _, x := range []struct {
		what        string // does not answer, or refuses
		why         error
		fence, mode string
		detail      string
	}{
		{"", nil, FenceAllowed, ModeFenced, "nothing acked would be lost"},
		{"etcd", metastore.ErrRefused, FenceRefused, ModeCut, "does not let this region in (etcd of the source: refused): the cut would be taken with --accept-missing only"},
		{"fence", metastore.ErrRefused, FenceRefused, ModeCut, "could not be fenced in its etcd (fence of the source: refused): the cut would be taken with --accept-missing only"},
		{"etcd", base.ErrUnavailable, FenceUnknown, ModeCut, "out of reach (etcd of the source: unavailable): the cut would be taken as it stands"},
		{"fence", base.ErrUnavailable, FenceUnknown, ModeCut, "could not be fenced in its etcd (fence of the source: unavailable): the cut would be taken as it stands"},
	} {
		t.Run(x.what+" "+x.fence, func(t *testing.T) {
			l := startLink(t)
			l.atSource(func(a *region) { a.topic("x"); a.produce(to{"x", 0, 2, 'a'}) })
			l.caughtUp()
			l.w.fail(x.what, x.why)
			dry, err := l.Failover(t.Context(), Options{DryRun: true})
			if err != nil || !dry.DryRun || dry.Fence != x.fence || dry.Mode != x.mode || !strings.Contains(dry.Detail, x.detail) {
				t.Fatalf("%v, %v", dry, err)
			}
			if lossless := dry.RpoSeconds != nil && *dry.RpoSeconds == 0; lossless != (x.mode == ModeFenced) {
				t.Errorf("RPO %v of mode %s", dry.RpoSeconds, dry.Mode)
			}
			l.w.mu.Lock()
			if l.w.fence != nil {
				t.Errorf("the dry run has fenced: %v", l.w.fence)
			}
			l.w.mu.Unlock()
			l.until("stays a shadow", (*state.Link).Active)
			report, err := l.Failover(t.Context(), Options{})
			if refused := x.fence == FenceRefused; (err != nil) != refused || !refused && (report.Mode != x.mode || report.Fence != "") {
				t.Errorf("the failover: %v, %v", report, err)
			}
		})
	}
}

// A source that goes on with another history can be fenced, but not drained.
func TestDryRunForked(t *testing.T) {
	l := startLink(t)
	l.atSource(func(a *region) { a.topic("x"); a.produce(to{"x", 0, 2, 'a'}) })
	l.caughtUp()
	other := newRegion(t, 1)
	other.topic("elsewhere")
	for range 5 {
		other.emit(&metalogpb.Event{Kind: &metalogpb.Event_Tick{Tick: &metalogpb.Tick{}}})
	}
	l.atSource(func(a *region) { a.seq, a.entries = other.seq, other.entries })
	dry, err := l.Failover(t.Context(), Options{DryRun: true})
	if err != nil || dry.Fence != FenceAllowed || dry.Mode != ModeCut || !strings.Contains(dry.Detail, "could not be drained") || !strings.Contains(dry.Detail, "--accept-missing only") {
		t.Fatalf("%v, %v", dry, err)
	}
}
