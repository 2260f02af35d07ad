package shadow

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// A source whose etcd answers and refuses this region may be alive: no cut is taken without consent, whether it refuses the connection or
// the fence. Once it lets the region in, the failover fences as ever.
func TestFailoverRefused(t *testing.T) {
	for _, what := range []string{"etcd", "fence"} {
		t.Run(what, func(t *testing.T) {
			l := startLink(t)
			l.atSource(func(a *region) { a.topic("x"); a.produce(to{"x", 0, 2, 'a'}) })
			l.caughtUp()
			l.w.fail(what, metastore.ErrRefused)
			_, err := l.Failover(t.Context(), Options{})
			if !errors.Is(err, ErrNeedsConsent) || !strings.Contains(err.Error(), "may be alive") || !strings.Contains(err.Error(), "--accept-missing") {
				t.Fatalf("without consent: %v", err)
			}
			l.w.mu.Lock()
			if len(l.w.did) > 0 {
				t.Errorf("done to the source: %v", l.w.did)
			}
			l.w.mu.Unlock()
			if fences, err := l.a.bucket.List(t.Context(), "meta/fence/", "", 9); err != nil || len(fences) != 0 {
				t.Errorf("fence objects %v, %v", fences, err)
			}
			l.atSource(func(a *region) { a.produce(to{"x", 0, 1, 'b'}) })
			l.until("goes on", func(x *state.Link) bool { return x.Active() && x.Image().TopicByName("x").Partition(0).End == 3 })
			l.w.fail(what, nil)
			report, err := l.Failover(t.Context(), Options{})
			if err != nil || report.Mode != ModeFenced || report.Epoch != 10 {
				t.Fatalf("let in: %v, %v", report, err)
			}
		})
	}
}

// With consent the refusal is a cut, which the report tells the reason of.
func TestFailoverRefusedWithConsent(t *testing.T) {
	l := startLink(t)
	l.atSource(func(a *region) { a.topic("x"); a.produce(to{"x", 0, 2, 'a'}) })
	l.caughtUp()
	l.w.fail("etcd", metastore.ErrRefused)
	dry, err := l.Failover(t.Context(), Options{DryRun: true})
	if err != nil || dry.Mode != ModeCut || !strings.Contains(dry.Detail, "with --accept-missing only") {
		t.Fatalf("dry run: %v, %v", dry, err)
	}
	report, err := l.Failover(t.Context(), Options{AcceptMissing: true, DrainTimeout: 100 * time.Millisecond})
	if err != nil || report.Mode != ModeCut || report.Epoch != 10 || !strings.Contains(report.Detail, "does not let this region in") {
		t.Fatalf("%v, %v", report, err)
	}
}
